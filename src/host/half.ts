/** Numbers of 16 bits as the host reads and writes them. Loaded where they are asked for. */
import { fromBinary16, toBfloat16, toBinary16 } from "../half.ts";
import type { NumberFormat } from "./number-format.ts";

/** bfloat16, the upper half of a float32. */
export const BF16_FORMAT: NumberFormat = {
  type: "bf16",
  bytes: 2,
  encode: (values) => encodeBy(values, toBfloat16),
  decode: (bytes, offset, count) => {
    const words = new Uint32Array(count);
    new Uint16Array(bytes, offset, count).forEach((half, i) => {
      words[i] = half << 16;
    });
    return new Float32Array(words.buffer);
  },
};

/** IEEE 754 binary16. */
export const F16_FORMAT: NumberFormat = {
  type: "f16",
  bytes: 2,
  encode: (values) => encodeBy(values, toBinary16),
  decode: (bytes, offset, count) => Float32Array.from(new Uint16Array(bytes, offset, count), fromBinary16),
};

function encodeBy(values: Float32Array, encode: (x: number) => number): Uint16Array<ArrayBuffer> {
  const halves = new Uint16Array(Math.ceil(values.length / 2) * 2);
  values.forEach((x, i) => {
    halves[i] = encode(x);
  });
  return halves;
}
