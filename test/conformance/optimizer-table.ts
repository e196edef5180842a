/**
 * Which optimizers of the golden files the engine has, and how their options are called here. This is the one place to
 * extend when a rule has golden data.
 */

import {
  type Convert,
  type ConvertWhole,
  decayWhen,
  flag,
  type GroupOptions,
  negated,
  notOff,
  number,
  numbers,
  orNone,
  orOff,
  type RuleName,
  word,
} from "./convert.ts";
import type { OptionValue, ReferenceOptions } from "./golden/tensor.ts";

/** An optimizer of the references. */
export interface Entry {
  readonly rule: RuleName;
  readonly options: Readonly<Record<string, Convert>>;
  /** Options of the constructor that are the whole optimizer's here. */
  readonly whole?: Readonly<Record<string, ConvertWhole>>;
  /** What the reference has where it is given nothing, in its own words; only where the engine has something else. */
  readonly defaults?: ReferenceOptions;
  /** What tells this reference from others of the same rule. */
  readonly fixed?: GroupOptions;
  /** What follows from several options of a group at once. */
  readonly finish?: (options: GroupOptions, constructorOptions: ReferenceOptions) => GroupOptions;
  /** A slot as the reference keeps it, of a tensor that has had `step` updates; default as it is. */
  readonly slot?: (name: string, values: number[], options: GroupOptions, step: number) => number[];
}

const shared = { lr: number("lr"), weight_decay: number("weightDecay"), maximize: flag("maximize") };
const betas = numbers("betas", 2);
const eps = number("eps");
const momentum = number("momentum");
const amsgrad = flag("amsgrad");
const ofAdam = { ...shared, betas, eps, amsgrad };
const ofSgd = { ...shared, momentum, dampening: number("dampening"), nesterov: flag("nesterov") };
const ofLion = { ...shared, betas };
const lucidrains = { ...ofLion, decoupled_weight_decay: decayWhen(true, "scheduled") };
const gradAveraging = flag("gradAveraging");
const ofTrust = { trust_clip: flag("trustClip"), always_adapt: flag("alwaysAdapt") };
const ofScheduleFree = {
  ...shared,
  r: number("r"),
  weight_lr_power: number("weightLrPower"),
  warmup_steps: number("warmupSteps"),
};
const ofMuon = { ...shared, momentum, nesterov: flag("nesterov"), ns_steps: number("nsSteps") };
const ofAdafactor = {
  ...shared,
  clip_threshold: number("clipThreshold"),
  decay_rate: negated("decayRate"),
  beta1: orNone(notOff("beta1")),
  scale_parameter: flag("scaleParameter"),
  warmup_init: flag("warmupInit"),
};

/** A global norm that clips, with what stands beside it in the divisor; null or 0: none. */
const clipBy =
  (epsOf: (groups: readonly ReferenceOptions[]) => number): ConvertWhole =>
  (value, complain, groups) => {
    if (value === null || value === 0) return {};
    if (typeof value !== "number") return complain("must be a number or null");
    return { clip: { globalNorm: value, eps: epsOf(groups) } };
  };

