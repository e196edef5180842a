/** Samples one after the other, and rows as activation.ts lays them out. */
import { OptionError } from "../errors.ts";
import { quadsOf } from "./activation.ts";

/** What the elements of a row are. */
export type PackedKind = "floats" | "bytes" | "tokens";

const ARRAYS = { floats: Float32Array, bytes: Uint8Array, tokens: Uint32Array };

/** How many samples these are, at most `most`. @throws {OptionError} unless they are numbers and whole samples, at least one. */
export function wholeSamples(
  where: string,
  option: string,
  values: ArrayLike<number>,
  features: number,
  most = Number.POSITIVE_INFINITY,
): number {
  const samples = (values?.length ?? 0) / features;
  if (!Number.isInteger(samples) || samples < 1 || samples > most) {
    const must = `must be ${features} for each ${Number.isFinite(most) ? `of 1 to ${most} samples` : "sample"}`;
    throw new OptionError(where, `${option}.length`, must, values?.length);
  }
  if (typeof values[0] !== "number")
    throw new OptionError(where, `${option}[0]`, "must be a number: samples lie one after the other", values[0]);
  return samples;
}

/** Rows of a whole number of quads, zero behind each sample and behind the last one; of whole samples, no more than rows. */
export function packRows(
  kind: PackedKind,
  values: ArrayLike<number>,
  rows: number,
  features: number,
): Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> {
  const samples = values.length / features;
  const stride = quadsOf(features) * 4;
  const packed = new ARRAYS[kind](rows * stride);
  for (let row = 0; row < samples; row++) {
    for (let i = 0; i < features; i++) packed[row * stride + i] = values[row * features + i]!;
  }
  return packed;
}

/**
 * Numbers of classes or tokens as the GPU has them.
 *
 * @throws {OptionError} naming the first that is none: a kernel would take another one for it, and nobody would learn of it.
 */
export function packIndices(where: string, option: string, values: ArrayLike<number>, bound: number) {
  checkIndices(where, option, values, bound);
  return Uint32Array.from(values);
}

/** @throws {OptionError} unless all are whole numbers below `bound`. */
export function checkIndices(where: string, option: string, values: ArrayLike<number>, bound: number): void {
  for (let k = 0; k < values.length; k++) {
    const value = values[k];
    if (!(Number.isInteger(value) && value! >= 0 && value! < bound))
      throw new OptionError(where, `${option}[${k}]`, `must be a whole number in [0, ${bound - 1}]`, value);
  }
}

/** The first `samples` rows without what lies behind each. */
export function unpackRows(packed: Float32Array, samples: number, features: number): Float32Array<ArrayBuffer> {
  const stride = quadsOf(features) * 4;
  return Float32Array.from({ length: samples * features }, (_, k) => {
    return packed[Math.floor(k / features) * stride + (k % features)]!;
  });
}
