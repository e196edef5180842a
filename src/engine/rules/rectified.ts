/** Rows of the table of rules: those that rectify Adam's step while the variance of v is not known well. */
import adabeliefWgsl from "../../../shaders/rules/adabelief.wgsl?raw";
import radamWgsl from "../../../shaders/rules/radam.wgsl?raw";
import { defineRule, type Rule } from "../rule.ts";
import {
  checkDecayRates,
  correctionEnds,
  momentHyper,
  oneMinusPower,
  powerEnds,
  SMALLEST,
  simpleAverageLength,
} from "./numbers.ts";

/** Options of {@link radam}. */
export type RadamOptions = {
  /** beta1 and beta2 in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the root of v before the bias correction; >= 0, default 1e-8. */
  eps: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * RAdam, as `torch.optim.RAdam`: with rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t), rho_inf = 2 / (1 - beta2) - 1, and where
 * rho_t > 5, theta <- theta - lr r_t sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps), else theta - lr / (1 - beta1^t) m;
 * r_t = sqrt((rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t)). With decay `decoupled` it is RAdamW.
 * Decay is `coupled` by default, lr 1e-3. Liu et al. (2020), arXiv:1908.03265.
 *
 * @throws {OptionError}
 */
export const radam: (options?: Partial<RadamOptions>) => Rule = /* @__PURE__ */ defineRule<RadamOptions>({
  name: "radam",
  wgsl: radamWgsl,
  defaults: { betas: [0.9, 0.999], eps: 1e-8, maximize: false },
  decayMode: "coupled",
  slots: ["exp_avg", "exp_avg_sq"],
  quantizes: { exp_avg: "signed", exp_avg_sq: "unsigned" },
  hyper: momentHyper,
  stepRow: ({ betas: [beta1, beta2] }, t) => {
    const plain = 1 / oneMinusPower(beta1, t);
    const rho = simpleAverageLength(beta2, t);
    return rho > 5 ? { rectified: rectification(beta2, t, rho) * plain, plain: 0 } : { rectified: 0, plain };
  },
  lastStepRow: ({ betas: [beta1, beta2] }) => Math.max(correctionEnds(beta1), rectificationEnds(beta2)),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});

/** Options of {@link adabelief}. */
export type AdabeliefOptions = {
  /** beta1 and beta2 in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to s, where it stays, and to its root; >= 0, default 1e-16. */
  eps: number;
  /** Use the largest s so far; default false. */
  amsgrad: boolean;
  /** Rectify the step as RAdam does; default true. */
  rectify: boolean;
  /** While rectification is not defined, step by the momentum alone instead of not at all; default true. */
  degeneratedToSgd: boolean;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * AdaBelief, as the authors' `adabelief_pytorch`: s <- beta2 s + (1 - beta2) (g - m)^2 + eps in the place of Adam's v;
 * rectified as {@link radam} (from rho_t >= 5 on), or else theta <- theta - lr / (1 - beta1^t) m / (sqrt(s) / sqrt(1 - beta2^t) + eps).
 * `weight_decouple` is decay `decoupled` (the default here as there), `fixed_decay` is `independent`; lr 1e-3, weightDecay 0.
 * Zhuang et al. (2020), arXiv:2010.07468.
 *
 * @throws {OptionError}
 */
export const adabelief: (options?: Partial<AdabeliefOptions>) => Rule = /* @__PURE__ */ defineRule<AdabeliefOptions>({
  name: "adabelief",
  wgsl: adabeliefWgsl,
  defaults: {
    betas: [0.9, 0.999],
    eps: 1e-16,
    amsgrad: false,
    rectify: true,
    degeneratedToSgd: true,
    maximize: false,
  },
  slots: ["exp_avg", "exp_avg_var", "max_exp_avg_var"],
  quantizes: { exp_avg: "signed", exp_avg_var: "unsigned", max_exp_avg_var: "unsigned" },
  usesSlot: (slot, o) => slot !== "max_exp_avg_var" || o.amsgrad,
  hyper: ({ betas: [beta1, beta2], eps, amsgrad }) => ({
    beta1,
    one_minus_beta1: 1 - beta1,
    beta2,
    one_minus_beta2: 1 - beta2,
    eps,
    root_eps: Math.max(eps, SMALLEST),
    amsgrad: Number(amsgrad),
  }),
  stepRow: ({ betas: [beta1, beta2], rectify, degeneratedToSgd }, t) => {
    const plain = 1 / oneMinusPower(beta1, t);
    if (!rectify) return { adaptive: plain, s_correction: 1 / Math.sqrt(oneMinusPower(beta2, t)), plain: 0 };
    const rho = simpleAverageLength(beta2, t);
    if (rho >= 5) return { adaptive: rectification(beta2, t, rho) * plain, s_correction: 1, plain: 0 };
    return { adaptive: 0, s_correction: 1, plain: degeneratedToSgd ? plain : 0 };
  },
  lastStepRow: ({ betas: [beta1, beta2] }) =>
    Math.max(correctionEnds(beta1), correctionEnds(beta2), rectificationEnds(beta2)),
  overrides: (groups) => ({ AMSGRAD: Number(groups.some((o) => o.amsgrad)) }),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});

/** r_t sqrt(1 - beta2^t). */
function rectification(beta2: number, t: number, rho: number): number {
  const limit = 2 / (1 - beta2) - 1;
  const r = Math.sqrt(((rho - 4) * (rho - 2) * limit) / ((limit - 4) * (limit - 2) * rho));
  return r * Math.sqrt(oneMinusPower(beta2, t));
}

/** The t from which it is constant in float32: where 2 t beta2^t is nothing beside rho_inf. */
function rectificationEnds(beta2: number): number {
  const limit = 2 / (1 - beta2) - 1;
  let t = correctionEnds(beta2);
  // A fixed point, approached from below, and geometrically.
  for (let i = 0; i < 20; i++) t = powerEnds(beta2, Math.min(1, limit / t) * 2 ** -28);
  return t;
}
