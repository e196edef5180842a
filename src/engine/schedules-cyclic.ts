/** Schedules that come round again or that move lr and momentum against each other: SGDR, 1cycle, cyclical lr. */

import { checkBoolean } from "./checks.ts";
import { checkChoice, checkFunction, checkNumber, checkOptions, checkPositive } from "./schedule-options.ts";
import { bounded, halfCosine, type Schedule } from "./schedules.ts";

/**
 * Cosine decay that restarts: cycle i has the length `t0 * tMult^i`, and in it
 * `etaMin + (value - etaMin) * (1 + cos(pi * tCur / length)) / 2`, tCur = steps since the restart, fractions included.
 *
 * PyTorch: `CosineAnnealingWarmRestarts(T_0, T_mult=1, eta_min=0)`. Loshchilov and Hutter, SGDR (arXiv 1608.03983).
 * @param t0 length of the first cycle in steps
 * @param options.tMult >= 1; default 1
 * @param options.etaMin >= 0; default 0
 * @throws OptionError unless value >= 0, t0 > 0, tMult >= 1 and etaMin >= 0.
 */
export function warmRestarts(value: number, t0: number, options: { tMult?: number; etaMin?: number } = {}): Schedule {
  checkNumber("warmRestarts", "value", value);
  checkPositive("warmRestarts", "t0", t0);
  const { tMult = 1, etaMin = 0 } = checkOptions("warmRestarts", options, ["tMult", "etaMin"]);
  checkNumber("warmRestarts", "tMult", tMult, 1);
  checkNumber("warmRestarts", "etaMin", etaMin);
  return (step) => {
    let length = t0;
    let tCur = step;
    if (tMult === 1) tCur = step % t0;
    // A loop, not the logarithm that PyTorch takes for explicit epochs: log(243) / log(3) is 4.999..., a cycle too few.
    else for (; tCur >= length; length *= tMult) tCur -= length;
    return etaMin + (value - etaMin) * halfCosine(tCur / length);
  };
}

/** What `oneCycle` and `oneCycleMomentum` share; give both the same. */
export interface OneCycleShape {
  /** Part of the steps that the rise takes, in [0, 1]; default 0.3. */
  pctStart?: number;
  /** Half cosines or straight lines; default `cos`. */
  annealStrategy?: "cos" | "linear";
  /** Fall as long as the rise, then anneal from the initial lr to the last; default false: fall in one go. */
  threePhase?: boolean;
}

const ONE_CYCLE = ["pctStart", "annealStrategy", "threePhase"] as const;

/**
 * The 1cycle policy: from `maxLr / divFactor` up to maxLr, and down to `maxLr / divFactor / finalDivFactor` at step
 * totalSteps - 1, which is then held. The phases end at `pctStart * totalSteps - 1`, (three phases:
 * `2 * pctStart * totalSteps - 2`,) and `totalSteps - 1`.
 *
 * PyTorch: `OneCycleLR(max_lr, total_steps)`, which raises an error after the last step. Smith and Topin, Super-Convergence
 * (arXiv 1708.07120).
 * @param totalSteps number of updates, step 0 included; >= 1
 * @param options.divFactor > 0; default 25
 * @param options.finalDivFactor > 0; default 1e4
 * @throws OptionError unless maxLr >= 0, totalSteps >= 1, pctStart is in [0, 1] and the divisors are > 0.
 */
export function oneCycle(
  maxLr: number,
  totalSteps: number,
  options: OneCycleShape & { divFactor?: number; finalDivFactor?: number } = {},
): Schedule {
  checkNumber("oneCycle", "maxLr", maxLr);
  const known = [...ONE_CYCLE, "divFactor", "finalDivFactor"] as const;
  const { divFactor = 25, finalDivFactor = 1e4 } = checkOptions("oneCycle", options, known);
  const initial = maxLr / checkPositive("oneCycle", "divFactor", divFactor);
  const last = initial / checkPositive("oneCycle", "finalDivFactor", finalDivFactor);
  const corners = options.threePhase ? [initial, maxLr, initial, last] : [initial, maxLr, last];
  return oneCycleCurve("oneCycle", totalSteps, corners, options);
}

/**
 * The momentum (or beta1) that goes with `oneCycle`: maxMomentum, down to baseMomentum while the lr rises, and back up
 * while it falls; in a third phase it stays at maxMomentum.
 *
 * PyTorch: `OneCycleLR(base_momentum=0.85, max_momentum=0.95, cycle_momentum=True)`.
 * @param totalSteps as in `oneCycle`
 * @param options.baseMomentum in [0, 1]; default 0.85
 * @param options.maxMomentum in [0, 1]; default 0.95
 * @throws OptionError unless totalSteps >= 1 and pctStart and both momenta are in [0, 1].
 */
export function oneCycleMomentum(
  totalSteps: number,
  options: OneCycleShape & { baseMomentum?: number; maxMomentum?: number } = {},
): Schedule {
  const known = [...ONE_CYCLE, "baseMomentum", "maxMomentum"] as const;
  const { baseMomentum = 0.85, maxMomentum = 0.95 } = checkOptions("oneCycleMomentum", options, known);
  const base = checkNumber("oneCycleMomentum", "baseMomentum", baseMomentum, 0, 1);
  const max = checkNumber("oneCycleMomentum", "maxMomentum", maxMomentum, 0, 1);
  const corners = options.threePhase ? [max, base, max, max] : [max, base, max];
  return oneCycleCurve("oneCycleMomentum", totalSteps, corners, options);
}

