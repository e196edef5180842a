/** With which weights the parameters after an update go into their averages. */
import type { AverageWeights } from "./group-records.ts";
import type { Settled } from "./options.ts";

/** Weights of update `update`, 1 for the first; 0 where nothing is averaged. */
export function averageWeights({ lookahead, average }: Settled, update: number): AverageWeights {
  return {
    lookahead: lookahead && update % lookahead.k === 0 ? lookahead.alpha : 0,
    average:
      average && update >= average.start && (update - average.start) % average.every === 0
        ? weightOf(average.decay, (update - average.start) / average.every)
        : 0,
  };
}

/** @param n averages so far; the first copies. */
function weightOf(decay: number | undefined, n: number): number {
  if (decay === undefined) return 1 / (n + 1);
  return n === 0 ? 1 : 1 - decay;
}
