/**
 * Schedules: a hyper-parameter (lr, weight decay, momentum) as a pure function of the step, in float64 on the host.
 *
 * A factory takes the base value first and checks its arguments once. PyTorch's schedulers are recursions over the
 * current lr of a group; these are the closed forms of the same curves, so a schedule can be called for any step in any
 * order, a run can be resumed at any step without state, and rounding does not add up over steps. A group with
 * `lrScale` multiplies the whole value, floors such as `etaMin` included.
 *
 * The basic shapes are here; `schedules-cyclic.ts` has the ones that come round again, `schedules-compose.ts` what
 * makes schedules out of schedules, `plateau.ts` the one that depends on a metric.
 */

import { checkChoice, checkList, checkNumber, checkOptions, checkPositive } from "./schedule-options.ts";

/**
 * The value of a hyper-parameter at a step.
 *
 * `step` is the number of updates applied before this one: 0 for the first, as in optax, and as the lr that a PyTorch
 * scheduler leaves after `step` calls of `scheduler.step()`. Any step >= 0 is legal; fractional steps lie on the same
 * curve. Every function of this type will do: `lr: (step) => 1e-3 / (1 + step)`.
 */
export type Schedule = (step: number) => number;

/**
 * A constant, with an optional factor during the first steps: `value * factor` while t < totalIters, then `value`.
 *
 * PyTorch: `ConstantLR(factor=1/3, total_iters=5)`. There is no default factor here, so that `constant(3e-4)` means
 * what it says.
 * @throws OptionError unless value >= 0, factor >= 0 and totalIters > 0.
 */
export function constant(value: number, options?: { factor: number; totalIters: number }): Schedule {
  checkNumber("constant", "value", value);
  if (options === undefined) return () => value;
  const { factor, totalIters } = checkOptions("constant", options, ["factor", "totalIters"]);
  checkNumber("constant", "factor", factor);
  checkPositive("constant", "totalIters", totalIters);
  return (step) => (step < totalIters ? value * factor : value);
}

/**
 * Multiplies by gamma every `stepSize` steps: `value * gamma^floor(t / stepSize)`.
 *
 * PyTorch: `StepLR(step_size, gamma=0.1)`.
 * @param options.gamma >= 0; default 0.1
 * @throws OptionError unless value >= 0, stepSize > 0 and gamma >= 0.
 */
export function stepDecay(value: number, stepSize: number, options: { gamma?: number } = {}): Schedule {
  checkNumber("stepDecay", "value", value);
  checkPositive("stepDecay", "stepSize", stepSize);
  const { gamma = 0.1 } = checkOptions("stepDecay", options, ["gamma"]);
  checkNumber("stepDecay", "gamma", gamma);
  return (step) => value * bounded(gamma ** Math.floor(step / stepSize));
}

/**
 * Multiplies by gamma at each milestone: `value * gamma^(number of milestones <= t)`. A milestone that is given twice
 * multiplies twice.
 *
 * PyTorch: `MultiStepLR(milestones, gamma=0.1)`.
 * @param milestones steps >= 0, in any order
 * @param options.gamma >= 0; default 0.1
 * @throws OptionError unless value >= 0, every milestone >= 0 and gamma >= 0.
 */
export function multiStep(value: number, milestones: readonly number[], options: { gamma?: number } = {}): Schedule {
  checkNumber("multiStep", "value", value);
  const steps = checkList("multiStep", "milestones", milestones);
  const ends = steps.map((m, i) => checkNumber("multiStep", `milestones[${i}]`, m));
  const { gamma = 0.1 } = checkOptions("multiStep", options, ["gamma"]);
  checkNumber("multiStep", "gamma", gamma);
  return (step) => value * bounded(gamma ** ends.filter((end) => end <= step).length);
}

/**
 * `value * gamma^t`. With gamma > 1 it grows without bound: the curve of an lr range test.
 *
 * PyTorch: `ExponentialLR(gamma)`.
 * @throws OptionError unless value >= 0 and gamma >= 0.
 */
export function exponential(value: number, gamma: number): Schedule {
  checkNumber("exponential", "value", value);
  checkNumber("exponential", "gamma", gamma);
  return (step) => value * bounded(gamma ** step);
}

