import { averageLength, rectifier } from "./radam.ts";
import { type TwinRule, zeroSlot } from "./rule.ts";

type Options = {
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  readonly amsgrad?: boolean;
  readonly rectify?: boolean;
  readonly degeneratedToSgd?: boolean;
};

/**
 * AdaBelief (Zhuang et al. 2020) as the authors' package has it: v = beta2 v + (1 - beta2) (g - m)^2 + eps, in which eps stays;
 * then Adam's update, or by default RAdam's, rectified from rho_t = 5 on and a step of the plain momentum before.
 */
export const adabelief: TwinRule<Options> = {
  name: "adabelief",
  decayMode: "decoupled",
  weightDecay: 0,
  update(g, state, options, lr) {
    const { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-16 } = options;
    const { amsgrad = false, rectify = true, degeneratedToSgd = true } = options;
    const m = zeroSlot(state, "exp_avg", g.length);
    const variance = zeroSlot(state, "exp_avg_var", g.length);
    const largest = amsgrad ? zeroSlot(state, "max_exp_avg_var", g.length) : undefined;
    const length = averageLength(beta2, state.step);
    const correction2 = 1 - beta2 ** state.step;
    return g.map((gi, i) => {
      m[i] = beta1 * m[i]! + (1 - beta1) * gi;
      variance[i] = beta2 * variance[i]! + (1 - beta2) * (gi - m[i]!) ** 2 + eps;
      if (largest) largest[i] = Math.max(largest[i]!, variance[i]!);
      const root = Math.sqrt(largest ? largest[i]! : variance[i]!);
      const step = (lr * m[i]!) / (1 - beta1 ** state.step);
      if (!rectify) return step / (root / Math.sqrt(correction2) + eps);
      if (length.rho >= 5) return (step * rectifier(length) * Math.sqrt(correction2)) / (root + eps);
      return degeneratedToSgd ? step : 0;
    });
  },
};
