import { generate, hash, words } from "../../reference/prng.ts";
import type { Comparison } from "../compare.ts";
import type { PrngCase, PrngWord } from "../golden/prng.ts";

/** The two words of single elements. */
export function runPrngWords(vectors: readonly PrngWord[], comparison: Comparison): void {
  vectors.forEach(({ seed, stream, step, index, w1, w2 }, i) => {
    const made = words(seed, stream, step, index);
    comparison.equal(`words[${i}].w1`, made.w1, w1);
    comparison.equal(`words[${i}].w2`, made.w2, w2);
  });
}

/** The first values of one kind of generator, bit for bit, and a hash of more. */
export function runPrng({ spec, seed, stream, step, values, bits, hash1000 }: PrngCase, comparison: Comparison): void {
  const made = generate(spec, seed, stream, step, 1000);
  const madeBits = new Uint32Array(made.buffer);
  bits.forEach((expected, i) => {
    comparison.equal(`bits[${i}]`, madeBits[i], expected);
    comparison.number(`values[${i}]`, made[i], values[i]!);
  });
  comparison.equal("hash1000", hash(made), hash1000);
}
