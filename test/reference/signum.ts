import { type TwinRule, zeroSlot } from "./rule.ts";

/** Signum (Bernstein et al. 2018): the sign of the mean of the gradients. */
export const signum: TwinRule<{ readonly momentum?: number }> = {
  name: "signum",
  decayMode: "decoupled",
  lr: 1e-4,
  weightDecay: 0,
  update(g, state, { momentum = 0.9 }, lr) {
    if (momentum === 0) return g.map((gi) => lr * Math.sign(gi));
    const m = zeroSlot(state, "momentum_buffer", g.length);
    return g.map((gi, i) => {
      m[i] = momentum * m[i]! + (1 - momentum) * gi;
      return lr * Math.sign(m[i]!);
    });
  },
};
