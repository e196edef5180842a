/** The schedule of most examples. */
import { cosine, type Schedule, warmup } from "../../src/index.ts";

const WARMUP_STEPS = 100;

/** Linear warm-up to the peak, then half a cosine down to a hundredth of it at the end of the run. */
export function warmCosine(peak: number, steps: number): Schedule {
  const rise = Math.min(WARMUP_STEPS, Math.ceil(steps / 2));
  // From the first step's share of the rise on: an lr of 0 would waste a step.
  return warmup(rise, cosine(peak, steps, { etaMin: peak / 100 }), { start: 1 / rise });
}
