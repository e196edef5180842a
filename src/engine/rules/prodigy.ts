/** Row of the table of rules: Prodigy. */
import prodigyWgsl from "../../../shaders/rules/prodigy.wgsl?raw";
import { OptionError } from "../../errors.ts";
import { defineRule, type Rule } from "../rule.ts";
import { checkDecayRates, correctionEnds, oneMinusPower } from "./numbers.ts";

/** Options of {@link prodigy}. */
export type ProdigyOptions = {
  /** beta1 and beta2 in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** In [0, 1); default 0, which stands for sqrt(beta2). */
  beta3: number;
  /** Times d, added to the root of v; >= 0, default 1e-8. */
  eps: number;
  /** First estimate of d; > 0, default 1e-6. */
  d0: number;
  /** Factor on the estimates; > 0, default 1. */
  dCoef: number;
  /** d grows by at most this factor per step; >= 1, or 0 for no limit. Default 0. */
  growthRate: number;
  /** Bias correction of Adam; default false. */
  useBiasCorrection: boolean;
  /** Leave lr out of s, for warm-up; default false. */
  safeguardWarmup: boolean;
  /** Only every so many-th element enters the estimate of d; a whole number >= 1, default 1. */
  sliceP: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * Prodigy, as `prodigyopt`: Adam whose step size d is estimated on the device, for all tensors together, from how far the
 * parameters have come and what the gradients say. Leave lr at 1 (all groups the same, or 0: a group with lr 0 takes no part) and
 * give it a schedule, such as cosine. Decay is `rule` by default: theta <- theta (1 - d lr lambda); weightDecay 0.
 * Mishchenko & Defazio (2024), arXiv:2306.06101.
 *
 * @throws {OptionError}
 */
export const prodigy: (options?: Partial<ProdigyOptions>) => Rule = /* @__PURE__ */ defineRule<ProdigyOptions>({
  name: "prodigy",
  wgsl: prodigyWgsl,
  defaults: {
    betas: [0.9, 0.999],
    beta3: 0,
    eps: 1e-8,
    d0: 1e-6,
    dCoef: 1,
    growthRate: 0,
    useBiasCorrection: false,
    safeguardWarmup: false,
    sliceP: 1,
    maximize: false,
  },
  decayMode: "rule",
  lr: 1,
  slots: ["s", "p0", "exp_avg", "exp_avg_sq"],
  prepares: "sums",
  settles: "together",
  numbers: ["d", "d_max", "d_numerator"],
  hyper: ({ betas: [beta1, beta2], beta3, eps, d0, dCoef, growthRate, safeguardWarmup, sliceP }) => ({
    beta1,
    one_minus_beta1: 1 - beta1,
    beta2,
    one_minus_beta2: 1 - beta2,
    beta3: beta3 === 0 ? Math.sqrt(beta2) : beta3,
    eps,
    d0,
    d_coef: dCoef,
    growth_rate: growthRate,
    safeguard_warmup: Number(safeguardWarmup),
    slice_p: sliceP,
  }),
  countsUpdates: true,
  stepRow: ({ betas: [beta1, beta2], useBiasCorrection }, t) => ({
    bias_correction: useBiasCorrection ? Math.sqrt(oneMinusPower(beta2, t)) / oneMinusPower(beta1, t) : 1,
  }),
  lastStepRow: ({ betas, useBiasCorrection }) => (useBiasCorrection ? Math.max(...betas.map(correctionEnds)) : 1),
  check: (where, { betas, beta3, d0, dCoef, growthRate, sliceP }) => {
    checkDecayRates(where, { betas, beta3 });
    const smallest = 2 ** -126;
    if (!(Math.fround(d0) >= smallest)) throw new OptionError(where, "d0", "must be a float32 > 0", d0);
    if (!(Math.fround(dCoef) >= smallest)) throw new OptionError(where, "dCoef", "must be a float32 > 0", dCoef);
    if (growthRate !== 0 && growthRate < 1) throw new OptionError(where, "growthRate", "must be 0 or >= 1", growthRate);
    if (!Number.isInteger(sliceP) || sliceP < 1 || sliceP > 2 ** 24)
      throw new OptionError(where, "sliceP", "must be a whole number in [1, 2^24]", sliceP);
  },
});
