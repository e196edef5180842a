/** The training run of `npm start`, and what the live page begins with. */
import { adamw, cosine, decayGroups, type Schedule, warmup } from "../../src/index.ts";
import { mlpParams } from "../../src/nn/mlp.ts";
import { type OptimizerChoice, SIZES } from "./trainer.ts";

export const EPOCHS = 4;
export const PEAK_LR = 3e-3;
export const WEIGHT_DECAY = 0.01;
export const CLIP_NORM = 1;

const WARMUP_STEPS = 100;

/** Linear warm-up to the peak, then half a cosine to zero at the end of the run. */
export function warmCosine(peak: number, steps: number): Schedule {
  const rise = Math.min(WARMUP_STEPS, Math.ceil(steps / 2));
  // From the first step's share of the rise on: an lr of 0 would waste a step.
  return warmup(rise, cosine(peak, steps), { start: 1 / rise });
}

/** Decay of the weights alone: group `decay`; the biases are the group `noDecay`. */
export function groupsFor(weightDecay: number): OptimizerChoice["groups"] & object {
  return decayGroups(mlpParams(SIZES), { weightDecay });
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
