/** What a user hands to `createOptimizer`, and its checks: everything is refused before anything is made. */
import { OptionError } from "../errors.ts";
import type { BufferRange, TensorSpec } from "../host/memory.ts";
import { bytesOf, type ElementType, F32_FORMAT, type TensorFormats, takenInFours } from "../host/number-format.ts";
import { checkBoolean, checkKeys, checkNumber } from "./checks.ts";
import {
  GROUP_OPTIONS,
  type Group,
  type GroupOptions,
  type GroupSpec,
  groupOf,
  type MatchedRule,
  type RuleSpec,
} from "./groups.ts";
import type { LossScaleOptions, LossScaler } from "./loss-scaler.ts";
import type { HyperOptions, Rule, StateFormat } from "./rule.ts";

/** A range of a buffer, in bytes; default offset 0 and the tensor's size. The offset must be a multiple of 256. */
export interface BufferSlice {
  readonly buffer: GPUBuffer;
  readonly offset?: number;
  readonly size?: number;
}

/** A parameter whose memory the engine owns. */
export interface ArenaParam {
  readonly name: string;
  readonly shape: readonly number[];
  /** Initial values in row-major order; default zeros. */
  readonly data?: Float32Array;
}

/**
 * A parameter in the caller's buffers, usage STORAGE, float32 or what `storage` says. The caller keeps owning them. In 16 bits there
 * must be room for a multiple of four elements, filled up with zeros.
 */
export interface AttachedParam {
  readonly name: string;
  readonly shape: readonly number[];
  readonly param: BufferSlice;
  readonly grad: BufferSlice;
}

/** A parameter. */
export type ParamSpec = ArenaParam | AttachedParam;

/** Clipping of gradients, in this order: global norm, norm of each tensor, value. After unscaling. */
export interface ClipOptions {
  /** Scale all gradients so that their common norm is at most this; > 0. `torch.nn.utils.clip_grad_norm_`. */
  globalNorm?: number;
  /** Scale each tensor's gradient so that its norm is at most this; > 0. */
  tensorNorm?: number;
  /** p >= 1 of these two norms, or Infinity; default 2. */
  normType?: number;
  /** Clamp to +- this; >= 0. `torch.nn.utils.clip_grad_value_`. */
  value?: number;
  /**
   * Adaptive gradient clipping, after the norms and before the value: the gradient of each unit (a row of the first dimension; a
   * vector is one unit) is at most `factor` (0.01, say) times as long as its parameters, which count as at least `eps` (default
   * 1e-3) long. Brock et al. (2021), arXiv:2102.06171.
   */
  adaptive?: { factor: number; eps?: number };
  /** What is added to one of the two norms before the limit is divided by it; default 1e-6, as in PyTorch. */
  eps?: number;
}

/** Lookahead: after every k-th update slow <- slow + alpha (theta - slow) and theta <- slow. Zhang et al. (2019), arXiv:1907.08610. */
export interface LookaheadOptions {
  /** Updates in a round; default 6. */
  k?: number;
  /** In (0, 1]; default 0.5. */
  alpha?: number;
  /**
   * Where the slow weights begin: with the parameters at creation (the paper), or with those at the end of the first round, which
   * then changes nothing (timm): a tensor's at its own first synchronization, NaN before. Default `initial`.
   */
  init?: "initial" | "first-sync";
}

/** An average of the parameters over the updates, beside the parameters. `train` and `eval` swap the two. */
export interface AverageOptions {
  /** EMA: avg <- decay avg + (1 - decay) theta, in [0, 1). */
  decay?: number;
  /** The first update that is averaged, which is copied; default 1. */
  start?: number;
  /** Average every so many updates; default 1. */
  every?: number;
}

/** Parameters and gradients in 16 bits, packed in u32, the first of two elements in the lower half. No device feature is needed. */
export interface StorageOptions {
  /** `"bf16"` (8 bits of exponent, 7 of fraction) or `"f16"` (5 and 10; infinite from 65520 on); default `"f32"`. */
  params?: ElementType;
  /** Default that of the parameters. Gradients in f16 underflow below 6e-8: use `lossScale`. */
  grads?: ElementType;
  /**
   * Parameters of 16 bits are copies, rounded to the nearest, of a float32 master in the state, which is what is trained, saved and read.
   * Without, they are all there is, and are rounded up or down by chance, so that the expected value is exact. Default true.
   */
  master?: boolean;
  /** What that chance is hashed from, with the tensor's name, its step and the element: a whole number >= 0 and < 2^32; default 0. */
  seed?: number;
}

