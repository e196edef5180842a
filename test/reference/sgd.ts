import { slot, type TwinRule } from "./rule.ts";

export type SgdOptions = { readonly momentum?: number; readonly dampening?: number; readonly nesterov?: boolean };

/**
 * SGD as PyTorch has it (Sutskever et al. 2013, with the learning rate outside the buffer):
 *
 *     b_1 = g_1                                   the first gradient is not damped
 *     b_t = momentum b_(t-1) + (1 - dampening) g_t
 *     u   = lr (g_t + momentum b_t)  if nesterov, else  lr b_t
 *
 * Without momentum there is no buffer and u = lr g.
 */
export const sgd: TwinRule<SgdOptions> = {
  name: "sgd",
  decayMode: "coupled",
  weightDecay: 0,
  update(g, state, { momentum = 0, dampening = 0, nesterov = false }, lr) {
    if (momentum === 0) return g.map((gi) => lr * gi);
    const isFirst = state.slots.momentum_buffer === undefined;
    const b = slot(state, "momentum_buffer", () => g.slice());
    return g.map((gi, i) => {
      if (!isFirst) b[i] = momentum * b[i]! + (1 - dampening) * gi;
      return lr * (nesterov ? gi + momentum * b[i]! : b[i]!);
    });
  },
};