export const OPTIMIZERS: Readonly<Record<string, Entry>> = {
  SGD: { rule: "sgd", options: ofSgd },
  Adam: { rule: "adam", options: ofAdam },
  AdamW: { rule: "adamw", options: ofAdam },
  Adamax: { rule: "adamax", options: { ...shared, betas, eps } },
  NAdam: { rule: "nadam", options: { ...shared, betas, eps, momentum_decay: number("momentumDecay") } },
  "NAdam@1.13": {
    rule: "nadam",
    options: { ...shared, betas, eps, momentum_decay: number("momentumDecay") },
    fixed: { convention: "torch-1.13" },
  },
  "NAdamW@timm": { rule: "nadamw", options: { ...shared, betas, eps } },
  RAdam: { rule: "radam", options: { ...shared, betas, eps } },
  AdaBelief: {
    rule: "adabelief",
    options: {
      ...ofAdam,
      rectify: flag("rectify"),
      degenerated_to_sgd: flag("degeneratedToSgd"),
      weight_decouple: decayWhen(false, "coupled"),
      fixed_decay: flag("fixedDecay"),
    },
    finish: fixDecay,
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
    finish: accumulateFrom,
    slot: accumulated,
  },
  Adadelta: { rule: "adadelta", options: { ...shared, rho: number("rho"), eps } },
  Rprop: { rule: "rprop", options: { ...shared, etas: numbers("etas", 2), step_sizes: numbers("stepSizes", 2) } },
  ASGD: {
    rule: "asgd",
    options: { ...shared, lambd: number("lambd"), alpha: number("alpha"), t0: number("t0") },
  },
  Lion: { rule: "lion", options: ofLion },
  "Lion@lucidrains": { rule: "lion", options: lucidrains, finish: decayFromConstruction },
  "CautiousLion@timm": cautious("lion", ofLion, { cautiousUpdate: "timm" }),
  "CautiousLion@C-Optim": {
    ...cautious("lion", ofLion, { cautiousUpdate: "c-optim" }),
    defaults: { betas: [0.95, 0.98] },
  },
  "CautiousLion@lucidrains": {
    ...cautious("lion", { ...lucidrains, cautious_factor: cautiousFactor }),
    defaults: { cautious_factor: 0 },
    finish: decayFromConstruction,
  },
  "CautiousAdamW@timm": {
    ...cautious(
      "adamw",
      { ...ofAdam, corrected_weight_decay: flag("correctedWeightDecay") },
      { cautiousUpdate: "timm" },
    ),
    finish: correctDecay,
  },
  "CautiousSGDW@timm": {
    ...cautious("sgd", ofSgd, { cautiousUpdate: "timm", decayMode: "decoupled" }),
    finish: maskMomentum,
  },
  Adan: {
    rule: "adan",
    options: { ...shared, betas: numbers("betas", 3), eps, no_prox: decayWhen(true, "decoupled") },
    whole: {
      max_grad_norm: clipBy((groups) => Number(groups.at(-1)!.eps ?? 1e-8)),
    },
  },
  AdEMAMix: {
    rule: "ademamix",
    options: {
      ...shared,
      betas: numbers("betas", 3),
      eps,
      alpha: number("alpha"),
      alpha_warmup: orNone(number("alphaWarmup")),
      beta3_warmup: orNone(number("beta3Warmup")),
    },
  },
  "MADGRAD@timm": {
    rule: "madgrad",
    options: { ...shared, momentum, eps, decoupled_decay: decayWhen(true, "decoupled") },
    finish: decayWithinMean,
  },
  "ADOPT@timm": {
    rule: "adopt",
    options: { ...shared, betas, eps, clip_exp: orOff("clipExp"), decoupled: decayWhen(true, "decoupled") },
  },
  "LaProp@timm": { rule: "laprop", options: { ...shared, betas, eps } },
  SophiaG: {
    rule: "sophiag",
    options: { ...shared, betas, rho: number("rho"), bs: number("bs") },
  },
  "Lamb@timm": {
    rule: "lamb",
    options: {
      ...shared,
      betas,
      eps,
      bias_correction: flag("biasCorrection"),
      grad_averaging: gradAveraging,
      decoupled_decay: decayWhen(true, "decoupled"),
      ...ofTrust,
    },
    whole: { max_grad_norm: clipBy(() => 0) },
    defaults: { max_grad_norm: 1 },
  },
  "Lamb@cybertronai": {
    rule: "lamb",
    options: { ...shared, betas, eps },
    defaults: { weight_decay: 0 },
    fixed: { convention: "cybertronai" },
  },
  "Lars@timm": {
    rule: "lars",
    options: { ...ofSgd, trust_coeff: number("trustCoeff"), eps, ...ofTrust },
  },
  "NovoGrad@timm": {
    rule: "novograd",
    options: { ...shared, betas, eps, amsgrad, grad_averaging: gradAveraging },
  },
  "Adafactor@transformers": {
    rule: "adafactor",
    options: { ...ofAdafactor, lr: orNone(number("lr")), eps: numbers("eps", 2), relative_step: flag("relativeStep") },
    defaults: { relative_step: true },
    fixed: { convention: "transformers" },
  },
  "Adafactor@timm": {
    rule: "adafactor",
    options: {
      ...ofAdafactor,
      lr: orNone(number("lr")),
      eps: number("eps"),
      eps_scale: number("epsScale"),
      min_dim_size_to_factor: number("minDimSizeToFactor"),
    },
    fixed: { convention: "timm" },
    finish: relativeWithoutLr,
  },
  "Adafactor@torch2": {
    rule: "adafactor",
    options: { ...shared, eps: torchEps, d: number("clipThreshold"), beta2_decay: negated("decayRate") },
    fixed: { convention: "torch" },
  },
  Prodigy: {
    rule: "prodigy",
    options: {
      ...shared,
      betas,
      eps,
      beta3: orOff("beta3"),
      d0: number("d0"),
      d_coef: number("dCoef"),
      growth_rate: orOff("growthRate"),
      decouple: decayWhen(false, "coupled"),
      use_bias_correction: flag("useBiasCorrection"),
      safeguard_warmup: flag("safeguardWarmup"),
      slice_p: number("sliceP"),
    },
    slot: sliced,
  },
  ScheduleFreeSGD: {
    rule: "scheduleFreeSgd",
    options: { ...ofScheduleFree, momentum },
  },
  ScheduleFreeAdamW: {
    rule: "scheduleFreeAdamw",
    options: { ...ofScheduleFree, betas, eps, inner_momentum: number("innerMomentum") },
  },
  ScheduleFreeRAdam: {
    rule: "scheduleFreeRadam",
    options: { ...ofScheduleFree, betas, eps, silent_sgd_phase: flag("silentSgdPhase") },
  },
  "Muon@KellerJordan": {
    rule: "muon",
    options: ofMuon,
    defaults: { lr: 0.02, weight_decay: 0 },
    fixed: { convention: "keller-jordan" },
  },
  "MuonWithAuxAdam@KellerJordan": {
    rule: "muon",
    options: { ...ofMuon, betas, eps, use_muon: useMuon },
    finish: auxiliaryDefaults,
  },
  "Muon@torch2": {
    rule: "muon",
    options: {
      ...ofMuon,
      eps,
      ns_coefficients: numbers("nsCoefficients", 3),
      adjust_lr_fn: orNone(word("adjustLrFn", "original", "match_rms_adamw", "spectral_unclamped")),
    },
    fixed: { convention: "torch" },
  },
};

