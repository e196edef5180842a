/**
 * Recipes of practice as options for `createOptimizer`: rule, learning rate, decay, groups, clipping. Spread one, and say what differs:
 * `createOptimizer(device, { ...presets.gptPretraining(params, { steps: 10_000 }), params })`.
 *
 * Where nothing else is said, tensors without decay are those of `decayGroups`: biases, scales and shifts of normalization, other
 * tensors of one dimension, positional embeddings. They hold few numbers, whose size says little about how complex the function is; to
 * shrink the scales of a normalization only changes the learning rate of what comes before it.
 */
import { OptionError } from "../errors.ts";
import { checkKeys, checkNumber } from "./checks.ts";
import { checkMatch, decayGroups, type GroupSpec, type Match, matches, type TensorInfo } from "./groups.ts";
import type { OptimizerOptions } from "./options.ts";
import { adamw } from "./rules/adam.ts";
import { rmsprop } from "./rules/adaptive.ts";
import { sgd } from "./rules/sgd.ts";
import { cosine, linear, type Schedule } from "./schedules.ts";
import { warmup } from "./schedules-compose.ts";

/** What a preset gives. */
export type Preset = Pick<OptimizerOptions, "rule" | "lr" | "weightDecay" | "decayMode" | "groups" | "clip">;

/** What every preset can be told. */
export interface PresetOptions {
  /** Peak learning rate; default the recipe's. */
  readonly lr?: number;
  /** Steps of the run: makes lr a schedule, as the recipe has it. Default none: lr is constant. */
  readonly steps?: number;
  /** Steps of linear warm-up within these; default the recipe's share. */
  readonly warmupSteps?: number;
  /** Default the recipe's. */
  readonly weightDecay?: number;
}

type Curve = (lr: number, steps: number) => Schedule;

/** A recipe's own numbers. */
interface Recipe {
  readonly lr: number;
  readonly weightDecay: number;
  /** Share of the steps that is warm-up; default 0. */
  readonly warmup?: number;
  /** What comes after the warm-up; default cosine to 0. */
  readonly curve?: Curve;
}

/** Peak lr and decay as asked for, and lr as a schedule where the steps are known. */
function settle(
  where: string,
  params: readonly TensorInfo[],
  options: PresetOptions,
  recipe: Recipe,
  known: readonly string[] = [],
) {
  checkKeys(where, "", options, ["lr", "steps", "warmupSteps", "weightDecay", ...known]);
  const { lr = recipe.lr, steps, weightDecay = recipe.weightDecay } = options;
  checkNumber(where, "lr", lr, { min: 0 });
  checkNumber(where, "weightDecay", weightDecay, { min: 0 });
  if (steps === undefined) {
    if (options.warmupSteps !== undefined)
      throw new OptionError(where, "warmupSteps", "needs steps", options.warmupSteps);
    return { lr, weightDecay, groups: decayGroups(params, { weightDecay }) };
  }
  checkNumber(where, "steps", steps, { min: 1, whole: true });
  const { warmupSteps = Math.round((recipe.warmup ?? 0) * steps) } = options;
  checkNumber(where, "warmupSteps", warmupSteps, { min: 0, max: steps, whole: true });
  const curve = (recipe.curve ?? cosine)(lr, steps);
  const schedule = warmupSteps > 0 ? warmup(warmupSteps, curve) : curve;
  return { lr: schedule, weightDecay, groups: decayGroups(params, { weightDecay }) };
}

/** SGD of the convolutional recipes: L2 in the gradient, which for SGD is what its papers mean by weight decay. */
function convolutional(where: string, recipe: Recipe, nesterov = false) {
  return (params: readonly TensorInfo[], options: PresetOptions = {}): Preset => ({
    rule: sgd({ momentum: 0.9, nesterov }),
    decayMode: "coupled",
    ...settle(where, params, options, recipe),
  });
}

/**
 * ResNet on ImageNet: SGD, momentum 0.9, lr 0.1 (for batches of 256; scale it with the batch), decay 1e-4; 5 epochs of 90 as warm-up,
 * cosine. He et al. (2016), arXiv:1512.03385, decays everything; He et al. (2019), arXiv:1812.01187, leaves biases and batch
 * normalization alone, as here.
 */
export const resnetImagenet: (params: readonly TensorInfo[], options?: PresetOptions) => Preset =
  /* @__PURE__ */ convolutional("resnetImagenet", { lr: 0.1, weightDecay: 1e-4, warmup: 5 / 90 });

