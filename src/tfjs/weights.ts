/**
 * The state of an optimizer as TF.js keeps it with a model: `iter`, then `<variable>/m` of all variables, then `<variable>/v`.
 * So a run of `tf.train.adam` or `tf.train.momentum` can be gone on with, and the other way round. What those do not have (counts
 * that differ from `iter`, the decay dose, numbers of a rule) stands behind them, as JSON.
 */
import { keep, type NamedTensorMap, scalar, type Tensor, tensor, tensor1d } from "@tensorflow/tfjs-core";
import type { StateDict, TensorState } from "../engine/state.ts";
import { StateDictError } from "../errors.ts";

/** TF.js's own type of this name is not exported. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: NamedTensorMap[string];
}

/** A state dict whose parameters are of no account, and the number of calls of `applyGradients`. */
export interface Saved {
  readonly iterations: number;
  readonly dict: StateDict;
}

/** What the JSON holds. */
interface Rest extends Pick<StateDict, "rule" | "stepsApplied" | "stepsSkipped" | "numbers"> {
  readonly groups: readonly Pick<StateDict["groups"][number], "decayDose" | "carry">[];
  readonly tensors: Readonly<Record<string, Pick<TensorState, "step" | "numbers">>>;
}

const ITERATIONS = "iter";
const REST = "webgpu-optim";

// What TF.js calls the state that PyTorch calls otherwise.
const SUFFIX: Readonly<Record<string, string>> = { exp_avg: "m", exp_avg_sq: "v", momentum_buffer: "momentum" };
const SLOT = Object.fromEntries(Object.entries(SUFFIX).map(([slot, suffix]) => [suffix, slot]));

/** The tensors are on the CPU, and kept until they are disposed of. */
export function toWeights({ iterations, dict }: Saved): NamedTensor[] {
  const weights: NamedTensor[] = [];
  const add = (name: string, values: Tensor): void => {
    weights.push({ name, tensor: keep(values) });
  };
  add(ITERATIONS, scalar(iterations, "int32"));
  const tensors = Object.entries(dict.tensors);
  for (const slot of new Set(tensors.flatMap(([, t]) => Object.keys(t.slots)))) {
    for (const [name, { shape, slots }] of tensors) {
      const values = slots[slot];
      if (values) add(`${name}/${SUFFIX[slot] ?? slot}`, tensor(values, [...shape], "float32"));
    }
  }
  const rest = restOf(dict);
  if (JSON.stringify(rest) !== JSON.stringify(restOf(plain(dict, iterations))))
    add(REST, tensor1d([JSON.stringify(rest)], "string"));
  return weights;
}

function restOf({ rule, stepsApplied, stepsSkipped, numbers, groups, tensors }: StateDict): Rest {
  const ofTensors = Object.entries(tensors).map(([name, t]) => [name, { step: t.step, numbers: t.numbers }]);
  return {
    rule,
    stepsApplied,
    stepsSkipped,
    ...(numbers && { numbers }),
    groups: groups.map(({ decayDose, carry }) => ({ decayDose, ...(carry && { carry }) })),
    tensors: Object.fromEntries(ofTensors),
  };
}

/** A state dict that says no more than TF.js's optimizers do. */
function plain(dict: StateDict, iterations: number): StateDict {
  const { numbers: _numbers, ...kept } = dict;
  return {
    ...kept,
    stepsApplied: iterations,
    stepsSkipped: 0,
    groups: dict.groups.map(({ carry: _carry, ...g }) => ({ ...g, decayDose: g.decayDose === null ? null : 0 })),
    tensors: Object.fromEntries(
      Object.entries(dict.tensors).map(([name, { numbers: _of, ...t }]) => [name, { ...t, step: iterations }]),
    ),
  };
}

/**
 * The inverse of {@link toWeights}; reads what TF.js's optimizers give too.
 *
 * @param now a state dict of the optimizer that is to have it: for what it says of rule and groups.
 * @throws {StateDictError}
 */
