/** A row of the table of rules: MADGRAD. */
import madgradWgsl from "../../../shaders/rules/madgrad.wgsl?raw";
import { defineRule, type Rule } from "../rule.ts";
import { checkDecayRates } from "./numbers.ts";

/** Options of {@link madgrad}. */
export type MadgradOptions = {
  /** mu of the mean of theta, in [0, 1); default 0.9. Without it (0 from the beginning) the state is a third smaller. */
  momentum: number;
  /** Added to the cube root and to lr; >= 0, default 1e-6. */
  eps: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * MADGRAD, as the authors' and timm's: with L = (lr + eps) sqrt(t), q the sum of L g^2 and s that of L g,
 * z = theta_0 - s / (cbrt(q) + eps); theta <- mu theta + (1 - mu) z.
 * Decay is `coupled` by default, lr 0.01, weightDecay 0; little or none of it is needed. `decoupled` removes lr lambda of theta,
 * as the authors' `decouple_decay`; timm's decays before the mean is taken, which is mu lr lambda.
 * Defazio & Jelassi (2021), arXiv:2101.11075.
 *
 * @throws {OptionError}
 */
export const madgrad: (options?: Partial<MadgradOptions>) => Rule = /* @__PURE__ */ defineRule<MadgradOptions>({
  name: "madgrad",
  wgsl: madgradWgsl,
  defaults: { momentum: 0.9, eps: 1e-6, maximize: false },
  lr: 0.01,
  decayMode: "coupled",
  slots: ["grad_sum_sq", "s", "x0"],
  usesSlot: (slot, o) => slot !== "x0" || o.momentum > 0,
  hyper: ({ momentum, eps }) => ({ momentum, one_minus_momentum: 1 - momentum, eps }),
  opens: true,
  stepRow: (_, t) => ({ root: Math.sqrt(t) }),
  lastStepRow: () => Number.POSITIVE_INFINITY,
  overrides: (groups) => ({
    MOMENTUM: Number(groups.some((o) => o.momentum > 0)),
    PLAIN: Number(groups.some((o) => o.momentum === 0)),
  }),
  check: (where, { momentum }) => checkDecayRates(where, { momentum }),
});