/**
 * A straight line between two multiples of the value, then held:
 * `value * (startFactor * (1 - x) + endFactor * x)`, x = min(t, totalIters) / totalIters.
 *
 * PyTorch: `LinearLR(start_factor=1/3, end_factor=1, total_iters=5)`.
 * @param options.startFactor >= 0; default 1/3
 * @param options.endFactor >= 0; default 1
 * @throws OptionError unless value >= 0, totalIters > 0 and both factors >= 0.
 */
export function linear(
  value: number,
  totalIters: number,
  options: { startFactor?: number; endFactor?: number } = {},
): Schedule {
  checkNumber("linear", "value", value);
  checkPositive("linear", "totalIters", totalIters);
  const { startFactor = 1 / 3, endFactor = 1 } = checkOptions("linear", options, ["startFactor", "endFactor"]);
  const start = checkNumber("linear", "startFactor", startFactor);
  const end = checkNumber("linear", "endFactor", endFactor);
  return (step) => {
    // Weighted like this, both ends are exact, and an end of 0 is never a rounding error below 0.
    const x = Math.min(step, totalIters) / totalIters;
    return value * (start * (1 - x) + end * x);
  };
}

/**
 * `etaMin + (value - etaMin) * (1 - min(t, totalIters) / totalIters)^power`.
 *
 * PyTorch: `PolynomialLR(total_iters=5, power=1)`, which has no floor (etaMin = 0).
 * @param options.power >= 0; default 1
 * @param options.etaMin >= 0; default 0
 * @throws OptionError unless value >= 0, totalIters > 0, power >= 0 and etaMin >= 0.
 */
export function polynomial(
  value: number,
  totalIters: number,
  options: { power?: number; etaMin?: number } = {},
): Schedule {
  checkNumber("polynomial", "value", value);
  checkPositive("polynomial", "totalIters", totalIters);
  const { power = 1, etaMin = 0 } = checkOptions("polynomial", options, ["power", "etaMin"]);
  checkNumber("polynomial", "power", power);
  checkNumber("polynomial", "etaMin", etaMin);
  return (step) => etaMin + (value - etaMin) * (1 - Math.min(step, totalIters) / totalIters) ** power;
}

/**
 * Half a cosine from the value down to etaMin, then held:
 * `etaMin + (value - etaMin) * (1 + cos(pi * min(t, steps) / steps)) / 2`.
 *
 * optax: `cosine_decay_schedule(value, steps, alpha)` with alpha = etaMin / value. PyTorch's `CosineAnnealingLR` agrees
 * up to `steps` and then rises again: see `cosineAnnealing`.
 * @param options.etaMin >= 0; default 0
 * @throws OptionError unless value >= 0, steps > 0 and etaMin >= 0.
 */
export function cosine(value: number, steps: number, options: { etaMin?: number } = {}): Schedule {
  checkNumber("cosine", "value", value);
  checkPositive("cosine", "steps", steps);
  const { etaMin = 0 } = checkOptions("cosine", options, ["etaMin"]);
  checkNumber("cosine", "etaMin", etaMin);
  return (step) => etaMin + (value - etaMin) * halfCosine(Math.min(step, steps) / steps);
}

/**
 * A cosine of period 2 tMax, down and up again for ever: `etaMin + (value - etaMin) * (1 + cos(pi * t / tMax)) / 2`.
 *
 * PyTorch: `CosineAnnealingLR(T_max, eta_min=0)`. SGDR without the restarts (Loshchilov and Hutter, arXiv 1608.03983).
 * @param options.etaMin >= 0; default 0
 * @throws OptionError unless value >= 0, tMax > 0 and etaMin >= 0.
 */
export function cosineAnnealing(value: number, tMax: number, options: { etaMin?: number } = {}): Schedule {
  checkNumber("cosineAnnealing", "value", value);
  checkPositive("cosineAnnealing", "tMax", tMax);
  const { etaMin = 0 } = checkOptions("cosineAnnealing", options, ["etaMin"]);
  checkNumber("cosineAnnealing", "etaMin", etaMin);
  return (step) => etaMin + (value - etaMin) * halfCosine(step / tMax);
}

/**
 * Linear warm-up to the value, then decay with the inverse square root: `value * min(t / W, sqrt(W / t))`,
 * W = warmupSteps. The peak is the value, at t = W.
 *
 * fairseq `inverse_sqrt`; Hugging Face `get_inverse_sqrt_schedule(num_warmup_steps=W)`. `noam` is the same curve in the
 * words of the Transformer paper.
 * @throws OptionError unless value >= 0 and warmupSteps > 0.
 */
