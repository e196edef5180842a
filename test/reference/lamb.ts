import { length, type TwinRule, zeroSlot } from "./rule.ts";

type Options = {
  readonly convention?: "timm" | "cybertronai";
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  readonly biasCorrection?: boolean;
  readonly gradAveraging?: boolean;
  readonly trustClip?: boolean;
  readonly alwaysAdapt?: boolean;
};

/** The norm beyond which cybertronai's parameters count as no longer. */
const LONGEST = 10;

/**
 * LAMB (You et al. 2020): Adam's direction with decay in it, as long as the parameter. timm's follows NVIDIA's, in which only
 * tensors with decay are adapted unless `alwaysAdapt` says so; cybertronai's has no bias correction and bounds the norm.
 */
export const lamb: TwinRule<Options> = {
  name: "lamb",
  decayMode: "rule",
  weightDecay: 0.01,
  forGroup: (numbers) => {
    numbers.t = (numbers.t ?? 0) + 1;
  },
  update(g, state, options, lr, { ofGroup: { t = 1 }, theta, lambda, firstDecay, ruleDecay }) {
    const { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-6, gradAveraging = true, trustClip = false } = options;
    const bounded = options.convention === "cybertronai";
    const corrects = !bounded && (options.biasCorrection ?? true);
    const [c1, c2] = corrects ? [1 - beta1 ** t, 1 - beta2 ** t] : [1, 1];
    const m = zeroSlot(state, "exp_avg", g.length);
    const v = zeroSlot(state, "exp_avg_sq", g.length);
    const u = g.map((gi, i) => {
      m[i] = beta1 * m[i]! + (gradAveraging ? 1 - beta1 : 1) * gi;
      v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
      const direction = m[i] === 0 ? 0 : m[i]! / c1 / (Math.sqrt(v[i]! / c2) + eps);
      return direction + ruleDecay * theta[i]!;
    });
    // Where decay comes first, the norm is of what is left.
    const long = Math.abs(1 - firstDecay) * length(theta);
    const [weight, step] = [bounded ? Math.min(long, LONGEST) : long, length(u)];
    let ratio = 1;
    if ((bounded || lambda !== 0 || options.alwaysAdapt) && weight > 0 && step > 0) ratio = weight / step;
    if (trustClip) ratio = Math.min(ratio, 1);
    return u.map((ui) => lr * ratio * ui);
  },
};
