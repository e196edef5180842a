import { type TwinRule, zeroSlot } from "./rule.ts";

type Options = { readonly betas?: readonly [number, number]; readonly rho?: number; readonly bs?: number };

/**
 * Sophia-G (Liu et al. 2023): momentum over a mean of the curvature, clipped to the sign. The curvature's estimate is the
 * square of a gradient whose labels were drawn from the model, taken every few steps; `bs` is the number of its samples.
 */
export const sophiag: TwinRule<Options> = {
  name: "sophiag",
  decayMode: "decoupled",
  lr: 1e-4,
  weightDecay: 0.1,
  observe(q, state, { betas: [, beta2] = [0.965, 0.99] }) {
    const h = zeroSlot(state, "hessian", q.length);
    q.forEach((qi, i) => {
      h[i] = beta2 * h[i]! + (1 - beta2) * qi * qi;
    });
  },
  update(g, state, { betas: [beta1] = [0.965, 0.99], rho = 0.04, bs = 5120 }, lr) {
    const m = zeroSlot(state, "exp_avg", g.length);
    const h = zeroSlot(state, "hessian", g.length);
    return g.map((gi, i) => {
      m[i] = beta1 * m[i]! + (1 - beta1) * gi;
      return lr * Math.sign(m[i]!) * Math.min(Math.abs(m[i]!) / (rho * bs * h[i]! + 1e-15), 1);
    });
  },
};
