import { slot, type TwinRule, zeroSlot } from "./rule.ts";

type Options = {
  readonly betas?: readonly [number, number];
  /** 0: the root of beta2. */
  readonly beta3?: number;
  readonly eps?: number;
  readonly d0?: number;
  readonly dCoef?: number;
  /** 0: without a limit. */
  readonly growthRate?: number;
  readonly useBiasCorrection?: boolean;
  readonly safeguardWarmup?: boolean;
  readonly sliceP?: number;
};

/**
 * Prodigy (Mishchenko and Defazio 2023): Adam that estimates its learning rate d from how far all tensors together have come.
 * One d for all groups; what d is made of follows the options of the first tensor. Only the divisor's eps has the new d already.
 */
export const prodigy: TwinRule<Options> = {
  name: "prodigy",
  decayMode: "rule",
  lr: 1,
  weightDecay: 0,
  forAll(tensors, numbers) {
    const first = tensors[0];
    // An update in which no tensor takes part counts all the same.
    if (!first) {
      numbers.k = (numbers.k ?? 0) + 1;
      return;
    }
    const { betas: [beta1, beta2] = [0.9, 0.999], d0 = 1e-6, dCoef = 1, growthRate = 0 } = first.options;
    const beta3 = first.options.beta3 || Math.sqrt(beta2);
    const k = numbers.k ?? 0;
    let d = numbers.d ?? d0;
    const correction = first.options.useBiasCorrection ? Math.sqrt(1 - beta2 ** (k + 1)) / (1 - beta1 ** (k + 1)) : 1;
    let numerator = beta3 * (numbers.d_numerator ?? 0);
    let denominator = 0;
    for (const { g, state, options, lr, context } of tensors) {
      const { theta } = context;
      const { safeguardWarmup = false, sliceP = 1 } = options;
      const origin = slot(state, "p0", () => theta.map((x, i) => (i % sliceP === 0 ? x : 0)));
      const s = zeroSlot(state, "s", g.length);
      if (lr === 0) continue;
      const delta = d * lr * correction;
      for (let i = 0; i < g.length; i += sliceP) {
        numerator += (d / d0) * delta * g[i]! * (origin[i]! - theta[i]!);
        s[i] = beta3 * s[i]! + (d / d0) * (safeguardWarmup ? d : delta) * g[i]!;
        denominator += Math.abs(s[i]!);
      }
    }
    // While nothing has entered the estimate, gradients are taken in, but nothing moves.
    Object.assign(numbers, { before: d, moves: Number(denominator > 0), correction });
    let [most, estimate] = [numbers.d_max ?? d0, d];
    if (denominator > 0) {
      estimate = (dCoef * numerator) / denominator;
      if (d === d0) d = Math.max(d, estimate);
      most = Math.max(most, estimate);
      d = Math.min(most, growthRate === 0 ? Infinity : d * growthRate);
    }
    Object.assign(numbers, { k: k + 1, d, d_max: most, d_hat: estimate, d_numerator: numerator, d_denom: denominator });
  },
  update(g, state, { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8 }, lr, { theta, ruleDecay, ofAll }) {
    const m = zeroSlot(state, "exp_avg", g.length);
    const v = zeroSlot(state, "exp_avg_sq", g.length);
    const d = ofAll.before!;
    const delta = ofAll.moves! * d * lr * ofAll.correction!;
    return g.map((gi, i) => {
      // A group with lr 0 takes no part: its state stays as it is.
      if (lr === 0) return 0;
      m[i] = beta1 * m[i]! + (1 - beta1) * d * gi;
      v[i] = beta2 * v[i]! + (1 - beta2) * (d * gi) ** 2;
      const direction = m[i] === 0 ? 0 : m[i]! / (Math.sqrt(v[i]!) + ofAll.d! * eps);
      return delta * (direction + ruleDecay * theta[i]!);
    });
  },
};