/** Options of `createOptimizer`. Those of {@link GroupOptions} hold for every group that does not say otherwise. */
export interface OptimizerOptions extends GroupOptions {
  /** `adamw()`, `sgd({ momentum: 0.9 })`, ... This or `rules` must be given. */
  rule?: Rule;
  /** Several rules; each tensor follows the first that matches it. */
  rules?: readonly RuleSpec[];
  params: readonly ParamSpec[];
  /** The first that matches a tensor takes it; the rest form the group `default`. With `rules`, each of these has its own. */
  groups?: readonly GroupSpec[];
  /**
   * How state is kept: `"8-bit"` quantizes it in blocks of 256 elements with a float32 scale each (Dettmers et al. (2022),
   * arXiv:2110.02861), for rules of Adam's family, SGD with momentum, Signum and Lion. Tensors below 4096 elements, and attached ones
   * whose size is no multiple of 4, keep float32, as do anchors, slow weights and averages. Default `"f32"`.
   */
  state?: StateFormat;
  /** How parameters and gradients are kept; default float32. */
  storage?: StorageOptions;
  clip?: ClipOptions;
  lookahead?: LookaheadOptions;
  /** An exponential moving average of the parameters; `decay` must be given. */
  ema?: AverageOptions;
  /** Stochastic weight averaging: the mean of the parameters, avg <- avg + (theta - avg) / (n + 1). Izmailov et al. (2018), arXiv:1803.05407. */
  swa?: Omit<AverageOptions, "decay">;
  /**
   * Skip a step whole if any gradient is not finite, as if the batch had never been; default true where gradients are measured
   * anyway (clipping by norm, dynamic loss scaling), else false.
   */
  skipNonFinite?: boolean;
  /** A fixed number that the gradients are to be divided by, options of dynamic scaling, or a scaler shared with other optimizers. */
  lossScale?: number | LossScaleOptions | LossScaler;
  /** Sum gradients over so many calls of `step` before updating; a number means the mean of so many. */
  accumulate?: number | { microBatches: number; reduce?: "mean" | "sum" };
  /**
   * Compute figures every so many steps (default 1); without this option none are. With `timing` (default false) they tell how
   * long the device took, for which it needs the feature `timestamp-query`.
   */
  monitor?: { every?: number; timing?: boolean };
  /** Begins the label of every GPU object; default `optim`. */
  label?: string;
}

/** How parameters and gradients are kept. */
export interface StorageSettled {
  readonly formats: TensorFormats;
  /** Parameters have a float32 copy in the state. */
  readonly master: boolean;
  /** By a tensor's name, what rounding by chance is hashed from. */
  readonly roundingKey: ((name: string) => number) | undefined;
}

/** How gradients are scaled and summed. */
export interface ScalingSettled {
  readonly staticLossScale: number;
  readonly lossScale: LossScaleOptions | LossScaler | undefined;
  readonly microBatches: number;
  readonly unscale: number;
}

/** Options with everything settled. */
export interface Settled extends StorageSettled, ScalingSettled {
  readonly label: string;
  readonly clip: {
    readonly globalNorm: number;
    readonly tensorNorm: number;
    readonly p: number;
    readonly eps: number;
    readonly adaptive: { readonly factor: number; readonly eps: number } | undefined;
  };
  readonly lookahead: Required<LookaheadOptions> | undefined;
  /** `decay` is undefined for SWA. */
  readonly average: { readonly decay: number | undefined; readonly start: number; readonly every: number } | undefined;
  readonly skipNonFinite: boolean;
  /** Gradients are measured before the update. */
  readonly measures: boolean;
  readonly every: number;
  readonly timing: boolean;
}

const FLOAT32: StorageSettled = {
  formats: { param: F32_FORMAT, grad: F32_FORMAT },
  master: false,
  roundingKey: undefined,
};
const AS_THEY_ARE: ScalingSettled = { staticLossScale: 1, lossScale: undefined, microBatches: 1, unscale: 1 };

const NO_CLIPPING: Settled["clip"] = { globalNorm: 0, tensorNorm: 0, p: 2, eps: 1e-6, adaptive: undefined };

const KNOWN = [
  ...["rule", "rules", "params", "groups", "clip", "skipNonFinite", "lossScale", "accumulate", "monitor", "label"],
  ...GROUP_OPTIONS,
  ...["lookahead", "ema", "swa", "state", "storage"],
];

