/** A row of the table of rules: ADOPT. */
import adoptWgsl from "../../../shaders/rules/adopt.wgsl?raw";
import { defineRule, type Rule } from "../rule.ts";
import { checkDecayRates, momentHyper } from "./numbers.ts";

/** Options of {@link adopt}. */
export type AdoptOptions = {
  /** beta1 and beta2 in [0, 1); default [0.9, 0.9999]. */
  betas: readonly [number, number];
  /** Least root of v that is divided by; >= 0, default 1e-6. */
  eps: number;
  /** Quotients are clipped to (t - 1)^clipExp; >= 0, default 0.333. 0: they are not clipped. */
  clipExp: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

const F32_MAX = 3.4028234663852886e38;

/**
 * ADOPT, as timm's: Adam that converges with any beta2, since it divides the gradient by the root of the mean square before it:
 * m <- beta1 m + (1 - beta1) clip(g / max(sqrt(v), eps)), theta <- theta - lr m, then v <- beta2 v + (1 - beta2) g^2.
 * The first step of a tensor takes v = g^2 and moves nothing; no decay acts in it either.
 * Decay is `coupled` by default (timm's `decoupled` is `decoupled`), lr 1e-3, weightDecay 0.
 * Taniguchi et al. (2024), arXiv:2411.02853.
 *
 * @throws {OptionError}
 */
export const adopt: (options?: Partial<AdoptOptions>) => Rule = /* @__PURE__ */ defineRule<AdoptOptions>({
  name: "adopt",
  wgsl: adoptWgsl,
  defaults: { betas: [0.9, 0.9999], eps: 1e-6, clipExp: 0.333, maximize: false },
  decayMode: "coupled",
  decayFrom: 2,
  slots: ["exp_avg", "exp_avg_sq"],
  hyper: momentHyper,
  stepRow: ({ clipExp }, t) => ({
    limit: clipExp === 0 ? F32_MAX : Math.min((t - 1) ** clipExp, F32_MAX),
    later: Number(t > 1),
  }),
  lastStepRow: ({ clipExp }) => (clipExp === 0 ? 2 : Number.POSITIVE_INFINITY),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});
