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

/** The first `samples` rows without what lies behind each. */
export function unpackRows(packed: Float32Array, samples: number, features: number): Float32Array<ArrayBuffer> {
  const stride = quadsOf(features) * 4;
  return Float32Array.from({ length: samples * features }, (_, k) => {
    return packed[Math.floor(k / features) * stride + (k % features)]!;
  });
}
