/** Rounding to 16 bits by chance, in float64 and by definition: from the two neighbours and a hash. */

import { mix } from "./prng.ts";

/** FNV-1a, begun with a seed. */
function hash(seed: number, text: string): number {
  let key = (0x811c9dc5 ^ seed) >>> 0;
  for (const byte of new TextEncoder().encode(text)) key = Math.imul(key ^ byte, 0x01000193) >>> 0;
  return key;
}

/** 16 bits for an element of a tensor at its `step`-th update. */
function noise(seed: number, name: string, step: number, element: number): number {
  const key = mix(mix(hash(seed, name) + 0x9e3779b9) + step + 0x9e3779b9);
  const word = mix(key + (element >> 1) + 0x9e3779b9);
  return element % 2 === 0 ? word & 0xffff : word >>> 16;
}

/** The distance of numbers of a type around x. */
function unitAt(type: "bf16" | "f16", x: number): number {
  const exponent = Math.floor(Math.log2(Math.abs(x)));
  // Exact for powers of two and what is near them.
  const floor =
    2 ** (exponent + 1) <= Math.abs(x) ? exponent + 1 : 2 ** exponent > Math.abs(x) ? exponent - 1 : exponent;
  return type === "bf16" ? 2 ** (Math.max(floor, -126) - 7) : 2 ** (Math.max(floor, -14) - 10);
}

/** Each value up (away from 0) with the probability of its distance from the neighbour below, by `noise < 2^16 p`. */
export function roundedByChance(
  type: "bf16" | "f16",
  values: Float32Array,
  seed: number,
  name: string,
  step: number,
): Float32Array {
  return values.map((x, i) => {
    if (x === 0) return x;
    const unit = unitAt(type, x);
    const units = Math.abs(x) / unit;
    const below = Math.floor(units);
    // 16 bits drop from a float32 to bfloat16 and 13 to binary16: as many of the noise are compared with.
    const fine = type === "bf16" || Math.abs(x) < 2 ** -14 ? 2 ** 16 : 2 ** 13;
    const drawn = Math.floor(noise(seed, name, step, i) / (2 ** 16 / fine));
    const fraction = (units - below) * fine;
    const up = fine === 2 ** 16 && type === "f16" ? drawn < fraction : drawn + fraction >= fine;
    return Math.sign(x) * (below + Number(up)) * unit;
  });
}
