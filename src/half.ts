/** Numbers of 16 bits, by their bits: the twin of `shaders/lib/half.wgsl`. */

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The nearest bfloat16 (the upper half of a float32), of two equally near the even one. */
export function toBfloat16(x: number): number {
  float[0] = x;
  const bits = word[0] as number;
  if (Number.isNaN(x)) return ((bits >>> 16) & 0x8000) | 0x7fc0;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The nearest IEEE 754 binary16, of two equally near the even one; infinite from 65520 on. */
export function toBinary16(x: number): number {
  float[0] = x;
  const bits = word[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const a = bits & 0x7fffffff;
  if (a > 0x7f800000) return sign | 0x7e00;
  // Below 2^-14, multiples of 2^-24; adding 1.5 * 2^52 units leaves the nearest whole number of them, of two the even one.
  if (a < 0x38800000) return sign | (Math.abs(x) * 2 ** 24 + 1.5 * 2 ** 52 - 1.5 * 2 ** 52);
  return sign | Math.min(0x7c00, (a - (112 << 23) + 0xfff + ((a >>> 13) & 1)) >>> 13);
}

/** The value of a binary16. */
export function fromBinary16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}
