import { type TwinRule, zeroSlot } from "./rule.ts";

type Options = {
  readonly betas?: readonly [number, number, number];
  readonly alpha?: number;
  readonly alphaWarmup?: number;
  readonly beta3Warmup?: number;
  readonly eps?: number;
};

/** AdEMAMix (Pagliardini et al. 2024): Adam, with alpha times a slow mean of the gradients, uncorrected, beside the fast one. */
export const ademamix: TwinRule<Options> = {
  name: "ademamix",
  decayMode: "decoupled",
  weightDecay: 0,
  update(g, state, options, lr) {
    const { betas: [beta1, beta2, betaSlow] = [0.9, 0.999, 0.9999], eps = 1e-8 } = options;
    const { alpha: fullAlpha = 2, alphaWarmup = 0, beta3Warmup = 0 } = options;
    const fast = zeroSlot(state, "exp_avg_fast", g.length);
    const slow = zeroSlot(state, "exp_avg_slow", g.length);
    const v = zeroSlot(state, "exp_avg_sq", g.length);
    const t = state.step;
    const alpha = t < alphaWarmup ? fullAlpha * (t / alphaWarmup) : fullAlpha;
    const toHalfLife = (beta: number) => Math.log(0.5) / Math.log(beta + 1e-8) - 1;
    const share = t / beta3Warmup;
    const between = (1 - share) * toHalfLife(beta1) + share * toHalfLife(betaSlow);
    const beta3 = t < beta3Warmup ? 0.5 ** (1 / (between + 1)) : betaSlow;
    return g.map((gi, i) => {
      fast[i] = beta1 * fast[i]! + (1 - beta1) * gi;
      slow[i] = beta3 * slow[i]! + (1 - beta3) * gi;
      v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
      return (lr * (fast[i]! / (1 - beta1 ** t) + alpha * slow[i]!)) / (Math.sqrt(v[i]! / (1 - beta2 ** t)) + eps);
    });
  },
};
