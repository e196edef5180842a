import { slot, type TwinRule } from "./rule.ts";

export type AdamOptions = {
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  readonly amsgrad?: boolean;
};

/**
 * Adam (Kingma and Ba 2015), eps outside the root and after the bias correction:
 *
 *     m = beta1 m + (1 - beta1) g          v = beta2 v + (1 - beta2) g^2
 *     u = lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * AMSGrad (Reddi et al. 2018) puts the largest v so far in the place of v, taken before the bias correction.
 */
export const adam: TwinRule<AdamOptions> = {
  name: "adam",
  decayMode: "coupled",
  weightDecay: 0,
  update(g, state, { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8, amsgrad = false }, lr) {
    const zeros = () => new Float64Array(g.length);
    const m = slot(state, "exp_avg", zeros);
    const v = slot(state, "exp_avg_sq", zeros);
    const largest = amsgrad ? slot(state, "max_exp_avg_sq", zeros) : undefined;
    const correction1 = 1 - beta1 ** state.step;
    const correction2 = 1 - beta2 ** state.step;
    return g.map((gi, i) => {
      m[i] = beta1 * m[i]! + (1 - beta1) * gi;
      v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
      if (largest) largest[i] = Math.max(largest[i]!, v[i]!);
      const second = largest ? largest[i]! : v[i]!;
      return (lr * (m[i]! / correction1)) / (Math.sqrt(second / correction2) + eps);
    });
  },
};

/** AdamW (Loshchilov and Hutter 2019): Adam, with decay that does not pass through the moments. */
export const adamw: TwinRule<AdamOptions> = { ...adam, name: "adamw", decayMode: "decoupled", weightDecay: 0.01 };
