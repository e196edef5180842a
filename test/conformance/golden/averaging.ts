import { elementCount } from "../../reference/prng.ts";
import { array, type Check, type Checked, checkLength, count, finite, nullable, object, refine } from "./check.ts";
import { checkedTensor, checkSize, checkSnapshotSteps, identity, seed, shape, valueSpec } from "./tensor.ts";

/** null: the mean of all. */
const decay: Check<number | null> = nullable(finite);

const shapeOfCase = object(
  {
    ...identity.required,
    seed,
    decay,
    steps: count,
    params: array(object({ shape, values: valueSpec }), { min: 1 }),
    snapshots: array(object({ step: count, params: array(checkedTensor()) }), { min: 1 }),
  },
  identity.optional,
);

/** Averages of parameters whose value at every update is generated. */
export type AveragingCase = Checked<typeof shapeOfCase>;

export const averagingCase = refine(shapeOfCase, ({ params, steps, snapshots }, path) => {
  checkSnapshotSteps(
    snapshots.map(({ step }) => step),
    steps,
    `${path}.snapshots`,
  );
  snapshots.forEach(({ params: averages }, i) => {
    checkLength(averages, `${path}.snapshots[${i}].params`, params.length);
    averages.forEach((average, k) => {
      checkSize(average, `${path}.snapshots[${i}].params[${k}]`, elementCount(params[k]!.shape));
    });
  });
});
