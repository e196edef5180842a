/**
 * The way to and from `torch.optim`: what `optimizer.state_dict()` gives there, as plain values. Parameters have positions there
 * and names here, options are written with underscores there, and a parameter that has never had a gradient has no entry.
 */
import type { HyperOptions, HyperValue } from "../engine/rule.ts";
import type { GroupState, StateDict, TensorState } from "../engine/state.ts";
import { CheckpointError } from "../errors.ts";
import { fitTo } from "./fit.ts";
import { need, quote } from "./safetensors.ts";
import { checkOptions, checkState } from "./values.ts";

/** A tensor of PyTorch, float32 and contiguous. */
export interface TorchTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A value in a state dict of PyTorch: Python's None is null, a tuple is a list. */
export type TorchValue = TorchTensor | HyperValue | null;

/** An element of `param_groups`: positions of its parameters, and options by PyTorch's names. */
export interface TorchGroup {
  readonly params: readonly number[];
  readonly [option: string]: TorchValue;
}

/** What `torch.optim.X.state_dict()` returns. */
export interface TorchStateDict {
  /** By position, as text. */
  readonly state: Readonly<Record<string, Readonly<Record<string, TorchValue>>>>;
  readonly param_groups: readonly TorchGroup[];
}

/** An optimizer for PyTorch, with what its state dict does not tell. */
export interface TorchOptimizer extends TorchStateDict {
  /** The class, `AdamW` of `torch.optim.AdamW`. */
  readonly optimizer: string;
  /** Of the parameters, by position. */
  readonly names: readonly string[];
}

export interface FromTorchOptions {
  /** Names of the parameters by position: those of `model.named_parameters()`, in the order in which the optimizer got them. */
  readonly names: readonly string[];
  /** Parameters by name; what is missing keeps the values of `like`. */
  readonly params?: Readonly<Record<string, Float32Array>>;
  /** A state dict of the optimizer that is going to load; see {@link fromTorch}. */
  readonly like: StateDict;
  /**
   * Updates so far, where the schedules go on. Default: the largest `step` in the state. SGD keeps none, and needs it as soon as
   * there is a momentum buffer.
   */
  readonly stepsApplied?: number;
}

interface TorchClass {
  readonly name: string;
  /** How it keeps step counts: as a tensor without dimensions, as a number (since PyTorch 2 as a tensor too), or not at all. */
  readonly step: "tensor" | "number" | "none";
}

/** By rule. Weight decay is `coupled` in all of them, unless the group says `decoupled_weight_decay`, and but for AdamW. */
const CLASSES: Readonly<Record<string, TorchClass>> = {
  sgd: { name: "SGD", step: "none" },
  adam: { name: "Adam", step: "tensor" },
  adamw: { name: "AdamW", step: "tensor" },
  adamax: { name: "Adamax", step: "tensor" },
  nadam: { name: "NAdam", step: "tensor" },
  radam: { name: "RAdam", step: "tensor" },
  adagrad: { name: "Adagrad", step: "tensor" },
  rmsprop: { name: "RMSprop", step: "number" },
  adadelta: { name: "Adadelta", step: "number" },
  rprop: { name: "Rprop", step: "number" },
  asgd: { name: "ASGD", step: "tensor" },
};

/** Those that have the option `decoupled_weight_decay`. */
const MAY_DECOUPLE = ["nadam", "radam"];

function fault(where: string, what: string): CheckpointError {
  return new CheckpointError(`${where}: ${what}`);
}

