import { elementCount } from "../../reference/prng.ts";
import {
  anyNumber,
  array,
  type Checked,
  checkLength,
  count,
  flag,
  GoldenError,
  index,
  nonNegative,
  nullable,
  object,
  positive,
  record,
  refine,
  text,
} from "./check.ts";
import { checkSnapshotSteps, identity, optionValue, parameter, perParameter, seed, snapshotTensors } from "./tensor.ts";

const shapeOfCase = object(
  {
    ...identity.required,
    seed,
    scaler: object({ init_scale: positive, growth_factor: positive, backoff_factor: positive, growth_interval: count }),
    optimizer: text,
    options: record(optionValue),
    oneOptimizerPerParam: flag,
    clipNormAfterUnscale: nullable(positive),
    params: array(parameter, { min: 1 }),
    steps: count,
    inject: array(object({ step: count, param: index, index, value: anyNumber })),
    log: array(
      object({
        step: count,
        scaleUsed: positive,
        foundInf: array(flag),
        scaleAfter: positive,
        growthTrackerAfter: index,
      }),
    ),
    finalStepCount: array(nullable(nonNegative)),
    snapshots: array(object({ step: count, params: snapshotTensors }), { min: 1 }),
  },
  identity.optional,
);

export type GradScalerCase = Checked<typeof shapeOfCase>;

export const gradScalerCase = refine(shapeOfCase, (value, path) => {
  const { params, steps, log } = value;
  checkLength(log, `${path}.log`, steps);
  log.forEach(({ step, foundInf }, i) => {
    if (step !== i + 1) throw new GoldenError(`${path}.log[${i}].step must be ${i + 1}, got ${step}`);
    checkLength(foundInf, `${path}.log[${i}].foundInf`, value.oneOptimizerPerParam ? params.length : 1);
  });
  checkLength(value.finalStepCount, `${path}.finalStepCount`, params.length);
  value.inject.forEach(({ step, param, index: element }, i) => {
    const at = `${path}.inject[${i}]`;
    if (step > steps) throw new GoldenError(`${at}.step must be at most ${steps}, got ${step}`);
    const target = params[param];
    if (!target) throw new GoldenError(`${at}.param must be below ${params.length}, got ${param}`);
    const size = elementCount(target.shape);
    if (element >= size) throw new GoldenError(`${at}.index must be below ${size}, got ${element}`);
  });
  checkSnapshotSteps(
    value.snapshots.map(({ step }) => step),
    steps,
    `${path}.snapshots`,
  );
  value.snapshots.forEach(({ params: tensors }, i) => {
    perParameter(params, tensors, `${path}.snapshots[${i}].params`);
  });
  if (value.snapshots.at(-1)!.params.includes(null)) {
    throw new GoldenError(`${path}.snapshots must store every parameter at the last step`);
  }
});
