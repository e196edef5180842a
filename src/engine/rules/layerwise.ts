/** Rows of the table of rules: those that scale each tensor's update by norms of the whole tensor. */
import lambWgsl from "../../../shaders/rules/lamb.wgsl?raw";
import larsWgsl from "../../../shaders/rules/lars.wgsl?raw";
import novogradWgsl from "../../../shaders/rules/novograd.wgsl?raw";
import { OptionError } from "../../errors.ts";
import { defineRule, type Rule } from "../rule.ts";
import { checkDecayRates, correctionEnds, oneMinusPower, SMALLEST } from "./numbers.ts";

// The largest float32.
const F32_MAX = 3.4028234663852886e38;

/** Options of {@link lamb}. */
export type LambOptions = {
  /** beta1 and beta2 in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added outside the root, after the bias correction; >= 0, default 1e-6. */
  eps: number;
  /** Default true; cybertronai's never corrects. */
  biasCorrection: boolean;
  /** m <- beta1 m + (1 - beta1) g, or else + g; default true. */
  gradAveraging: boolean;
  /** Take the trust ratio without decay too; default false. cybertronai's always does. */
  alwaysAdapt: boolean;
  /** Trust ratios of at most 1; default false. */
  trustClip: boolean;
  /** Whose: `timm`, or `cybertronai` (no bias correction, norm(theta) at most 10, trust ratio always). Default `timm`. */
  convention: "timm" | "cybertronai";
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * LAMB: Adam's direction u = m^ / (sqrt(v^) + eps) + lambda theta, scaled per tensor to the norm of the parameter:
 * theta <- theta - lr norm(theta) / norm(u) u. Without decay the ratio is 1, unless `alwaysAdapt`.
 * Decay is `rule` by default (inside u); lr 1e-3, weightDecay 0.01. timm divides gradients by max(1, global norm):
 * `clip: { globalNorm: 1, eps: 0 }`. Norms of elements between 1e-19 and 1e19.
 * You et al. (2020), arXiv:1904.00962.
 *
 * @throws {OptionError}
 */
export const lamb: (options?: Partial<LambOptions>) => Rule = /* @__PURE__ */ defineRule<LambOptions>({
  name: "lamb",
  wgsl: lambWgsl,
  defaults: {
    betas: [0.9, 0.999],
    eps: 1e-6,
    biasCorrection: true,
    gradAveraging: true,
    alwaysAdapt: false,
    trustClip: false,
    convention: "timm",
    maximize: false,
  },
  choices: { convention: ["timm", "cybertronai"] },
  decayMode: "rule",
  weightDecay: 0.01,
  slots: ["exp_avg", "exp_avg_sq"],
  prepares: "sums",
  settles: "tensor",
  hyper: ({ betas: [beta1, beta2], eps, gradAveraging, alwaysAdapt, trustClip, convention }) => ({
    beta1,
    taken: gradAveraging ? 1 - beta1 : 1,
    beta2,
    one_minus_beta2: 1 - beta2,
    eps: Math.max(eps, SMALLEST),
    most_norm: convention === "cybertronai" ? 10 : F32_MAX,
    always_adapt: Number(alwaysAdapt || convention === "cybertronai"),
    trust_clip: Number(trustClip),
  }),
  countsUpdates: true,
  stepRow: ({ betas: [beta1, beta2], biasCorrection, convention }, t) =>
    biasCorrection && convention === "timm"
      ? { m_correction: 1 / oneMinusPower(beta1, t), v_correction: 1 / Math.sqrt(oneMinusPower(beta2, t)) }
      : { m_correction: 1, v_correction: 1 },
  lastStepRow: ({ betas }) => Math.max(...betas.map(correctionEnds)),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});

/** Options of {@link lars}. */
export type LarsOptions = {
  /** mu, >= 0; default 0. */
  momentum: number;
  /** tau: the gradient enters the momentum buffer times 1 - tau, but for the first; default 0. */
  dampening: number;
  /** Nesterov momentum: needs momentum > 0 and dampening 0; default false. */
  nesterov: boolean;
  /** c of the trust ratio; default 0.001. */
  trustCoeff: number;
  /** Added to the denominator of the trust ratio; default 1e-8. */
  eps: number;
  /** Take the trust ratio without decay too; default false. */
  alwaysAdapt: boolean;
  /** r <- min(r / lr, 1), as in LARC; default false. */
  trustClip: boolean;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * LARS: per tensor r = c norm(theta) / (norm(g) + lambda norm(theta) + eps), then SGD with momentum on r (g + lambda theta).
 * Without decay r is 1, unless `alwaysAdapt`. Decay is `rule` by default (as said), lr 1, weightDecay 0.
 * Norms of elements between 1e-19 and 1e19. You et al. (2017), arXiv:1708.03888, as timm's `Lars`.
 *
 * @throws {OptionError}
 */
export const lars: (options?: Partial<LarsOptions>) => Rule = /* @__PURE__ */ defineRule<LarsOptions>({
  name: "lars",
  wgsl: larsWgsl,
  defaults: {
    momentum: 0,
    dampening: 0,
    nesterov: false,
    trustCoeff: 0.001,
    eps: 1e-8,
    alwaysAdapt: false,
    trustClip: false,
    maximize: false,
  },
  decayMode: "rule",
  lr: 1,
  slots: ["momentum_buffer"],
  usesSlot: (_slot, o) => o.momentum !== 0,
  prepares: "sums",
  settles: "tensor",
  hyper: ({ momentum, nesterov, trustCoeff, eps, alwaysAdapt, trustClip }) => ({
    buffer: momentum === 0 ? 0 : nesterov ? momentum : 1,
    direct: Number(momentum === 0 || nesterov),
    trust_coeff: trustCoeff,
    eps,
    always_adapt: Number(alwaysAdapt),
    trust_clip: Number(trustClip),
  }),
  stepRow: ({ momentum, dampening }, t) => {
    if (momentum === 0) return { momentum: 0, undamped: 0 };
    return t === 1 ? { momentum: 0, undamped: 1 } : { momentum, undamped: 1 - dampening };
  },
  lastStepRow: () => 2,
  overrides: (groups) => ({ MOMENTUM: Number(groups.some((o) => o.momentum !== 0)) }),
  check: (where, { momentum, dampening, nesterov }) => {
    if (nesterov && (momentum <= 0 || dampening !== 0))
      throw new OptionError(where, "nesterov", "needs momentum > 0 and dampening 0", { momentum, dampening });
  },
});

/** Options of {@link novograd}. */
export type NovogradOptions = {
  /** beta1 and beta2 in [0, 1); default [0.95, 0.98]. */
  betas: readonly [number, number];
  /** Added to the root of v; >= 0, default 1e-8. */
  eps: number;
  /** Multiply what enters m by 1 - beta1; default false. */
  gradAveraging: boolean;
  /** Use the largest v so far; default false. */
  amsgrad: boolean;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * NovoGrad: v is one number per tensor, v_1 = norm(g)^2, v <- beta2 v + (1 - beta2) norm(g)^2;
 * m <- beta1 m + g / (sqrt(v) + eps) + lambda theta; theta <- theta - lr m.
 * Decay is `rule` by default (as said), lr 1e-3, weightDecay 0. Norms of elements between 1e-19 and 1e19.
 * Ginsburg et al. (2019), arXiv:1905.11286, as timm's `NvNovoGrad`.
 *
 * @throws {OptionError}
 */
export const novograd: (options?: Partial<NovogradOptions>) => Rule = /* @__PURE__ */ defineRule<NovogradOptions>({
  name: "novograd",
  wgsl: novogradWgsl,
  defaults: { betas: [0.95, 0.98], eps: 1e-8, gradAveraging: false, amsgrad: false, maximize: false },
  decayMode: "rule",
  slots: ["exp_avg"],
  prepares: "sums",
  settles: "tensor",
  numbers: ["exp_avg_sq", "max_exp_avg_sq"],
  hyper: ({ betas: [beta1, beta2], eps, gradAveraging, amsgrad }) => ({
    beta1,
    taken: gradAveraging ? 1 - beta1 : 1,
    beta2,
    one_minus_beta2: 1 - beta2,
    eps: Math.max(eps, SMALLEST),
    amsgrad: Number(amsgrad),
  }),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});
