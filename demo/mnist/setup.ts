/** The optimizer of the standard run, in parts that the live page turns into knobs. */
import { adamw, cosine, decayGroups, type Schedule, warmup } from "../../src/index.ts";
import { network } from "./network.ts";
import { CLIP_NORM, PEAK_LR, WARMUP_STEPS, WEIGHT_DECAY } from "./recipe.ts";
import type { OptimizerChoice } from "./trainer.ts";

/** Linear warm-up to the peak, then half a cosine down to a hundredth of it at the end of the run. */
export function warmCosine(peak: number, steps: number): Schedule {
  const rise = Math.min(WARMUP_STEPS, Math.ceil(steps / 2));
  // From the first step's share of the rise on: an lr of 0 would waste a step.
  return warmup(rise, cosine(peak, steps, { etaMin: peak / 100 }), { start: 1 / rise });
}

/** Decay of the weights alone: group `decay`; the biases are the group `noDecay`. */
export function groupsFor(weightDecay: number): OptimizerChoice["groups"] & object {
  return decayGroups(network().params, { weightDecay });
}

/** AdamW over `steps`, clipping at global norm 1. */
export function standardChoice(steps: number): OptimizerChoice {
  return {
    rule: adamw(),
    lr: warmCosine(PEAK_LR, steps),
    groups: groupsFor(WEIGHT_DECAY),
    clip: { globalNorm: CLIP_NORM },
  };
}
