/**
 * Which optimizers of the golden files the engine has, and how their options are called here. This is the one place to
 * extend when a rule has golden data. An option without an entry is an error: ignoring it would test something else.
 */

import type { DecayMode } from "../reference/decay.ts";
import type { OptionValue, ReferenceOptions } from "./golden/tensor.ts";

/** The name by which the library exports a rule. */
export type RuleName = string;

/** Options of one group, in the words of the engine. */
export interface GroupOptions {
  lr?: number;
  referenceLr?: number;
  weightDecay?: number;
  decayMode?: DecayMode;
  /** Options of the rule. */
  [hyper: string]: unknown;
}

/** What the reference can and the engine does not offer: the case is skipped, and says why. */
class Unsupported extends Error {}

type Convert = (value: OptionValue, complain: (must: string) => never) => GroupOptions;

const number =
  (name: string): Convert =>
  (value, complain) =>
    typeof value === "number" ? { [name]: value } : complain("must be a number");

const flag =
  (name: string): Convert =>
  (value, complain) =>
    typeof value === "boolean" ? { [name]: value } : complain("must be true or false");

const COUNTS = ["no", "one", "two", "three"];
const numbers =
  (name: string, count: number): Convert =>
  (value, complain) =>
    Array.isArray(value) && value.length === count && value.every((x) => typeof x === "number")
      ? { [name]: value }
      : complain(`must be ${COUNTS[count]} numbers`);

/** A switch that chooses a mode of decay in one of its positions. */
const decayWhen =
  (position: boolean, decayMode: DecayMode): Convert =>
  (value, complain) => {
    if (typeof value !== "boolean") return complain("must be true or false");
    return value === position ? { decayMode } : {};
  };

/** A number that may be absent. */
const orNone =
  (name: string): Convert =>
  (value, complain) =>
    value === null ? {} : number(name)(value, complain);

/** What the engine has only as switched off. */
const offUnless =
  (reason: string): Convert =>
  (value) => {
    if (value === null || value === 0 || value === false) return {};
    throw new Unsupported(reason);
  };

const shared = { lr: number("lr"), weight_decay: number("weightDecay"), maximize: flag("maximize") };
const betas = numbers("betas", 2);
const eps = number("eps");
const momentum = number("momentum");
const ofAdam = { ...shared, betas, eps, amsgrad: flag("amsgrad") };

interface Entry {
  readonly rule: RuleName;
  readonly options: Readonly<Record<string, Convert>>;
  /** What follows from several options of a group at once. */
  readonly finish?: (options: GroupOptions) => GroupOptions;
}

const OPTIMIZERS: Readonly<Record<string, Entry>> = {
  SGD: { rule: "sgd", options: { ...shared, momentum, dampening: number("dampening"), nesterov: flag("nesterov") } },
  Adam: { rule: "adam", options: ofAdam },
  AdamW: { rule: "adamw", options: ofAdam },
  Adamax: { rule: "adamax", options: { ...shared, betas, eps } },
  NAdam: { rule: "nadam", options: { ...shared, betas, eps, momentum_decay: number("momentumDecay") } },
  "NAdamW@timm": { rule: "nadamw", options: { ...shared, betas, eps } },
  RAdam: { rule: "radam", options: { ...shared, betas, eps } },
  AdaBelief: {
    rule: "adabelief",
    options: {
      ...ofAdam,
      rectify: flag("rectify"),
      degenerated_to_sgd: flag("degeneratedToSgd"),
      weight_decouple: decayWhen(false, "coupled"),
      fixed_decay: decayWhen(true, "independent"),
    },
  },
  RMSprop: {
    rule: "rmsprop",
    options: { ...shared, alpha: number("alpha"), eps, centered: flag("centered"), momentum },
  },
  Adagrad: {
    rule: "adagrad",
    options: {
      ...shared,
      eps,
      lr_decay: number("lrDecay"),
      initial_accumulator_value: number("initialAccumulatorValue"),
    },
  },
  Adadelta: { rule: "adadelta", options: { ...shared, rho: number("rho"), eps } },
  Rprop: { rule: "rprop", options: { ...shared, etas: numbers("etas", 2), step_sizes: numbers("stepSizes", 2) } },
  Lion: { rule: "lion", options: { ...shared, betas } },
  // Its decay factor is 1 - lambda lr / lr_0, with lr_0 given at construction.
  "Lion@lucidrains": {
    rule: "lion",
    options: { ...shared, betas, decoupled_weight_decay: decayWhen(true, "scheduled") },
  },
  Adan: {
    rule: "adan",
    options: {
      ...shared,
      betas: numbers("betas", 3),
      eps,
      no_prox: decayWhen(true, "decoupled"),
      max_grad_norm: offUnless("Adan's own clipping, with eps instead of 1e-6 beside the norm, is not offered"),
    },
  },
  AdEMAMix: {
    rule: "ademamix",
    options: {
      ...shared,
      betas: numbers("betas", 3),
      eps,
      alpha: number("alpha"),
      alpha_warmup: orNone("alphaWarmup"),
      beta3_warmup: orNone("beta3Warmup"),
    },
  },
  "MADGRAD@timm": {
    rule: "madgrad",
    options: { ...shared, momentum, eps, decoupled_decay: decayWhen(true, "decoupled") },
    finish: decayWithinMean,
  },
};

