/** A tensor's bytes and the numbers they stand for. Files are little-endian, and so is every machine that runs a browser. */
import { CheckpointError } from "../errors.ts";
import { fromBinary16 } from "../half.ts";
import { type Allowance, quote, type SafeTensor } from "./safetensors.ts";

/** Values as a tensor of a file; not copied. */
export function fromFloats(shape: readonly number[], data: Float32Array): SafeTensor {
  return { dtype: "F32", shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/**
 * A tensor's values: F32 as it is, a view of its bytes where they are aligned; F16 and BF16 widened, which is exact.
 *
 * @param name - for messages
 * @throws {CheckpointError} for other types, whose values would be rounded.
 */
export function toFloats({ dtype, bytes }: SafeTensor, name = "a tensor", allowance?: Allowance): Float32Array {
  if (dtype === "F32") {
    if (bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    allowance?.spend(bytes.length);
    return new Float32Array(bytes.slice().buffer);
  }
  if (dtype !== "F16" && dtype !== "BF16")
    throw new CheckpointError(`checkpoint: ${quote(name)} must be F32, BF16 or F16, got ${dtype}`);
  allowance?.spend(2 * bytes.length);
  const values = new Float32Array(bytes.length / 2);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < bits.length; i++) {
    const half = (bytes[2 * i] as number) | ((bytes[2 * i + 1] as number) << 8);
    if (dtype === "BF16") bits[i] = half << 16;
    else values[i] = fromBinary16(half);
  }
  return values;
}

/** Whether this is a number that belongs to a tensor's state, such as NAdam's `mu_product`, and no slot of a tensor of shape []. */
export function isScalar({ dtype, shape }: SafeTensor): boolean {
  return dtype === "F64" && shape.length === 0;
}

/** A number as a tensor. */
export function toScalar(value: number): SafeTensor {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return { dtype: "F64", shape: [], bytes };
}

/** The number of an F64 tensor of shape []. */
export function fromScalar({ bytes }: SafeTensor): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true);
}
