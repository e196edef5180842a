/** Random numbers of the demo: those of the training kit. */
import { randomStream } from "../../src/nn/random.ts";

/** `size` values, uniform in [-bound, bound). */
export function uniform(seed: number, stream: number, size: number, bound: number): Float32Array<ArrayBuffer> {
  const random = randomStream(seed, stream);
  return Float32Array.from({ length: size }, (_, k) => bound * random.uniform(k));
}