/** ResNet on CIFAR-10: SGD, Nesterov momentum 0.9, lr 0.1 (batches of 128), decay 5e-4. Zagoruyko & Komodakis (2016), arXiv:1605.07146. */
export const resnetCifar: (params: readonly TensorInfo[], options?: PresetOptions) => Preset =
  /* @__PURE__ */ convolutional("resnetCifar", { lr: 0.1, weightDecay: 5e-4 }, true);

/** VGG: SGD, momentum 0.9, lr 0.01, decay 5e-4. Simonyan & Zisserman (2015), arXiv:1409.1556. */
export const vgg: (params: readonly TensorInfo[], options?: PresetOptions) => Preset = /* @__PURE__ */ convolutional(
  "vgg",
  { lr: 0.01, weightDecay: 5e-4 },
);

/**
 * MobileNet: RMSprop as TensorFlow's (alpha 0.9, momentum 0.9, eps 1), lr 0.045, decay 4e-5; depthwise kernels, of shape
 * [channels, 1, k, k], are not decayed: they have few numbers. Howard et al. (2017), arXiv:1704.04861; Sandler et al. (2018).
 */
export function mobilenet(params: readonly TensorInfo[], options: PresetOptions = {}): Preset {
  const { groups, ...rest } = settle("mobilenet", params, options, { lr: 0.045, weightDecay: 4e-5 });
  const depthwise: GroupSpec = {
    name: "depthwise",
    match: ({ shape }) => shape.length === 4 && shape[1] === 1,
    weightDecay: 0,
  };
  const rule = rmsprop({ alpha: 0.9, momentum: 0.9, eps: 1, tensorflow: true });
  return { rule, decayMode: "coupled", ...rest, groups: [depthwise, ...groups] };
}

/** EfficientNet: RMSprop as TensorFlow's (alpha 0.9, momentum 0.9, eps 1e-3), lr 0.016 (batches of 256), decay 1e-5. Tan & Le (2019), arXiv:1905.11946. */
export function efficientnet(params: readonly TensorInfo[], options: PresetOptions = {}): Preset {
  const rule = rmsprop({ alpha: 0.9, momentum: 0.9, eps: 1e-3, tensorflow: true });
  const recipe = { lr: 0.016, weightDecay: 1e-5, warmup: 5 / 350 };
  return { rule, decayMode: "coupled", ...settle("efficientnet", params, options, recipe) };
}

/** AdamW of the transformer recipes: decoupled decay, gradients clipped to a common norm of 1. */
function transformer(where: string, betas: readonly [number, number], eps: number, recipe: Recipe) {
  return (params: readonly TensorInfo[], options: PresetOptions = {}): Preset => ({
    rule: adamw({ betas, eps }),
    clip: { globalNorm: 1 },
    ...settle(where, params, options, recipe),
  });
}

/** BERT, fine-tuning: AdamW, lr 2e-5, decay 0.01, a tenth of the steps as warm-up, then linear to 0. Devlin et al. (2019), arXiv:1810.04805. */
export const bertFineTuning: (params: readonly TensorInfo[], options?: PresetOptions) => Preset =
  /* @__PURE__ */ transformer("bertFineTuning", [0.9, 0.999], 1e-6, {
    lr: 2e-5,
    weightDecay: 0.01,
    warmup: 0.1,
    curve: (lr, steps) => linear(lr, steps, { startFactor: 1, endFactor: 0 }),
  });

/** GPT, pre-training: AdamW, betas 0.9 and 0.95, lr 3e-4, decay 0.1, 1 % warm-up, cosine to a tenth. Brown et al. (2020), arXiv:2005.14165. */
export const gptPretraining: (params: readonly TensorInfo[], options?: PresetOptions) => Preset =
  /* @__PURE__ */ transformer("gptPretraining", [0.9, 0.95], 1e-8, {
    lr: 3e-4,
    weightDecay: 0.1,
    warmup: 0.01,
    curve: (lr, steps) => cosine(lr, steps, { etaMin: lr / 10 }),
  });

/** ViT: AdamW, lr 1e-3, decay 0.1 (0.05 with strong augmentation, as DeiT; 0.3 from scratch on ImageNet), warm-up, cosine. Dosovitskiy et al. (2021), arXiv:2010.11929. */
export const vit: (params: readonly TensorInfo[], options?: PresetOptions) => Preset = /* @__PURE__ */ transformer(
  "vit",
  [0.9, 0.999],
  1e-8,
  { lr: 1e-3, weightDecay: 0.1, warmup: 0.03 },
);

