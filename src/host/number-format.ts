/** How the numbers of a parameter or a gradient lie in a buffer, as the host reads and writes them. */
import type { ElementType } from "../kernels/storage.ts";

export type { ElementType };

/** A type of elements. */
export interface NumberFormat {
  readonly type: ElementType;
  /** Bytes of an element. */
  readonly bytes: number;
  /** Values as they are written; a whole number of 4 bytes. Rounded to the nearest, of two equally near to the even one. */
  readonly encode: (values: Float32Array) => ArrayBufferView<ArrayBuffer>;
  /** `count` values of what was read, from byte `offset` on. Exact. */
  readonly decode: (bytes: ArrayBuffer, offset: number, count: number) => Float32Array;
}

/** Float32. */
export const F32_FORMAT: NumberFormat = {
  type: "f32",
  bytes: 4,
  encode: (values) => values as Float32Array<ArrayBuffer>,
  decode: (bytes, offset, count) => new Float32Array(bytes, offset, count),
};

/** Of all parameters of an optimizer, and of all gradients. */
export interface TensorFormats {
  readonly param: NumberFormat;
  readonly grad: NumberFormat;
}

/** Whether elements are taken four at a time wherever tensors lie: one of the two has 16 bits. */
export function takenInFours({ param, grad }: TensorFormats): boolean {
  return param.bytes + grad.bytes < 8;
}

/** The bytes that `size` elements take. Where they are taken in fours, there is room for all four. */
export function bytesOf(formats: TensorFormats, which: "param" | "grad", size: number): number {
  return (takenInFours(formats) ? Math.ceil(size / 4) * 4 : size) * formats[which].bytes;
}
