import { type TwinRule, zeroSlot } from "./rule.ts";

type Options = { readonly betas?: readonly [number, number]; readonly eps?: number };

/** NAdamW as timm has it: AdamW, with beta1 m + (1 - beta1) g in the place of m in the update. */
export const nadamw: TwinRule<Options> = {
  name: "nadamw",
  decayMode: "decoupled",
  weightDecay: 0.01,
  update(g, state, { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8 }, lr) {
    const m = zeroSlot(state, "exp_avg", g.length);
    const v = zeroSlot(state, "exp_avg_sq", g.length);
    return g.map((gi, i) => {
      m[i] = beta1 * m[i]! + (1 - beta1) * gi;
      v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
      const ahead = (beta1 * m[i]! + (1 - beta1) * gi) / (1 - beta1 ** state.step);
      return (lr * ahead) / (Math.sqrt(v[i]! / (1 - beta2 ** state.step)) + eps);
    });
  },
};
