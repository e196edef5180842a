/**
 * The table of rules. One row per optimizer: its WGSL file, its state, and its options as numbers. A row that is not imported
 * is not in the bundle.
 */
import adamWgsl from "../../shaders/rules/adam.wgsl?raw";
import sgdWgsl from "../../shaders/rules/sgd.wgsl?raw";
import { OptionError } from "../errors.ts";
import { defineRule, type Rule, type RuleDefinition } from "./rule.ts";

/** Options of {@link sgd}. */
export type SgdOptions = {
  /** mu, >= 0; default 0. */
  momentum: number;
  /** tau: the gradient enters the momentum buffer times 1 - tau, but for the first; default 0. */
  dampening: number;
  /** Nesterov momentum: needs momentum > 0 and dampening 0; default false. */
  nesterov: boolean;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * SGD with momentum, dampening and Nesterov momentum, as `torch.optim.SGD`:
 * b_1 = g, b_t = mu b + (1 - tau) g; theta <- theta - lr (g + mu b) with Nesterov, theta - lr b without.
 * Decay is `coupled` by default, lr 1e-3.
 *
 * @throws {OptionError}
 */
export const sgd: (options?: Partial<SgdOptions>) => Rule = /* @__PURE__ */ defineRule<SgdOptions>({
  name: "sgd",
  wgsl: sgdWgsl,
  defaults: { momentum: 0, dampening: 0, nesterov: false, maximize: false },
  decayMode: "coupled",
  slots: ["momentum_buffer"],
  usesSlot: (_slot, o) => o.momentum !== 0,
  hyper: (o) => {
    if (o.momentum === 0) return { buffer: 0, direct: 1 };
    return o.nesterov ? { buffer: o.momentum, direct: 1 } : { buffer: 1, direct: 0 };
  },
  stepRow: (o, t) => {
    // A group without momentum beside others that have it keeps its buffer zero: it is no state, and momentum may set in later.
    if (o.momentum === 0) return { momentum: 0, undamped: 0 };
    return t === 1 ? { momentum: 0, undamped: 1 } : { momentum: o.momentum, undamped: 1 - o.dampening };
  },
  lastStepRow: () => 2,
  overrides: (groups) => ({ MOMENTUM: Number(groups.some((o) => o.momentum !== 0)) }),
  check: (where, o) => {
    if (o.nesterov && (o.momentum <= 0 || o.dampening !== 0)) {
      throw new OptionError(where, "nesterov", "needs momentum > 0 and dampening 0", {
        momentum: o.momentum,
        dampening: o.dampening,
      });
    }
  },
});

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

// The smallest normal float32. With eps = 0 a weight that never had a gradient would become 0 / 0; so it stays.
const SMALLEST = 2 ** -126;

// A function, so that bundlers can drop it whole: they must keep a spread object, whose getters might do something.
const adamLike = (own: Pick<RuleDefinition, "name" | "decayMode" | "weightDecay">) =>
  defineRule<AdamOptions>({
    ...own,
    wgsl: adamWgsl,
    path: "rules/adam.wgsl",
    defaults: { betas: [0.9, 0.999], eps: 1e-8, amsgrad: false, maximize: false },
    slots: ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
    usesSlot: (slot, o) => slot !== "max_exp_avg_sq" || o.amsgrad,
    hyper: ({ betas: [beta1, beta2], eps, amsgrad }) => ({
      beta1,
      one_minus_beta1: 1 - beta1,
      beta2,
      one_minus_beta2: 1 - beta2,
      eps: Math.max(eps, SMALLEST),
      amsgrad: Number(amsgrad),
    }),
    stepRow: ({ betas: [beta1, beta2] }, t) => ({
      m_correction: 1 / oneMinusPower(beta1, t),
      v_correction: 1 / Math.sqrt(oneMinusPower(beta2, t)),
    }),
    lastStepRow: ({ betas }) => Math.max(...betas.map(correctionEnds)),
    overrides: (groups) => ({ AMSGRAD: Number(groups.some((o) => o.amsgrad)) }),
    check: (where, { betas }) => {
      betas.forEach((beta, i) => {
        if (beta >= 1) throw new OptionError(where, `betas[${i}]`, "must be in [0, 1)", beta);
      });
    },
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

/** 1 - beta^t without cancellation. */
function oneMinusPower(beta: number, t: number): number {
  return beta === 0 ? 1 : -Math.expm1(t * Math.log(beta));
}

/** The t from which 1 - beta^t is 1 in float32. */
function correctionEnds(beta: number): number {
  return beta === 0 ? 1 : Math.max(1, Math.ceil((-26 * Math.LN2) / Math.log(beta)));
}
