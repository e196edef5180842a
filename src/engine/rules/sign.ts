/** Rows of the table of rules: those that step by a sign. */
import lionWgsl from "../../../shaders/rules/lion.wgsl?raw";
import rpropWgsl from "../../../shaders/rules/rprop.wgsl?raw";
import signumWgsl from "../../../shaders/rules/signum.wgsl?raw";
import { OptionError } from "../../errors.ts";
import { defineRule, type Rule } from "../rule.ts";
import { checkDecayRates } from "./numbers.ts";

/** Options of {@link rprop}. */
export type RpropOptions = {
  /** eta- in (0, 1) and eta+ > 1: factors of the step size where the gradient turns and where it does not; default [0.5, 1.2]. */
  etas: readonly [number, number];
  /** Least and largest step size, >= 0; default [1e-6, 50]. */
  stepSizes: readonly [number, number];
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * Rprop, as `torch.optim.Rprop`, for gradients of the whole data set: each element has a step size Delta of its own, which
 * grows by eta+ while the sign of its gradient stays, and shrinks by eta- and rests for a step where it turns;
 * theta <- theta - sign(g) Delta.
 * lr (0.01) is nothing but the first step size: later changes of it do not matter, but for decay. PyTorch's has no decay; here
 * it is `decoupled` by default, weightDecay 0. Riedmiller & Braun (1993), https://doi.org/10.1109/ICNN.1993.298623.
 *
 * @throws {OptionError}
 */
export const rprop: (options?: Partial<RpropOptions>) => Rule = /* @__PURE__ */ defineRule<RpropOptions>({
  name: "rprop",
  wgsl: rpropWgsl,
  defaults: { etas: [0.5, 1.2], stepSizes: [1e-6, 50], maximize: false },
  lr: 0.01,
  slots: ["prev", "step_size"],
  hyper: ({ etas: [eta_minus, eta_plus], stepSizes: [least, most] }) => ({ eta_minus, eta_plus, least, most }),
  stepRow: (_, t) => ({ first: Number(t === 1) }),
  lastStepRow: () => 2,
  check: (where, { etas, stepSizes }) => {
    if (!(etas[0] > 0 && etas[0] < 1)) throw new OptionError(where, "etas[0]", "must be in (0, 1)", etas[0]);
    if (etas[1] <= 1) throw new OptionError(where, "etas[1]", "must be > 1", etas[1]);
    if (stepSizes[0] > stepSizes[1])
      throw new OptionError(where, "stepSizes", "must be the least and the largest, in this order", stepSizes);
  },
});

/** Options of {@link lion}. */
export type LionOptions = {
  /** beta1 of the step and beta2 of the momentum, in [0, 1); default [0.9, 0.99]. */
  betas: readonly [number, number];
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * Lion: theta <- theta - lr sign(beta1 m + (1 - beta1) g), then m <- beta2 m + (1 - beta2) g.
 * Every element moves by lr: take a tenth of AdamW's lr, and ten times its weightDecay.
 * Decay is `decoupled` by default, lr 1e-4, weightDecay 0. Chen et al. (2023), arXiv:2302.06675.
 *
 * @throws {OptionError}
 */
export const lion: (options?: Partial<LionOptions>) => Rule = /* @__PURE__ */ defineRule<LionOptions>({
  name: "lion",
  wgsl: lionWgsl,
  defaults: { betas: [0.9, 0.99], maximize: false },
  lr: 1e-4,
  slots: ["exp_avg"],
  quantizes: { exp_avg: "signed" },
  hyper: ({ betas: [beta1, beta2] }) => ({
    beta1,
    one_minus_beta1: 1 - beta1,
    beta2,
    one_minus_beta2: 1 - beta2,
  }),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});

/** Options of {@link signum}. */
export type SignumOptions = {
  /** beta of the mean of the gradients, in [0, 1); default 0.9. 0 is sign SGD. */
  momentum: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * Signum, sign SGD with momentum: m <- beta m + (1 - beta) g, theta <- theta - lr sign(m).
 * Decay is `decoupled` by default, lr 1e-4, weightDecay 0. Bernstein et al. (2018), arXiv:1802.04434.
 *
 * @throws {OptionError}
 */
export const signum: (options?: Partial<SignumOptions>) => Rule = /* @__PURE__ */ defineRule<SignumOptions>({
  name: "signum",
  wgsl: signumWgsl,
  defaults: { momentum: 0.9, maximize: false },
  lr: 1e-4,
  slots: ["momentum_buffer"],
  quantizes: { momentum_buffer: "signed" },
  usesSlot: (_slot, o) => o.momentum > 0,
  hyper: ({ momentum: beta }) => ({ beta, one_minus_beta: 1 - beta }),
  overrides: (groups) => ({ MOMENTUM: Number(groups.some((o) => o.momentum > 0)) }),
  check: (where, { momentum }) => checkDecayRates(where, { momentum }),
});