/** CLIP: AdamW, betas 0.9 and 0.98, eps 1e-6, lr 5e-4, decay 0.2; gains, biases and the temperature are not decayed. Radford et al. (2021), arXiv:2103.00020. */
export const clipPretraining: (params: readonly TensorInfo[], options?: PresetOptions) => Preset =
  /* @__PURE__ */ transformer("clipPretraining", [0.9, 0.98], 1e-6, { lr: 5e-4, weightDecay: 0.2, warmup: 0.02 });

/** Options of {@link lora}. */
export interface LoraOptions extends PresetOptions {
  /** The adapters; default names with `lora` in them. Everything else is frozen. */
  readonly adapters?: Match;
}

/**
 * LoRA: AdamW on the adapters, lr 2e-4, decay 0 (up to 0.01): B begins at 0 and their product is small already. The base is frozen.
 * Hu et al. (2022), arXiv:2106.09685.
 */
export function lora(params: readonly TensorInfo[], options: LoraOptions = {}): Preset {
  const recipe = { lr: 2e-4, weightDecay: 0, warmup: 0.03 };
  const { lr, weightDecay } = settle("lora", params, options, recipe, ["adapters"]);
  const { adapters = /lora/i } = options;
  checkMatch("lora", "adapters", adapters);
  return {
    rule: adamw(),
    lr,
    weightDecay,
    groups: [
      { name: "adapters", match: adapters },
      { name: "base", match: "*", frozen: true },
    ],
  };
}

/** Options of {@link newHead}. */
export interface NewHeadOptions extends PresetOptions {
  /** The head; default names that begin with `head`, `fc`, `classifier` or `output`. Everything else is frozen. */
  readonly head?: Match;
}

/** A new head on a frozen backbone: AdamW, lr 1e-3, decay 0.01 on the head's weights; its bias is free. */
export function newHead(params: readonly TensorInfo[], options: NewHeadOptions = {}): Preset {
  const { lr, weightDecay } = settle("newHead", params, options, { lr: 1e-3, weightDecay: 0.01 }, ["head"]);
  const { head = /^(head|fc|classifier|output)/i } = options;
  checkMatch("newHead", "head", head);
  const isBias = /(^|[._/])bias$/i;
  const own = (matrix: boolean): Match => {
    const names = new Set(selected(params, head).filter((name) => isBias.test(name) !== matrix));
    return ({ name }) => names.has(name);
  };
  return {
    rule: adamw(),
    lr,
    weightDecay,
    groups: [
      { name: "head", match: own(true) },
      { name: "head bias", match: own(false), weightDecay: 0 },
      { name: "backbone", match: "*", frozen: true },
    ],
  };
}

/** Very small data sets: AdamW, lr 1e-3, decay 0.5 (0.1 to 1): with few examples the prior has to say more. Watch the figure `decayDose`. */
export const smallData: (params: readonly TensorInfo[], options?: PresetOptions) => Preset =
  /* @__PURE__ */ transformer("smallData", [0.9, 0.999], 1e-8, { lr: 1e-3, weightDecay: 0.5, warmup: 0.05 });

/** Options of {@link embeddings}. */
export interface EmbeddingOptions extends PresetOptions {
  /** The embeddings; default names with `emb` or `wte` in them. */
  readonly match?: Match;
}

/**
 * A model with large embeddings: AdamW, lr 1e-3, decay 0.01 on all, on embeddings too: a row whose token is not in the batch has a
 * gradient of zero and is decayed all the same, so more would forget rare tokens.
 */
export function embeddings(params: readonly TensorInfo[], options: EmbeddingOptions = {}): Preset {
  const { groups, ...rest } = settle("embeddings", params, options, { lr: 1e-3, weightDecay: 0.01 }, ["match"]);
  const { match = /(emb|wte)/i } = options;
  checkMatch("embeddings", "match", match);
  const [noDecay] = groups as [GroupSpec];
  const rows = new Set(params.filter((p) => matches(match, p) && !matches(noDecay.match, p)).map((p) => p.name));
  const own: GroupSpec = { name: "embeddings", match: ({ name }) => rows.has(name), weightDecay: rest.weightDecay };
  return { rule: adamw(), ...rest, groups: [own, ...groups] };
}

function selected(params: readonly TensorInfo[], match: Match): string[] {
  return params.filter((p) => matches(match, p)).map((p) => p.name);
}
