/** Random numbers by hashing a counter: integers only, so equal in every browser, and any of them can be made on its own. */

/** Bijective mix of 32 bits (lowbias32 by Chris Wellons, https://nullprogram.com/blog/2018/07/31/). */
function mix(x: number): number {
  let h = x ^ (x >>> 16);
  h = Math.imul(h, 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Word `index` of `stream`: an unsigned 32-bit integer. */
export function randomWord(seed: number, stream: number, index: number): number {
  return mix(mix(mix(seed + 0x9e3779b9) + stream + 0x9e3779b9) + index + 0x9e3779b9);
}

/** The numbers from 0 to `count - 1` in random order (Fisher and Yates). */
export function shuffled(seed: number, stream: number, count: number): Uint32Array<ArrayBuffer> {
  const order = Uint32Array.from({ length: count }, (_, k) => k);
  for (let k = count - 1; k > 0; k--) {
    // Uniform to about k / 2^32.
    const j = Math.floor((randomWord(seed, stream, k) / 2 ** 32) * (k + 1));
    const swap = order[k]!;
    order[k] = order[j]!;
    order[j] = swap;
  }
  return order;
}

/** One stream of random numbers, by index. */
export interface Random {
  /** In [-1, 1). */
  uniform(index: number): number;
  /** Mean 0, standard deviation 1. */
  normal(index: number): number;
}

/** Stream number `stream` of a seed. */
export function randomStream(seed: number, stream: number): Random {
  const uniform = (index: number) => randomWord(seed, stream, index) / 2 ** 31 - 1;
  return {
    uniform,
    // Box and Muller; 1 - u is never 0. Browsers may differ in the last bit of the logarithm and the cosine.
    normal: (index) => {
      const u = randomWord(seed, stream, 2 * index) / 2 ** 32;
      return Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(Math.PI * uniform(2 * index + 1));
    },
  };
}
