/** Rows of the table of rules: Adam and its next of kin. */
import adamWgsl from "../../../shaders/rules/adam.wgsl?raw";
import adamaxWgsl from "../../../shaders/rules/adamax.wgsl?raw";
import nadamwWgsl from "../../../shaders/rules/nadamw.wgsl?raw";
import { defineRule, type Rule, type RuleDefinition } from "../rule.ts";
import { checkDecayRates, correctionEnds, momentHyper, oneMinusPower, SMALLEST } from "./numbers.ts";

/** Options of {@link adam} and {@link adamw}. */
export type AdamOptions = {
  /** beta1 and beta2 in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added outside the root, after the bias correction; >= 0, default 1e-8. */
  eps: number;
  /** Use the largest v so far (Reddi et al. 2018), before bias correction; default false. */
  amsgrad: boolean;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

// A function, so that bundlers can drop it whole: they must keep a spread object, whose getters might do something.
const adamLike = (own: Pick<RuleDefinition, "name" | "decayMode" | "weightDecay">) =>
  defineRule<AdamOptions>({
    ...own,
    wgsl: adamWgsl,
    path: "rules/adam.wgsl",
    defaults: { betas: [0.9, 0.999], eps: 1e-8, amsgrad: false, maximize: false },
    slots: ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
    quantizes: { exp_avg: "signed", exp_avg_sq: "unsigned", max_exp_avg_sq: "unsigned" },
    usesSlot: (slot, o) => slot !== "max_exp_avg_sq" || o.amsgrad,
    hyper: (o) => ({ ...momentHyper(o), amsgrad: Number(o.amsgrad) }),
    stepRow: ({ betas: [beta1, beta2] }, t) => ({
      m_correction: 1 / oneMinusPower(beta1, t),
      v_correction: 1 / Math.sqrt(oneMinusPower(beta2, t)),
    }),
    lastStepRow: ({ betas }) => Math.max(...betas.map(correctionEnds)),
    overrides: (groups) => ({ AMSGRAD: Number(groups.some((o) => o.amsgrad)) }),
    check: (where, { betas }) => checkDecayRates(where, { betas }),
  });

/**
 * Adam, as `torch.optim.Adam`: m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2,
 * theta <- theta - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps).
 * Decay is `coupled` by default (see {@link DecayMode} for what that means here), lr 1e-3, weightDecay 0.
 * Kingma & Ba (2015), arXiv:1412.6980.
 *
 * @throws {OptionError}
 */
export const adam: (options?: Partial<AdamOptions>) => Rule = /* @__PURE__ */ adamLike({
  name: "adam",
  decayMode: "coupled",
});

/**
 * AdamW, as `torch.optim.AdamW`: Adam with decay `decoupled`, theta <- theta (1 - lr lambda); lr 1e-3, weightDecay 0.01.
 * Loshchilov & Hutter (2019), arXiv:1711.05101.
 *
 * @throws {OptionError}
 */
export const adamw: (options?: Partial<AdamOptions>) => Rule = /* @__PURE__ */ adamLike({
  name: "adamw",
  weightDecay: 0.01,
});

/** Options of {@link nadamw}. */
export type NadamwOptions = {
  /** beta1 and beta2 in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added outside the root, after the bias correction; >= 0, default 1e-8. */
  eps: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * NAdamW, as timm's `NAdamW`: AdamW that looks one step of momentum ahead,
 * u = lr / (1 - beta1^t) (beta1 m + (1 - beta1) g) / (sqrt(v) / sqrt(1 - beta2^t) + eps).
 * For PyTorch's NAdam with decoupled decay take {@link nadam} with `decayMode: "decoupled"`: that one schedules its momentum.
 * Decay is `decoupled` by default, lr 1e-3, weightDecay 0.01. Dahl et al. (2023), arXiv:2306.07179.
 *
 * @throws {OptionError}
 */
export const nadamw: (options?: Partial<NadamwOptions>) => Rule = /* @__PURE__ */ defineRule<NadamwOptions>({
  name: "nadamw",
  wgsl: nadamwWgsl,
  defaults: { betas: [0.9, 0.999], eps: 1e-8, maximize: false },
  weightDecay: 0.01,
  slots: ["exp_avg", "exp_avg_sq"],
  quantizes: { exp_avg: "signed", exp_avg_sq: "unsigned" },
  hyper: momentHyper,
  stepRow: ({ betas: [beta1, beta2] }, t) => ({
    m_correction: 1 / oneMinusPower(beta1, t),
    v_correction: 1 / Math.sqrt(oneMinusPower(beta2, t)),
  }),
  lastStepRow: ({ betas }) => Math.max(...betas.map(correctionEnds)),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});

/** Options of {@link adamax}. */
export type AdamaxOptions = {
  /** beta1 and beta2 in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to |g| inside the maximum; >= 0, default 1e-8. */
  eps: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * Adamax, as `torch.optim.Adamax`: m <- beta1 m + (1 - beta1) g, w <- max(beta2 w, |g| + eps),
 * theta <- theta - lr / (1 - beta1^t) m / w. With decay `decoupled` it is AdamaxW.
 * Decay is `coupled` by default, lr 2e-3. Kingma & Ba (2015), arXiv:1412.6980, section 7.1.
 *
 * @throws {OptionError}
 */
export const adamax: (options?: Partial<AdamaxOptions>) => Rule = /* @__PURE__ */ defineRule<AdamaxOptions>({
  name: "adamax",
  wgsl: adamaxWgsl,
  defaults: { betas: [0.9, 0.999], eps: 1e-8, maximize: false },
  lr: 2e-3,
  decayMode: "coupled",
  slots: ["exp_avg", "exp_inf"],
  quantizes: { exp_avg: "signed", exp_inf: "unsigned" },
  hyper: ({ betas: [beta1, beta2], eps }) => ({
    beta1,
    one_minus_beta1: 1 - beta1,
    beta2,
    eps,
    smallest: SMALLEST,
  }),
  stepRow: ({ betas: [beta1] }, t) => ({ m_correction: 1 / oneMinusPower(beta1, t) }),
  lastStepRow: ({ betas: [beta1] }) => correctionEnds(beta1),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});
