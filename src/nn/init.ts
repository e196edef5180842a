/**
 * Initial values of parameters, by the names and formulas of `torch.nn.init`. All are functions of a seed: equal seeds give
 * equal bits (normal ones: in one browser).
 */
import { checkKeys, checkNumber } from "../engine/checks.ts";
import { OptionError } from "../errors.ts";
import type { Random } from "./random.ts";
import { type Shape, showShape, sizeOf } from "./shape.ts";

/** Makes the values of a tensor of this shape, in row-major order. */
export type Initializer = (shape: Shape, random: Random) => Float32Array<ArrayBuffer>;

/** After which activation the weights come; decides on the gain. */
export type Nonlinearity = "linear" | "sigmoid" | "tanh" | "relu" | "leakyRelu" | "selu";

/** Options of the Kaiming initializers. */
export interface KaimingOptions {
  /** Negative slope, for `leakyRelu`; default 0. */
  readonly a?: number;
  /** Keep the variance of activations (`fanIn`, the default) or of gradients (`fanOut`). */
  readonly mode?: "fanIn" | "fanOut";
  /** Default `leakyRelu`. */
  readonly nonlinearity?: Nonlinearity;
}

const fill =
  (value: (index: number, random: Random) => number): Initializer =>
  (shape, random) =>
    Float32Array.from({ length: sizeOf(shape) }, (_, k) => value(k, random));

/** All 0. */
export const zeros = (): Initializer => fill(() => 0);

/** All 1. */
export const ones = (): Initializer => fill(() => 1);

/** All `value`. */
export function constant(value: number): Initializer {
  checkNumber("constant", "value", value);
  return fill(() => value);
}

/** Uniform in [low, high); default [0, 1). */
export function uniform(low = 0, high = 1): Initializer {
  checkNumber("uniform", "low", low);
  checkNumber("uniform", "high", high, { min: low });
  const [middle, half] = [(low + high) / 2, (high - low) / 2];
  return fill((k, random) => middle + half * random.uniform(k));
}

/** Normal; default mean 0 and standard deviation 1. */
export function normal(mean = 0, deviation = 1): Initializer {
  checkNumber("normal", "mean", mean);
  checkNumber("normal", "deviation", deviation, { min: 0 });
  return fill((k, random) => mean + deviation * random.normal(k));
}

/** Uniform in +-gain sqrt(6 / (fanIn + fanOut)). Glorot and Bengio, 2010. */
export function xavierUniform(gain = 1): Initializer {
  checkNumber("xavierUniform", "gain", gain, { min: 0 });
  return (shape, random) => {
    const { fanIn, fanOut } = fansOf("xavierUniform", shape);
    const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
    return uniform(-bound, bound)(shape, random);
  };
}

/** Normal with standard deviation gain sqrt(2 / (fanIn + fanOut)). */
export function xavierNormal(gain = 1): Initializer {
  checkNumber("xavierNormal", "gain", gain, { min: 0 });
  return (shape, random) => {
    const { fanIn, fanOut } = fansOf("xavierNormal", shape);
    return normal(0, gain * Math.sqrt(2 / (fanIn + fanOut)))(shape, random);
  };
}

/** Uniform in +-gain sqrt(3 / fan). He et al., arXiv:1502.01852. */
export function kaimingUniform(options: KaimingOptions = {}): Initializer {
  const scale = kaiming("kaimingUniform", options);
  return (shape, random) => {
    const bound = Math.sqrt(3) * scale(shape);
    return uniform(-bound, bound)(shape, random);
  };
}

/** Normal with standard deviation gain / sqrt(fan). */
export function kaimingNormal(options: KaimingOptions = {}): Initializer {
  const scale = kaiming("kaimingNormal", options);
  return (shape, random) => normal(0, scale(shape))(shape, random);
}

const MODES: readonly unknown[] = ["fanIn", "fanOut"];
const GAINS: Readonly<Record<Nonlinearity, (a: number) => number>> = {
  linear: () => 1,
  sigmoid: () => 1,
  tanh: () => 5 / 3,
  relu: () => Math.SQRT2,
  leakyRelu: (a) => Math.sqrt(2 / (1 + a * a)),
  selu: () => 3 / 4,
};

function kaiming(where: string, options: KaimingOptions): (shape: Shape) => number {
  checkKeys(where, "", options, ["a", "mode", "nonlinearity"]);
  const { a = 0, mode = "fanIn", nonlinearity = "leakyRelu" } = options as KaimingOptions;
  checkNumber(where, "a", a);
  if (!MODES.includes(mode)) throw new OptionError(where, "mode", 'must be "fanIn" or "fanOut"', mode);
  if (!Object.hasOwn(GAINS, nonlinearity)) {
    throw new OptionError(where, "nonlinearity", `must be one of ${Object.keys(GAINS).join(", ")}`, nonlinearity);
  }
  const gain = GAINS[nonlinearity](a);
  return (shape) => gain / Math.sqrt(fansOf(where, shape)[mode]);
}

/** Inputs and outputs of one unit, for weights `[out, in, ...]`: the extents behind these count for both. */
function fansOf(where: string, shape: Shape): { fanIn: number; fanOut: number } {
  const [out, inputs, ...field] = shape;
  if (out === undefined || inputs === undefined)
    throw new OptionError(where, "shape", "must have at least two extents", showShape(shape));
  return { fanIn: inputs * sizeOf(field), fanOut: out * sizeOf(field) };
}