/** Whether there are options that only `extra-options.ts` knows. */
export function wantsExtras(options: OptimizerOptions | undefined): boolean {
  const { clip, lossScale, accumulate, lookahead, ema, swa, storage } = options ?? ({} as OptimizerOptions);
  return [clip, lossScale, accumulate, lookahead, ema, swa, storage].some((option) => option !== undefined);
}

/**
 * @param extras must be given where {@link wantsExtras} says so.
 * @throws {OptionError}
 */
export function settle(options: OptimizerOptions, extras?: typeof import("./extra-options.ts")): Settled {
  checkKeys("createOptimizer", "", options, KNOWN);
  const { rule, rules } = options;
  if (rules !== undefined && rule !== undefined)
    throw new OptionError("createOptimizer", "rule", "must not be given beside rules", rule.definition?.name);
  if (rules === undefined && typeof rule?.definition?.name !== "string")
    throw new OptionError("createOptimizer", "rule", "must be a rule such as adamw()", rule);
  if (rules !== undefined && options.groups !== undefined) {
    const must = "must be given to the rule they belong to, rules[i].groups";
    throw new OptionError("createOptimizer", "groups", must, options.groups);
  }
  const where = rule?.definition.name ?? "rules";
  const { monitor, label = "optim" } = options;
  const clip = extras?.settleClip(where, options.clip) ?? NO_CLIPPING;
  if (monitor !== undefined) checkKeys(where, "monitor", monitor, ["every", "timing"]);
  const { every = 1, timing = false } = monitor ?? {};
  checkNumber(where, "monitor.every", every, { min: 1, whole: true });
  checkBoolean(where, "monitor.timing", timing);
  if (typeof label !== "string") throw new OptionError(where, "label", "must be a text", label);

  const gradients = extras?.settleScaling(where, options) ?? AS_THEY_ARE;
  const normed = clip.globalNorm > 0 || clip.tensorNorm > 0 || gradients.lossScale !== undefined;
  const { skipNonFinite = normed } = options;
  checkBoolean(where, "skipNonFinite", skipNonFinite);
  return {
    label: `${label} ${where}`,
    clip,
    lookahead: extras?.settleLookahead(where, options.lookahead),
    average: extras?.settleAverage(where, options),
    ...(extras?.settleStorage(where, options.storage) ?? FLOAT32),
    skipNonFinite,
    measures: normed || skipNonFinite,
    ...gradients,
    every: monitor === undefined ? 0 : every,
    timing,
  };
}

const STORAGE = 0x80;
// Elements of a tensor from which its state is quantized: below, there is little to gain and more to lose.
const QUANTIZED_FROM = 4096;

/**
 * Parameters as tensors to be placed.
 *
 * @param taken names that exist already.
 * @throws {OptionError}
 */
export function checkParams(
  where: string,
  params: readonly ParamSpec[],
  rules: readonly MatchedRule[],
  groups: readonly Group[],
  taken: ReadonlySet<string>,
  settled: Settled,
): TensorSpec[] {
  if (!Array.isArray(params) || params.length === 0)
    throw new OptionError(where, "params", "must be a list of at least one tensor", params);
  const names = new Set(taken);
  const specs = params.map((p, i): TensorSpec => {
    const at = `params[${i}]`;
    checkKeys(where, at, p, ["name", "shape", "data", "param", "grad"]);
    const { name, shape, data, param, grad } = p as Partial<ArenaParam & AttachedParam>;
    if (typeof name !== "string" || name === "") throw new OptionError(where, `${at}.name`, "must be a text", name);
    if (names.has(name)) throw new OptionError(where, `${at}.name`, "must be unique", name);
    names.add(name);
    const size = checkShape(where, `${at}.shape (${name})`, shape);
    const info = { name, shape: shape as readonly number[] };
    if (data !== undefined && (!(data instanceof Float32Array) || data.length !== size)) {
      throw new OptionError(where, `${at}.data (${name})`, `must be a Float32Array of ${size} elements`, data);
    }
    const group = groupOf(rules, groups, info);
    if (group < 0) throw new OptionError(where, `${at} (${name})`, "must match one of the rules", name);
    const { rule } = groups[group] as Group;
    const refused = rules[rule]?.definition.refuses?.(info.shape);
    if (refused !== undefined) throw new OptionError(where, `${at}.shape (${name})`, refused, info.shape);
    const ofRule = rules[rule]?.definition.extraState?.(groups[group]?.hyper as HyperOptions, info.shape).elements ?? 0;
    const unitSize = settled.clip.adaptive ? unitSizeOf(info.shape, size) : 0;
    const unitsAt = Math.ceil(ofRule / 4) * 4;
    const extra = unitSize > 0 ? unitsAt + size / unitSize : ofRule;
    const whole = takenInFours(settled.formats) || size % 4 === 0;
    const large = size >= QUANTIZED_FROM && (param === undefined || whole);
    const quantized = large && rules[rule]?.state === "8-bit";
    const placed = { size, group, rule, order: taken.size + i, extra, unitsAt, unitSize, quantized };
    if (param === undefined && grad === undefined) return { ...info, ...placed, data };
    if (data !== undefined)
      throw new OptionError(
        where,
        `${at}.data (${name})`,
        "cannot be given for a tensor that has its own buffers",
        data,
      );
    const attached = {
      param: checkSlice(where, `${at}.param (${name})`, param, bytesOf(settled.formats, "param", size)),
      grad: checkSlice(where, `${at}.grad (${name})`, grad, bytesOf(settled.formats, "grad", size)),
    };
    return { ...info, ...placed, attached };
  });
  checkOverlaps(where, specs);
  // Tensors of one rule and format lie side by side, so that one dispatch covers them.
  return specs.sort((a, b) => a.rule - b.rule || Number(a.quantized) - Number(b.quantized));
}

