import { type TwinRule, zeroSlot } from "./rule.ts";

type Options = { readonly betas?: readonly [number, number]; readonly eps?: number };

/** Adamax (Kingma and Ba 2015, section 7.1), with PyTorch's eps: u = max(beta2 u, |g| + eps), step lr / (1 - beta1^t) m / u. */
export const adamax: TwinRule<Options> = {
  name: "adamax",
  decayMode: "coupled",
  lr: 2e-3,
  weightDecay: 0,
  update(g, state, { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8 }, lr) {
    const m = zeroSlot(state, "exp_avg", g.length);
    const largest = zeroSlot(state, "exp_inf", g.length);
    return g.map((gi, i) => {
      m[i] = beta1 * m[i]! + (1 - beta1) * gi;
      largest[i] = Math.max(beta2 * largest[i]!, Math.abs(gi) + eps);
      return m[i] === 0 ? 0 : (lr * m[i]!) / ((1 - beta1 ** state.step) * largest[i]!);
    });
  },
};
