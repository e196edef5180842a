import { slot, type TwinRule } from "./rule.ts";

type Options = { readonly lrDecay?: number; readonly initialAccumulatorValue?: number; readonly eps?: number };

/** Adagrad (Duchi et al. 2011) as PyTorch has it: s = s + g^2, u = lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps). */
export const adagrad: TwinRule<Options> = {
  name: "adagrad",
  decayMode: "coupled",
  lr: 0.01,
  weightDecay: 0,
  update(g, state, { lrDecay = 0, initialAccumulatorValue = 0, eps = 1e-10 }, lr) {
    const sum = slot(state, "sum", () => new Float64Array(g.length).fill(initialAccumulatorValue));
    const rate = lr / (1 + (state.step - 1) * lrDecay);
    return g.map((gi, i) => {
      sum[i] = sum[i]! + gi * gi;
      return (rate * gi) / (Math.sqrt(sum[i]!) + eps);
    });
  },
};
