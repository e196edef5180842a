/** Checks of options that not everybody gives: clipping, loss scaling, accumulation, averages, storage in 16 bits. Loaded where one is given. */
import { OptionError } from "../errors.ts";
import { BF16_FORMAT, F16_FORMAT } from "../host/half.ts";
import { F32_FORMAT, type NumberFormat } from "../host/number-format.ts";
import { checkBoolean, checkKeys, checkNumber } from "./checks.ts";
import type {
  AverageOptions,
  ClipOptions,
  LookaheadOptions,
  OptimizerOptions,
  ScalingSettled,
  Settled,
  StorageOptions,
  StorageSettled,
} from "./options.ts";

/** @throws {OptionError} */
export function settleClip(where: string, clip: ClipOptions | undefined): Settled["clip"] | undefined {
  if (clip === undefined) return undefined;
  checkKeys(where, "clip", clip, ["globalNorm", "tensorNorm", "normType", "value", "eps", "adaptive"]);
  const positive = (option: string, value: unknown): number => {
    if (value === undefined) return 0;
    checkNumber(where, option, value, { min: 2 ** -126 });
    return value;
  };
  const { globalNorm, tensorNorm, normType = 2, eps = 1e-6, value = 0, adaptive } = clip as ClipOptions;
  if (normType !== Infinity) checkNumber(where, "clip.normType", normType, { min: 1, max: 12 });
  checkNumber(where, "clip.eps", eps, { min: 0 });
  checkNumber(where, "clip.value", value, { min: 0 });
  const norms = {
    globalNorm: positive("clip.globalNorm", globalNorm),
    tensorNorm: positive("clip.tensorNorm", tensorNorm),
  };
  for (const option of ["normType", "eps"] as const) {
    // What it speaks of would not happen.
    if (clip[option] !== undefined && globalNorm === undefined && tensorNorm === undefined)
      throw new OptionError(where, `clip.${option}`, "needs clip.globalNorm or clip.tensorNorm", clip[option]);
  }
  return {
    ...norms,
    p: normType === Infinity ? 0 : normType,
    eps,
    adaptive: settleAdaptive(where, adaptive),
  };
}

function settleAdaptive(where: string, given: unknown): Settled["clip"]["adaptive"] {
  if (given === undefined) return undefined;
  checkKeys(where, "clip.adaptive", given, ["factor", "eps"]);
  const { factor, eps = 1e-3 } = given as { factor: number; eps?: number };
  checkNumber(where, "clip.adaptive.factor", factor, { min: 2 ** -126 });
  checkNumber(where, "clip.adaptive.eps", eps, { min: 0 });
  return { factor, eps };
}

/** @throws {OptionError} */
export function settleScaling(where: string, options: OptimizerOptions): ScalingSettled {
  const { lossScale, accumulate: given = 1 } = options;
  const staticLossScale = typeof lossScale === "number" ? lossScale : 1;
  // Its inverse must be a normal float32 too.
  checkNumber(where, "lossScale", staticLossScale, { min: 2 ** -126, max: 2 ** 126 });
  const dynamic = typeof lossScale === "number" ? undefined : lossScale;
  if (dynamic !== undefined && (typeof dynamic !== "object" || dynamic === null))
    throw new OptionError(where, "lossScale", "must be a number, options or a LossScaler", dynamic);
  const accumulate = typeof given === "number" ? { microBatches: given } : given;
  checkKeys(where, "accumulate", accumulate, ["microBatches", "reduce"]);
  const { microBatches, reduce = "mean" } = accumulate as { microBatches: number; reduce?: string };
  checkNumber(where, "accumulate.microBatches", microBatches, { min: 1, max: 2 ** 24, whole: true });
  if (reduce !== "mean" && reduce !== "sum")
    throw new OptionError(where, "accumulate.reduce", 'must be "mean" or "sum"', reduce);
  const unscale = 1 / (staticLossScale * (reduce === "mean" ? microBatches : 1));
  return { staticLossScale, lossScale: dynamic, microBatches, unscale };
}

/** @throws {OptionError} */
export function settleLookahead(where: string, given: LookaheadOptions | undefined): Settled["lookahead"] {
  if (given === undefined) return undefined;
  checkKeys(where, "lookahead", given, ["k", "alpha", "init"]);
  const { k = 6, alpha = 0.5, init = "initial" } = given as LookaheadOptions;
  checkNumber(where, "lookahead.k", k, { min: 1, max: 2 ** 31, whole: true });
  checkNumber(where, "lookahead.alpha", alpha, { min: 2 ** -126, max: 1 });
  if (init !== "initial" && init !== "first-sync")
    throw new OptionError(where, "lookahead.init", 'must be "initial" or "first-sync"', init);
  return { k, alpha, init };
}

/** @throws {OptionError} */
export function settleAverage(where: string, { ema, swa }: OptimizerOptions): Settled["average"] {
  if (ema !== undefined && swa !== undefined)
    throw new OptionError(where, "swa", "must not be given beside ema: there is one average", swa);
  // Not `ema ?? swa`: null is refused, as everywhere.
  const given = ema === undefined ? swa : ema;
  if (given === undefined) return undefined;
  const name = ema === undefined ? "swa" : "ema";
  checkKeys(where, name, given, ema === undefined ? ["start", "every"] : ["decay", "start", "every"]);
  const { decay, start = 1, every = 1 } = given as AverageOptions;
  if (ema !== undefined) checkNumber(where, "ema.decay", decay, { min: 0, max: 1, open: true });
  checkNumber(where, `${name}.start`, start, { min: 1, max: 2 ** 31, whole: true });
  checkNumber(where, `${name}.every`, every, { min: 1, max: 2 ** 31, whole: true });
  return { decay, start, every };
}

const FORMATS: readonly NumberFormat[] = [F32_FORMAT, BF16_FORMAT, F16_FORMAT];

/** @throws {OptionError} */
export function settleStorage(where: string, given: unknown): StorageSettled | undefined {
  if (given === undefined) return undefined;
  checkKeys(where, "storage", given, ["params", "grads", "master", "seed"]);
  const { params = "f32", grads = params, master, seed = 0 } = given as Record<string, unknown>;
  const format = (option: string, type: unknown): NumberFormat => {
    const found = FORMATS.find((f) => f.type === type);
    if (!found) throw new OptionError(where, `storage.${option}`, 'must be "f32", "bf16" or "f16"', type);
    return found;
  };
  const formats = { param: format("params", params), grad: format("grads", grads) };
  const half = formats.param.bytes === 2;
  checkBoolean(where, "storage.master", master ?? half);
  if (master && !half)
    throw new OptionError(
      where,
      "storage.master",
      "must not be given where params are f32, which are their own",
      master,
    );
  checkNumber(where, "storage.seed", seed, { min: 0, max: 2 ** 32 - 1, whole: true });
  const byChance = half && master === false;
  if ((given as StorageOptions).seed !== undefined && !byChance)
    throw new OptionError(where, "storage.seed", "must be given only where parameters of 16 bits have no master", seed);
  const roundingKey = byChance ? (name: string) => hash(seed, name) : undefined;
  return { formats, master: half && !byChance, roundingKey };
}

/** FNV-1a, begun with `seed`. */
function hash(seed: number, text: string): number {
  let key = (0x811c9dc5 ^ seed) >>> 0;
  for (const byte of new TextEncoder().encode(text)) key = Math.imul(key ^ byte, 0x01000193) >>> 0;
  return key;
}
