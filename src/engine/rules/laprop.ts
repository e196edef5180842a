/** Row of the table of rules: LaProp. */
import lapropWgsl from "../../../shaders/rules/laprop.wgsl?raw";
import { defineRule, type Rule } from "../rule.ts";
import { checkDecayRates, correctionEnds, momentHyper, oneMinusPower } from "./numbers.ts";

/** Options of {@link laprop}. */
export type LapropOptions = {
  /** beta1 and beta2 in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the root of the corrected v; >= 0, default 1e-15. */
  eps: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * LaProp, as timm's: m <- beta1 m + lr (1 - beta1) g / (sqrt(v / (1 - beta2^t)) + eps), theta <- theta - m lr / a_1, where
 * a_1 <- beta1 a_1 + (1 - beta1) lr is the bias correction for learning rates that change.
 * Decay is `rule` by default: theta <- theta (1 - lr lambda) after the step; lr 4e-4, weightDecay 0.
 * Ziyin et al. (2020), arXiv:2002.04839.
 *
 * @throws {OptionError}
 */
export const laprop: (options?: Partial<LapropOptions>) => Rule = /* @__PURE__ */ defineRule<LapropOptions>({
  name: "laprop",
  wgsl: lapropWgsl,
  defaults: { betas: [0.9, 0.999], eps: 1e-15, maximize: false },
  decayMode: "rule",
  lr: 4e-4,
  slots: ["exp_avg", "exp_avg_sq"],
  settles: "tensor",
  numbers: ["exp_avg_lr_1"],
  hyper: momentHyper,
  stepRow: ({ betas: [, beta2] }, t) => ({ v_correction: 1 / Math.sqrt(oneMinusPower(beta2, t)) }),
  lastStepRow: ({ betas: [, beta2] }) => correctionEnds(beta2),
  scalars: ({ betas: [, beta2] }, t) => ({ exp_avg_lr_2: oneMinusPower(beta2, t) }),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});