function classOf(where: string, rule: string): TorchClass {
  const found = Object.hasOwn(CLASSES, rule) ? CLASSES[rule] : undefined;
  if (!found) throw fault(where, `PyTorch has no optimizer for the rule ${rule}`);
  return found;
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/**
 * The state of an optimizer in PyTorch's structure. Groups without tensors are left out. Switches between implementations
 * (`foreach`, `fused`, ...) are not set: PyTorch puts in its defaults when it loads.
 *
 * The tensors are those of `state`, not copies.
 *
 * @throws {CheckpointError} for a rule, decay mode or option that PyTorch does not have.
 */
export function toTorch(state: StateDict): TorchOptimizer {
  checkState("toTorch", "state", state);
  const torchClass = classOf("toTorch", state.rule);
  const groups = state.groups.filter((group) => group.tensors.length > 0);
  const names = groups.flatMap((group) => group.tensors);
  const entries: Record<string, Record<string, TorchValue>> = {};
  let position = 0;
  const paramGroups = groups.map((group): TorchGroup => {
    const first = position;
    for (const name of group.tensors) {
      const tensor = Object.hasOwn(state.tensors, name) ? state.tensors[name] : undefined;
      if (!tensor) throw fault("toTorch", `${quote(name)} of group ${quote(group.name)} is not among the tensors`);
      const entry = toEntry(name, tensor, group, torchClass);
      if (entry) entries[position] = entry;
      position++;
    }
    return { ...toOptions(state.rule, group), params: group.tensors.map((_, i) => first + i) };
  });
  return { optimizer: torchClass.name, names, state: entries, param_groups: paramGroups };
}

/** A parameter's state; undefined where PyTorch has none. */
function toEntry(
  name: string,
  { shape, step, slots, numbers = {}, scalars = {} }: TensorState,
  { hyper }: GroupState,
  { name: className, step: kept }: TorchClass,
): Record<string, TorchValue> | undefined {
  for (const slot of ["anchor", "lookahead_slow_buff", "average"])
    if (Object.hasOwn(slots, slot)) throw fault("toTorch", `${quote(name)}: PyTorch's optimizers have no ${slot}`);
  // PyTorch's Adagrad makes its state at construction, with the first value of the sum in it.
  const early = step === 0 && className === "Adagrad";
  if (step === 0 && !early) return undefined;
  const scalar = (x: number): TorchTensor => ({ shape: [], data: Float32Array.of(x) });
  const start = early
    ? new Float32Array(slots.sum?.length ?? 0).fill(Number(hyper.initialAccumulatorValue))
    : undefined;
  const entry = {
    ...(kept === "none" ? {} : { step: kept === "tensor" ? scalar(step) : step }),
    ...Object.fromEntries(Object.entries({ ...numbers, ...scalars }).map(([key, value]) => [key, scalar(value)])),
    ...Object.fromEntries(Object.entries(slots).map(([slot, data]) => [slot, { shape, data: start ?? data }])),
  };
  return Object.keys(entry).length > 0 ? entry : undefined;
}

function toOptions(rule: string, { name, lr, weightDecay, decayMode, hyper }: GroupState): Record<string, TorchValue> {
  const at = `group ${quote(name)}`;
  // NAdam's convention says which version of PyTorch it follows.
  const { tensorflow, convention: _, ...options } = hyper;
  if (tensorflow) throw fault("toTorch", `${at}: PyTorch's RMSprop has no TensorFlow form`);
  const decoupled = decayMode === "decoupled";
  const own = rule === "adamw" ? decoupled : decayMode === "coupled" || (decoupled && MAY_DECOUPLE.includes(rule));
  if (weightDecay !== 0 && (!own || rule === "rprop"))
    throw fault("toTorch", `${at}: PyTorch's ${CLASSES[rule]?.name} has no decay ${decayMode}`);
  return {
    lr,
    ...Object.fromEntries(Object.entries(options).map(([key, value]) => [snake(key), value])),
    ...(rule === "rprop" ? {} : { weight_decay: weightDecay }),
    ...(decoupled && weightDecay !== 0 && MAY_DECOUPLE.includes(rule) ? { decoupled_weight_decay: true } : {}),
  };
}

/**
 * A state dict for `loadStateDict`, from one of PyTorch. Groups need not be the same ones: state goes by names. Options are
 * taken over for people to read, but loading leaves hyper-parameters alone; {@link fromTorchGroup} gives them for `setGroup`.
 *
 * @throws {CheckpointError} for whatever is missing, unknown, or of another shape.
 */
export function fromTorch(torch: TorchStateDict, options: FromTorchOptions): StateDict {
  const groupsFit =
    Array.isArray(torch?.param_groups) && torch.param_groups.every(({ params: list }) => Array.isArray(list));
  need(torch?.state && groupsFit, "fromTorch", "torch", "must be { state, param_groups }", torch);
  checkOptions("fromTorch", options, ["names", "params", "like", "stepsApplied"]);
  const { names, params = {}, like } = options;
  checkState("fromTorch", "like", like);
  const fail = (what: string): never => {
    throw fault("fromTorch", what);
  };
  const positions = torch.param_groups.flatMap((group) => group.params);
  if (positions.length !== names?.length || new Set(names).size !== names.length)
    fail(`names must be ${positions.length} different ones, one for each parameter, got ${names?.length}`);
  if (positions.some((position, i) => position !== i)) fail("param_groups must number the parameters in order");
  for (const key of Object.keys(torch.state))
    if (String(Number(key)) !== key || names[Number(key)] === undefined) fail(`state: ${quote(key)} is no position`);
  for (const name of Object.keys(params)) if (!names.includes(name)) fail(`params: ${quote(name)} is unknown`);

  const own = (position: number): Readonly<Record<string, TorchValue>> | undefined =>
    Object.hasOwn(torch.state, position) ? torch.state[position] : undefined;
  const steps = names.map((name, k) => stepOf(name, own(k), fail));
  const counted = steps.filter((step) => step !== undefined);
  const stateful = names.some((_, k) => tensorsOf(own(k)).length > 0);
  if (options.stepsApplied === undefined && stateful && counted.length === 0)
    fail("stepsApplied must be given: the state keeps no step counts");
  const stepsApplied = options.stepsApplied ?? Math.max(0, ...counted);

  const groups = torch.param_groups.map((group, g) => fromGroup(group, g, names, like));
  const tensors = names.map((name, k): [string, TensorState] => {
    const model = Object.hasOwn(like.tensors, name) ? like.tensors[name] : undefined;
    if (!model) return fail(`${quote(name)} is unknown to the optimizer`);
    const shape = model.shape;
    const slots = tensorsOf(own(k));
    for (const [slot, value] of slots)
      if (value.shape.join() !== shape.join() || value.data.length !== model.param.length)
        fail(`${quote(name)}: ${slot} must have shape [${shape.join()}], got [${value.shape.join()}]`);
    const param = Object.hasOwn(params, name) ? (params[name] as Float32Array) : model.param;
    if (param.length !== model.param.length)
      fail(`${quote(name)} must have ${model.param.length} elements, got ${param.length}`);
    // SGD's count says no more than whether there has been an update.
    const step = steps[k] ?? (slots.length > 0 ? Math.max(1, stepsApplied) : 0);
    const product = own(k)?.mu_product;
    if (product !== undefined)
      checkProduct(
        name,
        product,
        step,
        groups.find((g) => g.tensors.includes(name)),
        fail,
      );
    const numbers = KEPT_NUMBERS.flatMap((key) =>
      own(k)?.[key] === undefined ? [] : [[key, numberOf(own(k)?.[key])]],
    );
    // Adagrad has an entry before the first gradient, whose sum the engine begins with anyway.
    const kept = step === 0 ? [] : slots.map(([slot, { data }]) => [slot, data] as const);
    return [
      name,
      {
        shape,
        step,
        param,
        slots: Object.fromEntries(kept),
        ...(numbers.length > 0 ? { numbers: Object.fromEntries(numbers) as Record<string, number> } : {}),
        ...(product !== undefined ? { scalars: { mu_product: numberOf(product) as number } } : {}),
      },
    ];
  });
  return fitTo({ ...like, stepsApplied, stepsSkipped: 0, groups, tensors: Object.fromEntries(tensors) }, like);
}

/** Numbers that ASGD keeps for a parameter. */
const KEPT_NUMBERS = ["eta", "mu"];
/** Names under which a state has numbers, not tensors of the parameter's shape. */
const NUMBERS = ["step", "mu_product", ...KEPT_NUMBERS];

/** The slots of an entry. SGD without momentum has None for its buffer. */
function tensorsOf(entry: Readonly<Record<string, TorchValue>> | undefined): [string, TorchTensor][] {
  return Object.entries(entry ?? {}).flatMap(([slot, value]): [string, TorchTensor][] =>
    NUMBERS.includes(slot) || value === null ? [] : [[slot, value as TorchTensor]],
  );
}

/** A number, whether it stands by itself or in a tensor without dimensions. */
function numberOf(value: TorchValue | undefined): number | undefined {
  if (typeof value === "number") return value;
  return typeof value === "object" && value !== null && "data" in value && value.data.length === 1
    ? value.data[0]
    : undefined;
}

function stepOf(
  name: string,
  entry: Readonly<Record<string, TorchValue>> | undefined,
  fail: (what: string) => never,
): number | undefined {
  if (!entry || !Object.hasOwn(entry, "step")) return undefined;
  const step = numberOf(entry.step);
  if (step === undefined || !Number.isSafeInteger(step) || step < 0)
    return fail(`${quote(name)}: step must be a whole number >= 0, got ${String(step)}`);
  return step;
}

/** NAdam's product of momenta follows from step count and options in the engine: another one cannot be kept. */
function checkProduct(
  name: string,
  value: TorchValue,
  step: number,
  group: GroupState | undefined,
  fail: (what: string) => never,
): void {
  const { betas, momentumDecay } = group?.hyper ?? {};
  const [beta1] = Array.isArray(betas) ? (betas as number[]) : [];
  if (beta1 === undefined || typeof momentumDecay !== "number") return;
  let product = 1;
  for (let t = 1; t <= step && product > 0; t++) product *= beta1 * (1 - 0.5 * 0.96 ** (t * momentumDecay));
  const got = numberOf(value) ?? Number.NaN;
  // PyTorch multiplies in float32, where the product vanishes in the end.
  if (!(Math.abs(got - product) <= (step + 1) * 2 ** -23 * product + 2 ** -126))
    fail(`${quote(name)}: mu_product is ${got}, but ${product} after ${step} steps with these options`);
}

function fromGroup(group: TorchGroup, index: number, names: readonly string[], like: StateDict): GroupState {
  const { lr = 0, weightDecay = 0, decayMode = "coupled", ...hyper } = fromTorchGroup(like.rule, group);
  const known = like.groups[0]?.hyper ?? {};
  const options = Object.entries(known).map(([key, value]) => [key, hyper[key] ?? value]);
  return {
    name: typeof group.name === "string" ? group.name : `group${index}`,
    tensors: group.params.map((position) => names[position] as string),
    lr: Number(lr),
    weightDecay: Number(weightDecay),
    decayMode: String(decayMode),
    hyper: Object.fromEntries(options) as HyperOptions,
    decayDose: null,
  };
}

/** Keys of a group that are no options of a rule: positions, switches between implementations, and what schedulers keep there. */
const NOT_OPTIONS = ["params", "param_names", "name", "foreach", "fused", "capturable", "differentiable", "initial_lr"];

/**
 * Options of an element of `param_groups` in our words, for `setGroup`: `{ lr, weightDecay, decayMode, betas, ... }`.
 *
 * @param rule - name of the rule, `adamw`
 * @throws {CheckpointError} for a rule that PyTorch does not have
 */
export function fromTorchGroup(rule: string, group: TorchGroup): Record<string, HyperValue> {
  classOf("fromTorchGroup", rule);
  const { decoupled_weight_decay: decoupled, ...rest } = group ?? {};
  const options: Record<string, HyperValue> = {};
  for (const [key, value] of Object.entries(rest)) {
    const plain = typeof value !== "object" || Array.isArray(value) ? (value as HyperValue) : numberOf(value);
    if (!NOT_OPTIONS.includes(key) && plain !== undefined) options[camel(key)] = plain;
  }
  // Rprop has no decay there.
  if (rule !== "rprop") options.decayMode = rule === "adamw" || decoupled === true ? "decoupled" : "coupled";
  return options;
}
