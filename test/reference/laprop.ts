import { keepNumber, type TwinRule, zeroSlot } from "./rule.ts";

type Options = { readonly betas?: readonly [number, number]; readonly eps?: number };

/**
 * LaProp (Ziyin et al. 2020) as timm has it: momentum of gradients that have been normalized already. The learning rate is
 * inside the momentum and its own mean a1 corrects for the start; decay comes after the step.
 */
export const laprop: TwinRule<Options> = {
  name: "laprop",
  decayMode: "rule",
  lr: 4e-4,
  weightDecay: 0,
  update(g, state, { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-15 }, lr, { theta, ruleDecay }) {
    const m = zeroSlot(state, "exp_avg", g.length);
    const v = zeroSlot(state, "exp_avg_sq", g.length);
    const a1 = zeroSlot(state, "exp_avg_lr_1", 1);
    a1[0] = beta1 * a1[0]! + (1 - beta1) * lr;
    const a2 = 1 - beta2 ** state.step;
    keepNumber(state, "exp_avg_lr_2", a2);
    // timm's takes the whole of m where lr is 0; here nothing moves then.
    const rate = lr === 0 ? 0 : lr / a1[0]!;
    return g.map((gi, i) => {
      v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
      const normalized = gi === 0 ? 0 : gi / (Math.sqrt(v[i]! / a2) + eps);
      m[i] = beta1 * m[i]! + (1 - beta1) * lr * normalized;
      const u = rate * m[i]!;
      return u + lr * ruleDecay * (theta[i]! - u);
    });
  },
};