/** Elements of a unit of adaptive clipping: a row of the first dimension, or a whole vector. */
function unitSizeOf(shape: readonly number[], size: number): number {
  return shape.length <= 1 ? size : size / (shape[0] as number);
}

function checkShape(where: string, option: string, shape: unknown): number {
  if (!Array.isArray(shape) || shape.some((d) => !Number.isSafeInteger(d) || d < 0))
    throw new OptionError(where, option, "must be a list of whole numbers >= 0", shape);
  const size = (shape as number[]).reduce((n, d) => n * d, 1);
  if (size >= 2 ** 31) throw new OptionError(where, option, "must have less than 2^31 elements", shape);
  return size;
}

/** Checks a range of a caller's buffer for `bytes` bytes. @throws {OptionError} */
export function checkSlice(where: string, option: string, slice: unknown, bytes: number): BufferRange {
  checkKeys(where, option, slice, ["buffer", "offset", "size"]);
  const { buffer, offset = 0, size: given } = slice as Partial<BufferSlice>;
  if (
    buffer === null ||
    typeof buffer !== "object" ||
    typeof buffer.size !== "number" ||
    typeof buffer.usage !== "number"
  ) {
    throw new OptionError(where, `${option}.buffer`, "must be a GPUBuffer", buffer);
  }
  checkNumber(where, `${option}.offset`, offset, { min: 0, whole: true });
  if (offset % 256 !== 0) throw new OptionError(where, `${option}.offset`, "must be a multiple of 256", offset);
  if (given !== undefined && (!Number.isInteger(given) || given < bytes))
    throw new OptionError(where, `${option}.size`, `must be at least ${bytes} bytes`, given);
  if ((buffer.usage & STORAGE) === 0)
    throw new OptionError(where, `${option}.buffer`, "must have usage STORAGE", buffer.usage);
  const end = offset + (given ?? bytes);
  if (end > buffer.size) throw new OptionError(where, option, `needs ${end} bytes of its buffer`, buffer.size);
  return { buffer, offset, size: bytes };
}

/** No parameter may share memory with another tensor. */
export function checkOverlaps(
  where: string,
  tensors: readonly { name: string; attached?: { param: BufferRange; grad: BufferRange } | undefined }[],
): void {
  const byBuffer = new Map<GPUBuffer, { name: string; range: BufferRange; writes: boolean }[]>();
  for (const { name, attached } of tensors) {
    if (!attached) continue;
    for (const [what, range] of Object.entries(attached)) {
      if (range.size === 0) continue;
      const list = byBuffer.get(range.buffer) ?? [];
      list.push({ name: `${what} of ${name}`, range, writes: what === "param" });
      byBuffer.set(range.buffer, list);
    }
  }
  for (const list of byBuffer.values()) {
    list.sort((a, b) => a.range.offset - b.range.offset);
    let reach = list[0];
    for (const next of list.slice(1)) {
      if (reach && reach.range.offset + reach.range.size > next.range.offset && (reach.writes || next.writes)) {
        throw new OptionError(where, next.name, `must not overlap ${reach.name}`, next.range.offset);
      }
      if (!reach || next.range.offset + next.range.size > reach.range.offset + reach.range.size) reach = next;
    }
  }
}
