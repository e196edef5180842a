/** Row of the table of rules: averaged SGD. */
import asgdWgsl from "../../../shaders/rules/asgd.wgsl?raw";
import { defineRule, type Rule } from "../rule.ts";

/** Options of {@link asgd}. */
export type AsgdOptions = {
  /** Decay term of the learning rate and of theta; default 1e-4. */
  lambd: number;
  /** Power of the learning rate's decay; default 0.75. */
  alpha: number;
  /** The step at which averaging begins; default 1e6. */
  t0: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * Averaged SGD, as `torch.optim.ASGD`: theta <- theta (1 - lambd eta) - eta g with eta = lr / (1 + lambd lr t)^alpha of the step
 * before, and the average ax of theta from step t0 on, in state. Decay is `coupled` by default, lr 1e-2. Polyak & Juditsky (1992).
 *
 * @throws {OptionError}
 */
export const asgd: (options?: Partial<AsgdOptions>) => Rule = /* @__PURE__ */ defineRule<AsgdOptions>({
  name: "asgd",
  wgsl: asgdWgsl,
  defaults: { lambd: 1e-4, alpha: 0.75, t0: 1e6, maximize: false },
  decayMode: "coupled",
  lr: 1e-2,
  slots: ["ax"],
  finishes: true,
  settles: "tensor",
  numbers: ["eta", "mu"],
  hyper: ({ lambd, alpha }) => ({ lambd, alpha }),
  stepRow: ({ t0 }, t) => ({ t, next_mu: 1 / Math.max(1, t - t0) }),
  lastStepRow: () => Infinity,
});
