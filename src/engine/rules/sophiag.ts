/** Row of the table of rules: Sophia-G. */
import sophiagWgsl from "../../../shaders/rules/sophiag.wgsl?raw";
import { defineRule, type Rule } from "../rule.ts";
import { checkDecayRates } from "./numbers.ts";

/** Options of {@link sophiag}. */
export type SophiagOptions = {
  /** beta1 and beta2 in [0, 1); default [0.965, 0.99]. */
  betas: readonly [number, number];
  /** Scale of the clipping; default 0.04. */
  rho: number;
  /** Samples (for a language model: tokens) of a batch that the Hessian is estimated from; default 5120. */
  bs: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * Sophia-G: theta <- theta - lr sign(m) min(|m| / (rho bs h + 1e-15), 1). The diagonal h of the Hessian is estimated beside the steps:
 * every ten steps or so compute the gradient of the mean loss for labels drawn from the model's own predictions, and call
 * `optimizer.estimate()`: h <- beta2 h + (1 - beta2) q^2. Until then the update is lr sign(m).
 * Decay is `decoupled` by default, lr 1e-4, weightDecay 0.1. Liu et al. (2024), arXiv:2305.14342.
 *
 * @throws {OptionError}
 */
export const sophiag: (options?: Partial<SophiagOptions>) => Rule = /* @__PURE__ */ defineRule<SophiagOptions>({
  name: "sophiag",
  wgsl: sophiagWgsl,
  defaults: { betas: [0.965, 0.99], rho: 0.04, bs: 5120, maximize: false },
  lr: 1e-4,
  weightDecay: 0.1,
  slots: ["exp_avg", "hessian"],
  prepares: "state",
  estimates: true,
  hyper: ({ betas: [beta1, beta2], rho, bs }) => ({
    beta1,
    one_minus_beta1: 1 - beta1,
    beta2,
    one_minus_beta2: 1 - beta2,
    rho_bs: rho * bs,
  }),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});
