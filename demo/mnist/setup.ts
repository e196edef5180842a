/** The training run of `npm start`, and what the live page begins with. */
import { adamw, cosine, decayGroups, warmup } from "../../src/index.ts";
import { mlpParams } from "../../src/nn/mlp.ts";
import { type OptimizerChoice, SIZES } from "./trainer.ts";

export const EPOCHS = 4;
export const PEAK_LR = 3e-3;
export const WARMUP_STEPS = 100;
export const WEIGHT_DECAY = 0.01;
export const CLIP_NORM = 1;

/** AdamW with decay on the weights alone, warm-up and half a cosine to zero over `steps`, clipping at global norm 1. */
export function standardChoice(steps: number): OptimizerChoice {
  return {
    rule: adamw(),
    lr: warmup(Math.min(WARMUP_STEPS, steps / 2), cosine(PEAK_LR, steps)),
    groups: decayGroups(mlpParams(SIZES), { weightDecay: WEIGHT_DECAY }),
    clip: { globalNorm: CLIP_NORM },
  };
}