function cautious(rule: RuleName, options: Entry["options"], fixed: GroupOptions = {}): Entry {
  return { rule, options, fixed };
}

function cautiousFactor(value: OptionValue, complain: (must: string) => never): GroupOptions {
  if (typeof value !== "number") return complain("must be a number");
  return { cautiousUpdate: { convention: "lucidrains", factor: value } };
}

/** The decay factor is 1 - lambda lr / lr_0, with the lr_0 that the constructor was given. */
function decayFromConstruction(options: GroupOptions, { lr: lr0 = 1e-4 }: ReferenceOptions): GroupOptions {
  return options.decayMode === "scheduled" ? { ...options, referenceLr: Number(lr0) } : options;
}

/** timm masks the momentum; a plain gradient stays whole, zeros and all. */
function maskMomentum({ cautiousUpdate, ...rest }: GroupOptions): GroupOptions {
  return rest.momentum ? { cautiousUpdate: cautiousUpdate!, ...rest } : rest;
}

/** Fixed decay is a kind of decoupled decay. */
function fixDecay({ fixedDecay, ...rest }: GroupOptions): GroupOptions {
  return fixedDecay && rest.decayMode !== "coupled" ? { ...rest, decayMode: "independent" } : rest;
}

/** PyTorch takes the value that the constructor was given, whatever a group says. */
function accumulateFrom(options: GroupOptions, { initial_accumulator_value: initial = 0 }: ReferenceOptions) {
  return { ...options, initialAccumulatorValue: initial };
}

/** PyTorch's sums are there from construction, with their first value. */
function accumulated(name: string, values: number[], { initialAccumulatorValue }: GroupOptions, step: number) {
  return name === "sum" && step === 0 ? values.map(() => Number(initialAccumulatorValue)) : values;
}

/** timm's correction: lambda lr / lr_0 in the place of lambda, with the lr_0 that the constructor was given. */
function correctDecay(options: GroupOptions, { lr: lr0 = 1e-3 }: ReferenceOptions): GroupOptions {
  const { correctedWeightDecay, ...rest } = options;
  if (!correctedWeightDecay) return rest;
  const { lr = Number(lr0), weightDecay = 0.01 } = rest;
  return { ...rest, weightDecay: (weightDecay * lr) / Number(lr0) };
}

/** timm's MADGRAD decays before it takes the mean of positions, in which theta has the weight of the momentum. */
function decayWithinMean(options: GroupOptions): GroupOptions {
  const { decayMode, weightDecay = 0, momentum = 0.9 } = options;
  if (decayMode !== "decoupled" || momentum === 0) return options;
  return { ...options, weightDecay: weightDecay * Number(momentum) };
}

/** timm's Adafactor has relative steps where its constructor was given no lr, and two numbers where others have a pair. */
function relativeWithoutLr(options: GroupOptions, { lr }: ReferenceOptions): GroupOptions {
  const { eps: own = 0, epsScale = 1e-3, ...rest } = options;
  return { ...rest, eps: [own, epsScale], relativeStep: !lr };
}

/** Of s and p0 Prodigy keeps every p-th element, the others are zero here; and of a tensor of zeros a single one. */
function sliced(name: string, values: number[], { sliceP = 1 }: GroupOptions): number[] {
  if (name === "p0" && values.every((x) => x === 0)) return [0];
  return name === "s" || name === "p0" ? values.filter((_, i) => i % Number(sliceP) === 0) : values;
}

/** PyTorch's pair, in which the first may be left to the precision of the parameters: 0 here. */
function torchEps(value: OptionValue, complain: (must: string) => never): GroupOptions {
  if (!Array.isArray(value)) return complain("must be two numbers");
  return numbers("eps", 2)([value[0] ?? 0, ...value.slice(1)], complain);
}

function useMuon(value: OptionValue, complain: (must: string) => never): GroupOptions {
  if (typeof value !== "boolean") return complain("must be true or false");
  return { rule: value ? "muon" : "adamw" };
}

/** Groups of both kinds have defaults of their own. */
function auxiliaryDefaults(options: GroupOptions): GroupOptions {
  if (options.rule === "adamw") return { lr: 3e-4, betas: [0.9, 0.95], eps: 1e-10, weightDecay: 0, ...options };
  return { lr: 0.02, weightDecay: 0, convention: "keller-jordan", ...options };
}
