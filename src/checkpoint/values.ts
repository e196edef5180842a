/** A tensor's bytes and the numbers they stand for. Files are little-endian, and so is every machine that runs a browser. */
import type { StateDict } from "../engine/state.ts";
import { CheckpointError } from "../errors.ts";
import { fromBinary16 } from "../half.ts";
import { type Allowance, checkTensor, need, quote, type SafeTensor } from "./safetensors.ts";

/** @throws {CheckpointError} for the first key that is not known: what is misspelt must not be lost silently. */
export function checkOptions(where: string, options: object, known: readonly string[]): void {
  need(typeof options === "object" && options, where, "options", "must be an object", options);
  for (const [key, value] of Object.entries(options))
    need(known.includes(key), where, key, `is no option; known: ${known.join(", ")}`, value);
}

/** @throws {CheckpointError} for what was never a state dict. */
export function checkState(where: string, option: string, state: StateDict): void {
  need(Array.isArray(state?.groups) && state.tensors, where, option, "must be what stateDict() gave", state);
}

/** Values as a tensor of a file; not copied. @throws {CheckpointError} */
export function fromFloats(shape: readonly number[], data: Float32Array): SafeTensor {
  need(Array.isArray(shape), "fromFloats", "shape", "must be a list of numbers", shape);
  need(data instanceof Float32Array, "fromFloats", "data", "must be a Float32Array", data);
  return { dtype: "F32", shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/**
 * A tensor's values: F32 as it is, a view of its bytes where they are aligned; F16 and BF16 widened, which is exact.
 *
 * @param name - for messages
 * @throws {CheckpointError} for other types, whose values would be rounded.
 */
export function toFloats(tensor: SafeTensor, name = "a tensor", allowance?: Allowance): Float32Array {
  const { dtype, bytes } = checkTensor("toFloats", name, tensor);
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
