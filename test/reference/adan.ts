import { slot, type TwinRule, zeroSlot } from "./rule.ts";

type Options = { readonly betas?: readonly [number, number, number]; readonly eps?: number };

/** Adan (Xie et al. 2022) in the letters of the authors' code: the difference to the gradient before is 0 at first. */
export const adan: TwinRule<Options> = {
  name: "adan",
  decayMode: "proximal",
  weightDecay: 0,
  forGroup: (numbers) => {
    numbers.t = (numbers.t ?? 0) + 1;
  },
  update(g, state, { betas: [beta1, beta2, beta3] = [0.98, 0.92, 0.99], eps = 1e-8 }, lr, { ofGroup: { t } }) {
    const before = slot(state, "neg_pre_grad", () => g.map((gi) => -gi));
    const m = zeroSlot(state, "exp_avg", g.length);
    const d = zeroSlot(state, "exp_avg_diff", g.length);
    const n = zeroSlot(state, "exp_avg_sq", g.length);
    const [c1, c2, c3] = [beta1, beta2, beta3].map((beta) => 1 - beta ** t!) as [number, number, number];
    return g.map((gi, i) => {
      const difference = gi + before[i]!;
      before[i] = -gi;
      m[i] = beta1 * m[i]! + (1 - beta1) * gi;
      d[i] = beta2 * d[i]! + (1 - beta2) * difference;
      n[i] = beta3 * n[i]! + (1 - beta3) * (gi + beta2 * difference) ** 2;
      return (lr * (m[i]! / c1 + (beta2 * d[i]!) / c2)) / (Math.sqrt(n[i]! / c3) + eps);
    });
  },
};
