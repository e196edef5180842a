/** Rows of the table of rules: Adam with more than one momentum. */
import adanWgsl from "../../../shaders/rules/adan.wgsl?raw";
import ademamixWgsl from "../../../shaders/rules/ademamix.wgsl?raw";
import { defineRule, type Rule } from "../rule.ts";
import { checkDecayRates, correctionEnds, momentHyper, oneMinusPower, SMALLEST } from "./numbers.ts";

/** Options of {@link adan}. */
export type AdanOptions = {
  /** beta1 of g, beta2 of its differences and beta3 of the square, in [0, 1); default [0.98, 0.92, 0.99]. */
  betas: readonly [number, number, number];
  /** Added outside the root, after the bias correction; >= 0, default 1e-8. */
  eps: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * Adan, as the authors' `adan.py`: y = g - g_prev; m, d and n are the means of g, y and (g + beta2 y)^2;
 * theta <- theta - lr (m / (1 - beta1^t) + beta2 d / (1 - beta2^t)) / (sqrt(n) / sqrt(1 - beta3^t) + eps).
 * t counts the updates of a tensor, there those of a group. Decay is `proximal` by default (`no_prox` there is `decoupled`),
 * lr 1e-3, weightDecay 0. Xie et al. (2022), arXiv:2208.06677, whose beta is 1 - beta here.
 *
 * @throws {OptionError}
 */
export const adan: (options?: Partial<AdanOptions>) => Rule = /* @__PURE__ */ defineRule<AdanOptions>({
  name: "adan",
  wgsl: adanWgsl,
  defaults: { betas: [0.98, 0.92, 0.99], eps: 1e-8, maximize: false },
  decayMode: "proximal",
  slots: ["exp_avg", "exp_avg_sq", "exp_avg_diff", "neg_pre_grad"],
  hyper: ({ betas: [beta1, beta2, beta3], eps }) => ({
    beta1,
    one_minus_beta1: 1 - beta1,
    beta2,
    one_minus_beta2: 1 - beta2,
    beta3,
    one_minus_beta3: 1 - beta3,
    eps: Math.max(eps, SMALLEST),
  }),
  countsUpdates: true,
  stepRow: ({ betas: [beta1, beta2, beta3] }, t) => ({
    m_correction: 1 / oneMinusPower(beta1, t),
    d_correction: beta2 / oneMinusPower(beta2, t),
    n_correction: 1 / Math.sqrt(oneMinusPower(beta3, t)),
  }),
  lastStepRow: ({ betas }) => Math.max(...betas.map(correctionEnds)),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});

/** Options of {@link ademamix}. */
export type AdemamixOptions = {
  /** beta1 of the fast mean, beta2 of the square, beta3 of the slow mean, in [0, 1); default [0.9, 0.999, 0.9999]. */
  betas: readonly [number, number, number];
  /** Weight of the slow mean, >= 0; default 2. The paper uses 5 to 8. */
  alpha: number;
  /** Updates in which alpha rises from 0, linearly; default 0, none. */
  alphaWarmup: number;
  /** Updates in which beta3 rises from beta1, linearly in its half-life; default 0, none. */
  beta3Warmup: number;
  /** Added outside the root, after the bias correction; >= 0, default 1e-8. */
  eps: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * AdEMAMix, as the authors' `ademamix.py`: AdamW with two means of the gradient, m1 with beta1 and m2 with beta3,
 * theta <- theta - lr (m1 / (1 - beta1^t) + alpha m2) / (sqrt(v) / sqrt(1 - beta2^t) + eps).
 * Decay is `decoupled` by default, lr 1e-3, weightDecay 0. Pagliardini et al. (2024), arXiv:2409.03137.
 *
 * @throws {OptionError}
 */
export const ademamix: (options?: Partial<AdemamixOptions>) => Rule = /* @__PURE__ */ defineRule<AdemamixOptions>({
  name: "ademamix",
  wgsl: ademamixWgsl,
  defaults: { betas: [0.9, 0.999, 0.9999], alpha: 2, alphaWarmup: 0, beta3Warmup: 0, eps: 1e-8, maximize: false },
  slots: ["exp_avg_fast", "exp_avg_slow", "exp_avg_sq"],
  hyper: momentHyper,
  stepRow: ({ betas: [beta1, beta2, beta3], alpha, alphaWarmup, beta3Warmup }, t) => ({
    m_correction: 1 / oneMinusPower(beta1, t),
    v_correction: 1 / Math.sqrt(oneMinusPower(beta2, t)),
    alpha: t < alphaWarmup ? (alpha * t) / alphaWarmup : alpha,
    ...(t < beta3Warmup ? warmedUp(beta1, beta3, t / beta3Warmup) : { beta3, one_minus_beta3: 1 - beta3 }),
  }),
  lastStepRow: ({ betas: [beta1, beta2], alphaWarmup, beta3Warmup }) =>
    Math.ceil(Math.max(correctionEnds(beta1), correctionEnds(beta2), alphaWarmup, beta3Warmup)),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});

/** beta3 on its way from beta1, at `done` in [0, 1]: linear in f(beta) = ln 0.5 / ln beta - 1, steps to half the weight. */
function warmedUp(beta1: number, beta3: number, done: number) {
  // 1e-8 as in the reference, for a beta of 0.
  const halfLife = (beta: number) => Math.log(0.5) / Math.log(beta + 1e-8) - 1;
  const s = (1 - done) * halfLife(beta1) + done * halfLife(beta3);
  const exponent = Math.log(0.5) / (s + 1);
  return { beta3: Math.exp(exponent), one_minus_beta3: -Math.expm1(exponent) };
}