/** The curve through the corners: corner 0 at step 0, corner i + 1 at the end of phase i. */
function oneCycleCurve(where: string, totalSteps: number, corners: readonly number[], shape: OneCycleShape): Schedule {
  const { pctStart = 0.3, annealStrategy = "cos", threePhase = false } = shape;
  checkNumber(where, "totalSteps", totalSteps, 1);
  const rise = checkNumber(where, "pctStart", pctStart, 0, 1) * totalSteps;
  checkChoice(where, "annealStrategy", annealStrategy, ["cos", "linear"]);
  checkBoolean(where, "threePhase", threePhase);
  const lastStep = totalSteps - 1;
  const ends = threePhase ? [rise - 1, 2 * rise - 2, lastStep] : [rise - 1, lastStep];
  return (step) => {
    const t = Math.min(step, lastStep);
    let phase = 0;
    while (phase < ends.length - 1 && t > ends[phase]!) phase++;
    const begin = phase === 0 ? 0 : ends[phase - 1]!;
    const length = ends[phase]! - begin;
    const x = length === 0 ? 1 : (t - begin) / length;
    const from = corners[phase]!;
    const to = corners[phase + 1]!;
    return annealStrategy === "cos" ? to + (from - to) * halfCosine(x) : from * (1 - x) + to * x;
  };
}

const CYCLIC = ["stepSizeDown", "mode", "gamma", "scale"] as const;

/** What `cyclic` and `cyclicMomentum` share; give both the same. */
export interface CyclicShape {
  /** Steps from top to bottom; > 0; default: as many as up. */
  stepSizeDown?: number;
  /** Height of the triangles: all equal, halved with every cycle, or times gamma^t; default `triangular`. */
  mode?: "triangular" | "triangular2" | "exp_range";
  /** For `exp_range`; >= 0; default 1. */
  gamma?: number;
  /** Height of the triangle at a step, instead of `mode`; cycles count from 1. PyTorch: `scale_fn` with `scale_mode`. */
  scale?: (cycle: number, step: number) => number;
}

/**
 * Triangles: `baseLr + (maxLr - baseLr) * x * scale`, where x rises from 0 to 1 over stepSizeUp steps and falls back to
 * 0 over stepSizeDown, for ever.
 *
 * PyTorch: `CyclicLR(base_lr, max_lr, step_size_up=2000)`. Smith, Cyclical Learning Rates (arXiv 1506.01186).
 * @param stepSizeUp steps from bottom to top
 * @throws OptionError unless both lrs are >= 0, the step sizes are > 0, gamma >= 0 and mode is known.
 */
export function cyclic(baseLr: number, maxLr: number, stepSizeUp: number, options: CyclicShape = {}): Schedule {
  checkNumber("cyclic", "baseLr", baseLr);
  checkNumber("cyclic", "maxLr", maxLr);
  const height = triangles("cyclic", stepSizeUp, checkOptions("cyclic", options, CYCLIC));
  return (step) => baseLr + (maxLr - baseLr) * height(step);
}

/**
 * The momentum (or beta1) that goes with `cyclic`, highest where the lr is lowest:
 * `maxMomentum - (maxMomentum - baseMomentum) * x * scale`.
 *
 * PyTorch: `CyclicLR(base_momentum=0.8, max_momentum=0.9, cycle_momentum=True)`.
 * @param options.baseMomentum in [0, 1]; default 0.8
 * @param options.maxMomentum in [0, 1]; default 0.9
 * @throws OptionError unless both momenta are in [0, 1], the step sizes are > 0, gamma >= 0 and mode is known.
 */
export function cyclicMomentum(
  stepSizeUp: number,
  options: CyclicShape & { baseMomentum?: number; maxMomentum?: number } = {},
): Schedule {
  const known = [...CYCLIC, "baseMomentum", "maxMomentum"] as const;
  const { baseMomentum = 0.8, maxMomentum = 0.9 } = checkOptions("cyclicMomentum", options, known);
  const base = checkNumber("cyclicMomentum", "baseMomentum", baseMomentum, 0, 1);
  const max = checkNumber("cyclicMomentum", "maxMomentum", maxMomentum, 0, 1);
  const height = triangles("cyclicMomentum", stepSizeUp, options);
  return (step) => max - (max - base) * height(step);
}

/** x * scale at a step. */
function triangles(where: string, stepSizeUp: number, shape: CyclicShape): Schedule {
  const up = checkPositive(where, "stepSizeUp", stepSizeUp);
  const { stepSizeDown: down = up, mode = "triangular", gamma = 1, scale } = shape;
  checkPositive(where, "stepSizeDown", down);
  checkChoice(where, "mode", mode, ["triangular", "triangular2", "exp_range"]);
  checkNumber(where, "gamma", gamma);
  if (scale !== undefined) checkFunction(where, "scale", scale);
  const scaleAt = (cycle: number, step: number) => {
    if (scale) return scale(cycle, step);
    return mode === "triangular" ? 1 : mode === "triangular2" ? 2 ** (1 - cycle) : bounded(gamma ** step);
  };
  return (step) => {
    const cycle = Math.floor(step / (up + down));
    const t = step - cycle * (up + down);
    // Rounding of fractional step sizes may put t just outside the cycle.
    const x = Math.max(0, t <= up ? t / up : 1 - (t - up) / down);
    return x * scaleAt(cycle + 1, step);
  };
}