export async function fromWeights(weights: readonly NamedTensor[], now: StateDict): Promise<Saved> {
  if (weights?.[0]?.name !== ITERATIONS) throw new StateDictError([`the first weight must be ${ITERATIONS}`]);
  const wrong = weights.findIndex((w) => typeof w?.name !== "string" || typeof w.tensor?.data !== "function");
  if (wrong >= 0) throw new StateDictError([`weight ${wrong} must be { name, tensor }`]);
  const values = await Promise.all(weights.map((w) => w.tensor.data()));
  const iterations = values[0]?.[0] as number;
  let rest: Rest | undefined;
  const tensors: Record<string, TensorState & { slots: Record<string, Float32Array> }> = {};
  weights.forEach(({ name, tensor: { shape } }, i) => {
    const data = values[i] as unknown;
    if (i === 0) return;
    if (name === REST) {
      rest = JSON.parse((data as string[])[0] as string);
      return;
    }
    const cut = name.lastIndexOf("/");
    const variable = name.slice(0, cut);
    const suffix = name.slice(cut + 1);
    const state = tensors[variable] ?? { shape, step: iterations, param: NONE, slots: {} };
    tensors[variable] = state;
    state.slots[SLOT[suffix] ?? suffix] = Float32Array.from(data as Float32Array);
  });
  const dict = plain({ ...now, tensors }, iterations);
  if (!rest) return { iterations, dict };
  if (rest.groups.length !== dict.groups.length)
    throw new StateDictError([`there must be ${dict.groups.length} groups, got ${rest.groups.length}`]);
  // Variables without slots are in the rest alone; those have no shape, and take any.
  for (const [name, more] of Object.entries(rest.tensors)) {
    const state = tensors[name] ?? { shape: [], param: NONE, slots: {} };
    tensors[name] = { ...state, ...more };
  }
  const groups = dict.groups.map((g, i) => ({ ...g, ...rest?.groups[i] }));
  return { iterations, dict: { ...dict, ...rest, groups, tensors } };
}

const NONE = new Float32Array(0);

/** @throws {StateDictError} for what is no state dict, and where it has other parameters than the variables that exist. */
export function checkDict(dict: StateDict, variables: Readonly<Record<string, Tensor>>): void {
  if (dict?.format !== "webgpu-optim/state" || typeof dict.tensors !== "object" || dict.tensors === null)
    throw new StateDictError(["must be what stateDict() gave"]);
  const differences = Object.entries(dict.tensors).flatMap(([name, state]) => {
    const variable = variables[name];
    const fits = !variable || (state?.param instanceof Float32Array && state.param.length === variable.size);
    return fits ? [] : [`tensors: ${name}: param must be a Float32Array of ${variable.size} elements`];
  });
  if (differences.length > 0) throw new StateDictError(differences);
}

/**
 * Which variable gets which state: by name; where a model has been loaded beside the one that was saved, its variables have other
 * names, and then it goes by order.
 *
 * @returns by the variables' names; going by names, also what is left.
 * @throws {StateDictError} if neither fits.
 */
export function assign(
  { tensors, stepsApplied }: StateDict,
  variables: readonly { name: string; shape: readonly number[] }[],
): Record<string, TensorState> {
  const saved = Object.entries(tensors);
  const as = (name: string, shape: readonly number[], state: TensorState | undefined): [string, TensorState] => [
    name,
    { ...(state ?? { step: stepsApplied, slots: {}, param: NONE }), shape },
  ];
  // A rule without state leaves nothing but the number of steps.
  if (saved.length === 0) return Object.fromEntries(variables.map(({ name, shape }) => as(name, shape, undefined)));
  const fits = (state: TensorState | undefined, shape: readonly number[]): boolean =>
    state !== undefined && (Object.keys(state.slots).length === 0 || state.shape.join() === shape.join());
  if (variables.every(({ name, shape }) => Object.hasOwn(tensors, name) && fits(tensors[name], shape))) {
    const named = variables.map(({ name, shape }) => as(name, shape, tensors[name]));
    return { ...tensors, ...Object.fromEntries(named) };
  }
  if (saved.length === variables.length && variables.every(({ shape }, i) => fits(saved[i]?.[1], shape)))
    return Object.fromEntries(variables.map(({ name, shape }, i) => as(name, shape, saved[i]?.[1])));
  throw new StateDictError([
    `saved:     ${saved.map(([name, { shape }]) => `${name} [${shape}]`).join(", ")}`,
    `variables: ${variables.map(({ name, shape }) => `${name} [${shape}]`).join(", ")}`,
  ]);
}
