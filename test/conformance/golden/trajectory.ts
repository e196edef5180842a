import { EMPTY_HASH, elementCount, gradient, hash, initialValues } from "../../reference/prng.ts";
import {
  array,
  type Check,
  type Checked,
  checkLength,
  count,
  finite,
  flag,
  GoldenError,
  index,
  nonNegative,
  object,
  record,
  refine,
  text,
  uint32,
} from "./check.ts";
import {
  type CheckedTensor,
  checkedTensor,
  checkSize,
  checkSnapshotSteps,
  identity,
  optionValue,
  type Parameter,
  parameter,
  perParameter,
  seed,
  snapshotTensors,
} from "./tensor.ts";

const stateValue: Check<CheckedTensor | number> = (value, path) =>
  typeof value === "object" ? checkedTensor()(value, path) : finite(value, path);

const options = record(optionValue);
const group = object({ params: array(index, { min: 1 }), options }, { decoupledWeightDecay: nonNegative });
const snapshot = object(
  { step: count, params: snapshotTensors, state: array(record(stateValue)) },
  {
    evalParams: snapshotTensors,
    groupState: array(record(finite)),
    groupStateF32Rel: array(record(nonNegative)),
  },
);

const shapeOfCase = object(
  {
    ...identity.required,
    optimizer: text,
    seed,
    steps: count,
    params: array(parameter, { min: 1 }),
    groups: array(group, { min: 1 }),
    initHash: uint32,
    gradHash: uint32,
    dev: array(nonNegative, { length: 2 }),
    snapshots: array(snapshot, { min: 1 }),
  },
  {
    ...identity.optional,
    constructorOptions: options,
    lrChanges: array(object({ step: count, lr: array(finite) })),
    decoupled: flag,
    hessianSteps: array(count),
  },
);

export type TrajectoryCase = Checked<typeof shapeOfCase>;

export const trajectoryCase = refine(shapeOfCase, (value, path) => {
  const { params, groups, steps, snapshots } = value;
  checkGroups(value, path);
  value.lrChanges?.forEach(({ step, lr }, i) => {
    checkLength(lr, `${path}.lrChanges[${i}].lr`, groups.length);
    checkStep(step, steps, `${path}.lrChanges[${i}].step`);
  });
  params.forEach(({ noGradSteps = [] }, k) => {
    noGradSteps.forEach((step, i) => {
      checkStep(step, steps, `${path}.params[${k}].noGradSteps[${i}]`);
    });
  });
  value.hessianSteps?.forEach((step, i) => {
    checkStep(step, steps, `${path}.hessianSteps[${i}]`);
  });
  checkSnapshotSteps(
    snapshots.map(({ step }) => step),
    steps,
    `${path}.snapshots`,
  );
  snapshots.forEach((taken, i) => {
    const at = `${path}.snapshots[${i}]`;
    perParameter(params, taken.params, `${at}.params`);
    if (taken.evalParams) perParameter(params, taken.evalParams, `${at}.evalParams`);
    checkLength(taken.state, `${at}.state`, params.length);
    taken.state.forEach((state, k) => {
      for (const [name, tensor] of Object.entries(state)) {
        if (typeof tensor === "number") continue;
        checkSize(tensor, `${at}.state[${k}].${name}`, elementCount(params[k]!.shape));
      }
    });
    if (taken.groupState) checkLength(taken.groupState, `${at}.groupState`, groups.length);
  });
  const missing = snapshots.at(-1)!.params.indexOf(null);
  if (missing >= 0) {
    throw new GoldenError(
      `${path}.snapshots[${snapshots.length - 1}].params[${missing}] must be stored in the last snapshot`,
    );
  }
});

function checkStep(step: number, steps: number, path: string): void {
  if (step > steps) throw new GoldenError(`${path} must be at most ${steps}, the number of steps, got ${step}`);
}

/** Each parameter belongs to exactly one group, and decoupled decay is given exactly where it is used. */
function checkGroups({ params, groups, decoupled = false }: TrajectoryCase, path: string): void {
  const owners = params.map(() => 0);
  groups.forEach((one, g) => {
    const at = `${path}.groups[${g}]`;
    one.params.forEach((k, i) => {
      if (k >= params.length) throw new GoldenError(`${at}.params[${i}] must be below ${params.length}, got ${k}`);
      owners[k]!++;
    });
    if (decoupled !== (one.decoupledWeightDecay !== undefined)) {
      throw new GoldenError(`${at}.decoupledWeightDecay must be there exactly if the case is decoupled`);
    }
  });
  owners.forEach((owned, k) => {
    if (owned !== 1) throw new GoldenError(`${path}.groups must have parameter ${k} once, but have it ${owned} times`);
  });
}

/** The gradient of a parameter at a step counted from 1; null at a step without. */
export function gradientAt(parameter: Parameter, seed: number, k: number, step: number): Float32Array | null {
  if (parameter.noGradSteps?.includes(step)) return null;
  return gradient(parameter.grad, seed, k, step, elementCount(parameter.shape));
}

export function initialParameters({ params, seed }: { params: readonly Parameter[]; seed: number }): Float32Array[] {
  return params.map(({ init, shape }, k) => initialValues(init, seed, k, elementCount(shape)));
}

/** Compares the generated inputs with their hashes. @throws GoldenError if generator and file do not agree. */
export function checkHashes(value: TrajectoryCase, path: string): void {
  const inits = initialParameters(value).reduce((h, tensor) => hash(tensor, h), EMPTY_HASH);
  compareHash(`${path}.initHash`, value.initHash, inits);
  let grads = EMPTY_HASH;
  for (let step = 1; step <= value.steps; step++) {
    value.params.forEach((parameter, k) => {
      const grad = gradientAt(parameter, value.seed, k, step);
      if (grad) grads = hash(grad, grads);
    });
  }
  compareHash(`${path}.gradHash`, value.gradHash, grads);
}

function compareHash(path: string, stated: number, actual: number): void {
  if (stated !== actual) {
    throw new GoldenError(`${path} is ${stated}, but the inputs that the case describes have ${actual}`);
  }
}
