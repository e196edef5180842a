import { type TwinRule, zeroSlot } from "./rule.ts";

type Options = { readonly betas?: readonly [number, number]; readonly eps?: number; readonly clipExp?: number };

/**
 * ADOPT (Taniguchi et al. 2024) as timm has it: Adam that divides by the v of the step before, and clips the quotient to
 * (t - 1)^clipExp, with clipExp 0 not at all. The first step only takes the square of the gradient.
 */
export const adopt: TwinRule<Options> = {
  name: "adopt",
  decayMode: "coupled",
  weightDecay: 0,
  decayFrom: 2,
  update(g, state, { betas: [beta1, beta2] = [0.9, 0.9999], eps = 1e-6, clipExp = 0.333 }, lr) {
    const m = zeroSlot(state, "exp_avg", g.length);
    const v = zeroSlot(state, "exp_avg_sq", g.length);
    const limit = clipExp === 0 ? Infinity : (state.step - 1) ** clipExp;
    return g.map((gi, i) => {
      if (state.step === 1) {
        v[i] = gi * gi;
        return 0;
      }
      const quotient = gi === 0 ? 0 : gi / Math.max(Math.sqrt(v[i]!), eps);
      m[i] = beta1 * m[i]! + (1 - beta1) * Math.max(-limit, Math.min(limit, quotient));
      v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
      return lr * m[i]!;
    });
  },
};
