import { type TwinRule, zeroSlot } from "./rule.ts";

/** Lion (Chen et al. 2023): the sign of one interpolation of momentum and gradient; the momentum takes another one. */
export const lion: TwinRule<{ readonly betas?: readonly [number, number] }> = {
  name: "lion",
  decayMode: "decoupled",
  lr: 1e-4,
  weightDecay: 0,
  update(g, state, { betas: [beta1, beta2] = [0.9, 0.99] }, lr) {
    const m = zeroSlot(state, "exp_avg", g.length);
    return g.map((gi, i) => {
      const direction = Math.sign(beta1 * m[i]! + (1 - beta1) * gi);
      m[i] = beta2 * m[i]! + (1 - beta2) * gi;
      return lr * direction;
    });
  },
};