/** timm's MADGRAD decays before it takes the mean of positions, in which theta has the weight of the momentum. */
function decayWithinMean(options: GroupOptions): GroupOptions {
  const { decayMode, weightDecay = 0, momentum = 0.9 } = options;
  if (decayMode !== "decoupled" || momentum === 0) return options;
  return { ...options, weightDecay: weightDecay * Number(momentum) };
}

/** What will not be there, and why. */
const NEVER: Readonly<Record<string, string>> = {
  "NAdam@1.13": "a defect of PyTorch 1.13, mended in 2.0: mu_t enters the product twice",
};

/** Why cases of this optimizer, with these options, cannot be run; undefined if they can. */
export function whyUnsupported(
  optimizer: string,
  ...sources: readonly (ReferenceOptions | undefined)[]
): string | undefined {
  if (Object.hasOwn(NEVER, optimizer)) return NEVER[optimizer];
  if (!Object.hasOwn(OPTIMIZERS, optimizer)) return `the engine has no optimizer ${optimizer} yet`;
  try {
    groupOptions(optimizer, ...sources);
  } catch (error) {
    if (error instanceof Unsupported) return error.message;
    // What else is wrong fails the case, when it is run.
  }
  return undefined;
}

/** The rule that stands for an optimizer of the reference. @throws Error if there is none. */
export function ruleOf(optimizer: string): RuleName {
  return entryOf(optimizer).rule;
}

/**
 * Options of the reference in the engine's words; of two sources of the same option the later one counts.
 *
 * @throws Error for an unknown option or a value of a wrong type.
 */
export function groupOptions(optimizer: string, ...sources: readonly (ReferenceOptions | undefined)[]): GroupOptions {
  const { options, finish } = entryOf(optimizer);
  const out: GroupOptions = {};
  for (const [name, value] of Object.entries(Object.assign({}, ...sources) as ReferenceOptions)) {
    const convert = Object.hasOwn(options, name) ? options[name] : undefined;
    if (!convert) throw new Error(`${optimizer} has no option ${name} here`);
    const complain = (must: string): never => {
      throw new Error(`${optimizer}: ${name} ${must}, got ${JSON.stringify(value)}`);
    };
    Object.assign(out, convert(value, complain));
  }
  return finish ? finish(out) : out;
}

function entryOf(optimizer: string): Entry {
  const entry = Object.hasOwn(OPTIMIZERS, optimizer) ? OPTIMIZERS[optimizer] : undefined;
  if (!entry) throw new Error(whyUnsupported(optimizer) ?? `there is no optimizer ${optimizer}`);
  return entry;
}