export function inverseSqrt(value: number, warmupSteps: number): Schedule {
  checkNumber("inverseSqrt", "value", value);
  checkPositive("inverseSqrt", "warmupSteps", warmupSteps);
  return (step) => value * (step < warmupSteps ? step / warmupSteps : Math.sqrt(warmupSteps / step));
}

/**
 * The schedule of the Transformer: `factor * dModel^-1/2 * min(n^-1/2, n * W^-3/2)`, n = t + 1, W = warmupSteps.
 * The paper counts steps from 1, so the first update has an lr above zero.
 *
 * Vaswani et al., Attention Is All You Need (arXiv 1706.03762), section 5.3.
 * @param dModel width of the model
 * @param options.factor >= 0; default 1
 * @throws OptionError unless dModel > 0, warmupSteps > 0 and factor >= 0.
 */
export function noam(dModel: number, warmupSteps: number, options: { factor?: number } = {}): Schedule {
  checkPositive("noam", "dModel", dModel);
  checkPositive("noam", "warmupSteps", warmupSteps);
  const { factor = 1 } = checkOptions("noam", options, ["factor"]);
  const scale = checkNumber("noam", "factor", factor) / Math.sqrt(dModel);
  const slope = warmupSteps ** -1.5;
  return (step) => scale * Math.min(1 / Math.sqrt(step + 1), (step + 1) * slope);
}

/** Lengths in steps and shape of `wsd`. */
export interface WsdOptions {
  /** Steps of linear warm-up; >= 0. */
  warmup: number;
  /** Steps at the full value; >= 0. */
  stable: number;
  /** Steps of the final decay; >= 0. */
  decay: number;
  /** Multiple of the value to start from, in [0, 1]; default 0. */
  start?: number;
  /** Value after the decay; >= 0; default 0. */
  etaMin?: number;
  /** With x from 0 to 1 over the decay: `linear` 1 - x, `cosine` (1 + cos(pi x)) / 2, `sqrt` 1 - sqrt(x); default `linear`. */
  shape?: "linear" | "cosine" | "sqrt";
}

/**
 * Warm-up, stable, decay: `value * (start + (1 - start) * t / warmup)`, then `value`, then
 * `etaMin + (value - etaMin) * shape(x)`, then etaMin. The run can be prolonged from any checkpoint of the stable phase.
 *
 * Hu et al., MiniCPM (arXiv 2404.06395); the `sqrt` shape: Hägele et al. (arXiv 2405.18392).
 * @throws OptionError unless value, the three lengths and etaMin are >= 0, start is in [0, 1] and shape is known.
 */
export function wsd(value: number, options: WsdOptions): Schedule {
  checkNumber("wsd", "value", value);
  const {
    warmup: warm,
    stable,
    decay,
    start = 0,
    etaMin = 0,
    shape = "linear",
  } = checkOptions("wsd", options, ["warmup", "stable", "decay", "start", "etaMin", "shape"]);
  checkNumber("wsd", "warmup", warm);
  const decayStart = warm + checkNumber("wsd", "stable", stable);
  checkNumber("wsd", "decay", decay);
  checkNumber("wsd", "start", start, 0, 1);
  checkNumber("wsd", "etaMin", etaMin);
  checkChoice("wsd", "shape", shape, ["linear", "cosine", "sqrt"]);
  return (step) => {
    if (step < warm) return value * (start + ((1 - start) * step) / warm);
    if (step < decayStart) return value;
    if (step >= decayStart + decay) return etaMin;
    const x = (step - decayStart) / decay;
    const rest = shape === "linear" ? 1 - x : shape === "cosine" ? halfCosine(x) : 1 - Math.sqrt(x);
    return etaMin + (value - etaMin) * rest;
  };
}

/** From 1 at x = 0 to 0 at x = 1. Written as PyTorch writes it: its rounding near x = 1 is then also ours. */
export function halfCosine(x: number): number {
  return (1 + Math.cos(Math.PI * x)) / 2;
}

/** At most the largest number: an overflow to Infinity would become NaN when it is multiplied by an lr of 0. */
export function bounded(x: number): number {
  return Math.min(x, Number.MAX_VALUE);
}
