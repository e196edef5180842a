/** Rows of the table of rules: stochastic gradient descent. */
import sgdWgsl from "../../../shaders/rules/sgd.wgsl?raw";
import { OptionError } from "../../errors.ts";
import { defineRule, type Rule } from "../rule.ts";

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
  quantizes: { momentum_buffer: "signed" },
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
