/**
 * Schedule-Free learning (Defazio et al. 2024). The parameter is y, where gradients are taken: between z, which takes the steps,
 * and x, the mean of what z has been, with which to evaluate. x is not kept: it follows from y and z.
 *
 *     z <- z - gamma n        x <- (1 - c) x + c z        y = beta1 x + (1 - beta1) z        c = w / (sum of w),  w = t^r gamma_max^p
 *
 * t counts the steps of the group.
 */

import { averageLength, rectifier } from "./radam.ts";
import { type Numbers, slot, type TensorState, type TwinRule, type UpdateContext, zeroSlot } from "./rule.ts";

type Weights = { readonly r?: number; readonly weightLrPower?: number };
type SgdOptions = Weights & { readonly momentum?: number; readonly warmupSteps?: number };
type AdamOptions = Weights & { readonly betas?: readonly [number, number]; readonly eps?: number };
type AdamwOptions = AdamOptions & { readonly warmupSteps?: number; readonly innerMomentum?: number };
type RadamOptions = AdamOptions & { readonly silentSgdPhase?: boolean };

/** Counts the step and weighs its z: `factor` is what lr is multiplied by. */
function weigh(
  numbers: Numbers,
  { r = 0, weightLrPower = 2 }: Weights,
  lr: number,
  factor: (t: number) => number,
): void {
  const t = (numbers.k ?? 0) + 1;
  const gamma = lr * factor(t);
  const largest = Math.max(numbers.lr_max ?? gamma, gamma);
  const weight = t ** r * largest ** weightLrPower;
  const sum = (numbers.weight_sum ?? 0) + weight;
  Object.assign(numbers, {
    k: t,
    scheduled_lr: gamma,
    lr_max: largest,
    weight_sum: sum,
    c: sum === 0 ? 0 : weight / sum,
  });
}

const warmedUp = (warmupSteps: number) => (t: number) => (t < warmupSteps ? t / warmupSteps : 1);

/** Moves z along n, and returns by how much y moves. */
function follow(
  n: Float64Array,
  state: TensorState,
  beta1: number,
  { theta: y, ofGroup }: UpdateContext,
): Float64Array {
  const { scheduled_lr: gamma, c } = ofGroup as { scheduled_lr: number; c: number };
  const z = slot(state, "z", () => y.slice());
  return n.map((ni, i) => {
    const u = c * (y[i]! - z[i]!) + gamma * (1 - beta1 * (1 - c)) * ni;
    z[i] = z[i]! - gamma * ni;
    return u;
  });
}

/** x, from y and z. */
function mean(y: Float64Array, { slots: { z } }: TensorState, beta1: number): Float64Array {
  return y.map((yi, i) => (z ? yi + (1 - 1 / beta1) * (z[i]! - yi) : yi));
}

export const scheduleFreeSgd: TwinRule<SgdOptions> = {
  name: "schedule-free-sgd",
  decayMode: "rule",
  lr: 1,
  weightDecay: 0,
  forGroup: (numbers, options, lr) => weigh(numbers, options, lr, warmedUp(options.warmupSteps ?? 0)),
  update(g, state, { momentum = 0.9 }, _, context) {
    const n = g.map((gi, i) => gi + context.ruleDecay * context.theta[i]!);
    return follow(n, state, momentum, context);
  },
  evaluated: (y, state, { momentum = 0.9 }) => mean(y, state, momentum),
};

export const scheduleFreeAdamw: TwinRule<AdamwOptions> = {
  name: "schedule-free-adamw",
  decayMode: "rule",
  lr: 0.0025,
  weightDecay: 0,
  forGroup: (numbers, options, lr) => weigh(numbers, options, lr, warmedUp(options.warmupSteps ?? 0)),
  update(g, state, options, _, context) {
    const { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8, innerMomentum = 0 } = options;
    const t = context.ofGroup.k!;
    const v = zeroSlot(state, "exp_avg_sq", g.length);
    const m = innerMomentum > 0 ? zeroSlot(state, "exp_avg", g.length) : undefined;
    const n = g.map((gi, i) => {
      v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
      if (m) m[i] = innerMomentum * m[i]! + (1 - innerMomentum) * gi;
      const direction = m ? m[i]! / (1 - innerMomentum ** t) : gi;
      const normalized = direction === 0 ? 0 : direction / (Math.sqrt(v[i]! / (1 - beta2 ** t)) + eps);
      return normalized + context.ruleDecay * context.theta[i]!;
    });
    return follow(n, state, beta1, context);
  },
  evaluated: (y, state, { betas: [beta1] = [0.9, 0.999] }) => mean(y, state, beta1),
};

/** Rectified from rho_t > 4 on; before, a step along the gradient as it is, or with `silentSgdPhase` none. */
export const scheduleFreeRadam: TwinRule<RadamOptions> = {
  name: "schedule-free-radam",
  decayMode: "rule",
  lr: 0.0025,
  weightDecay: 0,
  forGroup(numbers, options, lr) {
    const { betas: [, beta2] = [0.9, 0.999], silentSgdPhase = true } = options;
    weigh(numbers, options, lr, (t) => {
      const at = averageLength(beta2, t);
      return at.rho > 4 ? rectifier(at) : Number(!silentSgdPhase);
    });
  },
  update(g, state, { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8 }, _, context) {
    const t = context.ofGroup.k!;
    const v = zeroSlot(state, "exp_avg_sq", g.length);
    const isRectified = averageLength(beta2, t).rho > 4;
    const n = g.map((gi, i) => {
      v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
      const normalized = isRectified && gi !== 0 ? gi / (Math.sqrt(v[i]! / (1 - beta2 ** t)) + eps) : gi;
      return normalized + context.ruleDecay * context.theta[i]!;
    });
    return follow(n, state, beta1, context);
  },
  evaluated: (y, state, { betas: [beta1] = [0.9, 0.999] }) => mean(y, state, beta1),
};
