/** Rows of the table of rules: Schedule-Free SGD, AdamW and RAdam. */
import scheduleFreeWgsl from "../../../shaders/rules/schedule-free.wgsl?raw";
import { OptionError } from "../../errors.ts";
import { defineRule, type Recursion, type Rule, type RuleDefinition } from "../rule.ts";
import { checkDecayRates, oneMinusPower, SMALLEST, simpleAverageLength } from "./numbers.ts";

/** Options that all Schedule-Free rules have. */
type Averaging = {
  /** Power of the update's number in its weight, >= 0; default 0. */
  r: number;
  /** Power of the largest learning rate so far in an update's weight, >= 0; default 2. */
  weightLrPower: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/** Options of {@link scheduleFreeSgd}. */
export type ScheduleFreeSgdOptions = Averaging & {
  /** beta of y = beta x + (1 - beta) z, in (0, 1); default 0.9. */
  momentum: number;
  /** Linear warm-up of lr over so many updates; default 0. */
  warmupSteps: number;
};

/** Options of {@link scheduleFreeAdamw}. */
export type ScheduleFreeAdamwOptions = Averaging & {
  /** beta of y = beta x + (1 - beta) z in (0, 1), and beta2 in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the root of the corrected v; >= 0, default 1e-8. */
  eps: number;
  /** Linear warm-up of lr over so many updates; default 0. */
  warmupSteps: number;
  /** Momentum on the gradients, in [0, 1); default 0, none. */
  innerMomentum: number;
};

/** Options of {@link scheduleFreeRadam}. */
export type ScheduleFreeRadamOptions = Averaging & {
  /** beta of y = beta x + (1 - beta) z in (0, 1), and beta2 in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the root of the corrected v; >= 0, default 1e-8. */
  eps: number;
  /** Do not step while the variance of v is not known; false: by the gradient. Default true. */
  silentSgdPhase: boolean;
};

/** What the three differ in. */
interface Family {
  readonly beta: number;
  readonly beta2: number;
  readonly eps: number;
  readonly inner: number;
  /** Factor on lr in update t, and whether the gradient is taken as it is. */
  readonly rate: (t: number) => { readonly factor: number; readonly plain: boolean };
}

// Weights and sums as facebookresearch/schedule_free has them: w = t^r gamma_max^power, c = w / sum of w.
function recursionOf<O extends Averaging>(family: (options: O) => Family): Recursion<O> {
  return {
    start: { lr_max: -1, weight_sum: 0, scheduled_lr: 0 },
    next: (options, carry, { lr, update }) => {
      const { beta, beta2, inner, rate } = family(options);
      const { factor, plain } = rate(update);
      const gamma = lr * factor;
      const largest = Math.max(carry.lr_max ?? -1, gamma);
      const weight = update ** options.r * largest ** options.weightLrPower;
      const sum = (carry.weight_sum ?? 0) + weight;
      const c = sum > 0 ? weight / sum : 0;
      return {
        carry: { lr_max: largest, weight_sum: sum, scheduled_lr: gamma },
        hyper: {
          gamma,
          c,
          z_share: 1 - beta * (1 - c),
          v_correction: 1 / Math.sqrt(oneMinusPower(beta2, update)),
          inner_correction: 1 / oneMinusPower(inner, update),
          plain: Number(plain),
        },
      };
    },
  };
}

function scheduleFree<O extends Averaging>(
  own: Pick<RuleDefinition<O>, "name" | "defaults" | "lr" | "slots"> & Partial<RuleDefinition<O>>,
  family: (options: O) => Family,
): (options?: Partial<O>) => Rule {
  return defineRule<O & Record<string, never>>({
    ...(own as unknown as RuleDefinition<O & Record<string, never>>),
    wgsl: scheduleFreeWgsl,
    path: "rules/schedule-free.wgsl",
    decayMode: "rule",
    evaluates: true,
    hyper: (options) => {
      const { beta, beta2, eps, inner } = family(options);
      return {
        beta,
        beta2,
        one_minus_beta2: 1 - beta2,
        eps: Math.max(eps, SMALLEST),
        inner,
        one_minus_inner: 1 - inner,
      };
    },
    recursion: recursionOf(family),
    stepRow: (_, t) => ({ first: Number(t === 1) }),
    lastStepRow: () => 2,
    overrides: (groups) => ({
      ADAPTIVE: Number(own.slots.includes("exp_avg_sq")),
      INNER_MOMENTUM: Number(groups.some((o) => family(o).inner > 0)),
    }),
    check: (where, options) => {
      const { beta, beta2, inner } = family(options);
      const name = "betas" in options ? "betas[0]" : "momentum";
      if (!(beta > 0 && beta < 1)) throw new OptionError(where, name, "must be in (0, 1)", beta);
      checkDecayRates(where, { "betas[1]": beta2, innerMomentum: inner });
    },
  }) as (options?: Partial<O>) => Rule;
}

const warmedUp = (t: number, warmupSteps: number): number => (warmupSteps > 0 ? Math.min(1, t / warmupSteps) : 1);

/**
 * Schedule-Free SGD: theta is y, where gradients are taken; z <- z - gamma (g + lambda y); x <- (1 - c) x + c z;
 * y = beta x + (1 - beta) z. Call `eval()` of the optimizer to have x in the parameters, `train()` to go on.
 * Decay is `rule` by default (as said), lr 1. Defazio et al. (2024), arXiv:2405.15682.
 *
 * @throws {OptionError}
 */
export const scheduleFreeSgd: (options?: Partial<ScheduleFreeSgdOptions>) => Rule =
  /* @__PURE__ */ scheduleFree<ScheduleFreeSgdOptions>(
    {
      name: "schedule-free-sgd",
      defaults: { momentum: 0.9, warmupSteps: 0, r: 0, weightLrPower: 2, maximize: false },
      lr: 1,
      slots: ["z"],
    },
    ({ momentum, warmupSteps }) => ({
      beta: momentum,
      beta2: 0,
      eps: 0,
      inner: 0,
      rate: (t) => ({ factor: warmedUp(t, warmupSteps), plain: true }),
    }),
  );

/**
 * Schedule-Free AdamW: as {@link scheduleFreeSgd} with g / (sqrt(v / (1 - beta2^t)) + eps) in the place of g.
 * Decay is `rule` by default, lr 0.0025. Defazio et al. (2024), arXiv:2405.15682.
 *
 * @throws {OptionError}
 */
export const scheduleFreeAdamw: (options?: Partial<ScheduleFreeAdamwOptions>) => Rule =
  /* @__PURE__ */ scheduleFree<ScheduleFreeAdamwOptions>(
    {
      name: "schedule-free-adamw",
      defaults: {
        betas: [0.9, 0.999],
        eps: 1e-8,
        warmupSteps: 0,
        innerMomentum: 0,
        r: 0,
        weightLrPower: 2,
        maximize: false,
      },
      lr: 0.0025,
      slots: ["z", "exp_avg_sq", "exp_avg"],
      usesSlot: (slot, o) => slot !== "exp_avg" || o.innerMomentum > 0,
    },
    ({ betas: [beta, beta2], eps, innerMomentum, warmupSteps }) => ({
      beta,
      beta2,
      eps,
      inner: innerMomentum,
      rate: (t) => ({ factor: warmedUp(t, warmupSteps), plain: false }),
    }),
  );

/**
 * Schedule-Free RAdam: as {@link scheduleFreeAdamw}, with RAdam's rectification on lr in the place of a warm-up.
 * Decay is `rule` by default, lr 0.0025. Defazio et al. (2024), arXiv:2405.15682.
 *
 * @throws {OptionError}
 */
export const scheduleFreeRadam: (options?: Partial<ScheduleFreeRadamOptions>) => Rule =
  /* @__PURE__ */ scheduleFree<ScheduleFreeRadamOptions>(
    {
      name: "schedule-free-radam",
      defaults: {
        betas: [0.9, 0.999],
        eps: 1e-8,
        silentSgdPhase: true,
        r: 0,
        weightLrPower: 2,
        maximize: false,
      },
      lr: 0.0025,
      slots: ["z", "exp_avg_sq"],
    },
    ({ betas: [beta, beta2], eps, silentSgdPhase }) => ({
      beta,
      beta2,
      eps,
      inner: 0,
      rate: (t) => {
        const rho = simpleAverageLength(beta2, t);
        if (rho > 4) return { factor: lengthFactor(beta2, rho), plain: false };
        return { factor: silentSgdPhase ? 0 : 1, plain: true };
      },
    }),
  );

/** RAdam's factor sqrt((rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t)). */
function lengthFactor(beta2: number, rho: number): number {
  const limit = 2 / (1 - beta2) - 1;
  return Math.sqrt(((rho - 4) * (rho - 2) * limit) / ((limit - 4) * (limit - 2) * rho));
}
