/** Samples one after the other, and rows as activation.ts lays them out. */
import { OptionError } from "../errors.ts";
import { quadsOf } from "./activation.ts";

/** What the elements of a row are. */
export type PackedKind = "floats" | "bytes" | "tokens";

const ARRAYS = { floats: Float32Array, bytes: Uint8Array, tokens: Uint32Array };

/**
 * Rows of a whole number of quads, zero behind each sample and behind the last one.
 *
 * @throws {OptionError} unless there are whole samples, and no more than rows.
 */
export function packRows(
  option: string,
  kind: PackedKind,
  values: ArrayLike<number>,
  rows: number,
  features: number,
): Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> {
  const samples = values.length / features;
  if (!Number.isInteger(samples) || samples > rows)
    throw new OptionError(
      "plan",
      `${option}.length`,
      `must be ${features} for each of at most ${rows} samples`,
      values.length,
    );
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
