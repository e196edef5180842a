/** Rows of the table of rules: learning rates by element, without a mean of the gradient. */
import adadeltaWgsl from "../../../shaders/rules/adadelta.wgsl?raw";
import adagradWgsl from "../../../shaders/rules/adagrad.wgsl?raw";
import rmspropWgsl from "../../../shaders/rules/rmsprop.wgsl?raw";
import { defineRule, type Rule } from "../rule.ts";
import { checkDecayRates, SMALLEST } from "./numbers.ts";

/** Options of {@link rmsprop}. */
export type RmspropOptions = {
  /** Of the mean of g^2, in [0, 1); default 0.99. */
  alpha: number;
  /** Added outside the root; >= 0, default 1e-8. */
  eps: number;
  /** Divide by the standard deviation of the gradient instead of its root mean square; default false. */
  centered: boolean;
  /** mu, >= 0; default 0. */
  momentum: number;
  /** TensorFlow's form: the mean of g^2 begins with 1, eps is inside the root, lr inside the momentum; default false. */
  tensorflow: boolean;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * RMSprop, as `torch.optim.RMSprop`: v <- alpha v + (1 - alpha) g^2, x = g / (sqrt(v) + eps); theta <- theta - lr x, with
 * momentum b <- mu b + x, theta <- theta - lr b. Centered, v - a^2 takes the place of v, with a the mean of g.
 * With `tensorflow` it is TensorFlow's and timm's `RMSpropTF`, for which alpha is 0.9 and eps 1e-10 by custom.
 * Decay is `coupled` by default, lr 0.01. Hinton (2012), lecture 6e; centered: Graves (2013), arXiv:1308.0850.
 *
 * @throws {OptionError}
 */
export const rmsprop: (options?: Partial<RmspropOptions>) => Rule = /* @__PURE__ */ defineRule<RmspropOptions>({
  name: "rmsprop",
  wgsl: rmspropWgsl,
  defaults: { alpha: 0.99, eps: 1e-8, centered: false, momentum: 0, tensorflow: false, maximize: false },
  lr: 0.01,
  decayMode: "coupled",
  slots: ["square_avg", "momentum_buffer", "grad_avg"],
  usesSlot: (slot, o) => (slot === "momentum_buffer" ? o.momentum > 0 : slot === "square_avg" || o.centered),
  hyper: ({ alpha, eps, centered, momentum, tensorflow }) => ({
    alpha,
    one_minus_alpha: 1 - alpha,
    inner_eps: tensorflow ? eps : 0,
    outer_eps: tensorflow ? SMALLEST : Math.max(eps, SMALLEST),
    momentum,
    centered: Number(centered),
    lr_inside: Number(tensorflow),
  }),
  stepRow: ({ tensorflow }, t) => ({ initial: Number(tensorflow && t === 1) }),
  lastStepRow: () => 2,
  overrides: (groups) => ({
    CENTERED: Number(groups.some((o) => o.centered)),
    MOMENTUM: Number(groups.some((o) => o.momentum > 0)),
  }),
  check: (where, { alpha }) => checkDecayRates(where, { alpha }),
});

/** Options of {@link adagrad}. */
export type AdagradOptions = {
  /** lr is divided by 1 + (t - 1) lrDecay; >= 0, default 0. */
  lrDecay: number;
  /** What the sum of g^2 begins with, at a tensor's first gradient; >= 0, default 0. */
  initialAccumulatorValue: number;
  /** Added outside the root; >= 0, default 1e-10. */
  eps: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * Adagrad, as `torch.optim.Adagrad`: s <- s + g^2, theta <- theta - lr / (1 + (t - 1) lrDecay) g / (sqrt(s) + eps).
 * Decay is `coupled` by default, lr 0.01. Duchi, Hazan & Singer (2011), https://jmlr.org/papers/v12/duchi11a.html.
 *
 * @throws {OptionError}
 */
export const adagrad: (options?: Partial<AdagradOptions>) => Rule = /* @__PURE__ */ defineRule<AdagradOptions>({
  name: "adagrad",
  wgsl: adagradWgsl,
  defaults: { lrDecay: 0, initialAccumulatorValue: 0, eps: 1e-10, maximize: false },
  lr: 0.01,
  decayMode: "coupled",
  slots: ["sum"],
  hyper: ({ eps }) => ({ eps: Math.max(eps, SMALLEST) }),
  stepRow: ({ lrDecay, initialAccumulatorValue }, t) => ({
    lr_factor: 1 / (1 + (t - 1) * lrDecay),
    initial: t === 1 ? initialAccumulatorValue : 0,
  }),
  lastStepRow: ({ lrDecay }) => (lrDecay === 0 ? 2 : Number.POSITIVE_INFINITY),
});

/** Options of {@link adadelta}. */
export type AdadeltaOptions = {
  /** Of both means, in [0, 1); default 0.9. */
  rho: number;
  /** Added inside both roots; >= 0, default 1e-6. With 0 nothing ever moves: the first step has no scale. */
  eps: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * Adadelta, as `torch.optim.Adadelta`: v <- rho v + (1 - rho) g^2, d = sqrt(a + eps) / sqrt(v + eps) g,
 * a <- rho a + (1 - rho) d^2, theta <- theta - lr d.
 * Decay is `coupled` by default, lr 1. Zeiler (2012), arXiv:1212.5701.
 *
 * @throws {OptionError}
 */
export const adadelta: (options?: Partial<AdadeltaOptions>) => Rule = /* @__PURE__ */ defineRule<AdadeltaOptions>({
  name: "adadelta",
  wgsl: adadeltaWgsl,
  defaults: { rho: 0.9, eps: 1e-6, maximize: false },
  lr: 1,
  decayMode: "coupled",
  slots: ["square_avg", "acc_delta"],
  hyper: ({ rho, eps }) => ({ rho, one_minus_rho: 1 - rho, eps, divisor_eps: Math.max(eps, SMALLEST) }),
  check: (where, { rho }) => checkDecayRates(where, { rho }),
});
