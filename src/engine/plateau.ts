/** The one schedule that is not a function of the step: it falls when a metric stops getting better. */

import { OptionError } from "../errors.ts";
import { checkChoice, checkCount, checkNumber, checkOptions } from "./schedule-options.ts";

/** Options of `reduceOnPlateau`, with PyTorch's names and defaults. */
export interface PlateauOptions {
  /** Whether a lower (`min`: a loss) or a higher (`max`: an accuracy) metric is better; default `min`. */
  mode?: "min" | "max";
  /** What the value is multiplied by, in [0, 1); default 0.1. */
  factor?: number;
  /** Updates without getting better that are let pass: the next one reduces; an integer >= 0; default 10. */
  patience?: number;
  /** By how much a metric must beat the best one to count as better; >= 0, for `min` with `rel` < 1; default 1e-4. */
  threshold?: number;
  /** Threshold as a part of the best metric (`rel`) or as a difference (`abs`); default `rel`. */
  thresholdMode?: "rel" | "abs";
  /** Updates after a reduction during which nothing is counted; an integer >= 0; default 0. */
  cooldown?: number;
  /** The value never falls below it; >= 0; default 0. */
  minLr?: number;
  /** A reduction that would change the value by no more than this is left out; >= 0; default 1e-8. */
  eps?: number;
}

const OPTIONS = ["mode", "factor", "patience", "threshold", "thresholdMode", "cooldown", "minLr", "eps"] as const;
const INFINITIES: readonly unknown[] = ["Infinity", "-Infinity"];

/** What `reduceOnPlateau` remembers. It survives `JSON.stringify`, which knows no infinity. */
export interface PlateauState {
  /** The current value. */
  value: number;
  /** The best metric so far; `"Infinity"` or `"-Infinity"` before the first. */
  best: number | "Infinity" | "-Infinity";
  numBadEpochs: number;
  cooldownCounter: number;
}

/** A schedule with memory: called, it returns the current value, whatever the step. */
export interface Plateau {
  (step: number): number;
  /**
   * Tells it the metric of the epoch (or of whatever is between two calls), and says whether the value was reduced.
   * NaN is never better than anything.
   * @throws OptionError if the metric is not a number. Nothing is changed then.
   */
  update(metric: number): boolean;
  /** A copy of its memory, for a checkpoint. */
  state(): PlateauState;
  /**
   * Goes on from a state. The options are not part of it.
   * @throws OptionError if the state is not one. Nothing is changed then.
   */
  load(state: PlateauState): void;
}

/**
 * Multiplies the value by `factor` when the metric has not got better for more than `patience` updates.
 *
 * Better, for `min`: `metric < best * (1 - threshold)` (rel) or `metric < best - threshold` (abs); for `max`:
 * `metric > best * (1 + threshold)` or `metric > best + threshold`. With `rel`, a negative best is beaten by slightly
 * worse metrics too, as in PyTorch: use `abs` for metrics that can be negative.
 *
 * ```ts
 * const lr = reduceOnPlateau(1e-3, { patience: 5 });
 * const optimizer = await createOptimizer(device, { rule, params, lr: warmup(200, lr) });
 * lr.update(validationLoss);                       // once an epoch
 * checkpoint.lr = lr.state();                      // and lr.load(checkpoint.lr)
 * ```
 *
 * PyTorch: `ReduceLROnPlateau`.
 * @throws OptionError unless value >= 0 and the options are in their ranges.
 */
export function reduceOnPlateau(value: number, options: PlateauOptions = {}): Plateau {
  const where = "reduceOnPlateau";
  checkNumber(where, "value", value);
  const {
    mode = "min",
    factor = 0.1,
    patience = 10,
    threshold = 1e-4,
    thresholdMode = "rel",
    cooldown = 0,
    minLr = 0,
    eps = 1e-8,
  } = checkOptions(where, options, OPTIONS);
  checkChoice(where, "mode", mode, ["min", "max"]);
  checkNumber(where, "factor", factor);
  if (factor >= 1) throw new OptionError(where, "factor", "must be < 1", factor);
  checkCount(where, "patience", patience);
  checkNumber(where, "threshold", threshold);
  const relative = checkChoice(where, "thresholdMode", thresholdMode, ["rel", "abs"]) === "rel";
  if (relative && mode === "min" && threshold >= 1) {
    throw new OptionError(where, "threshold", "must be < 1 for mode min, rel: nothing would be better", threshold);
  }
  checkCount(where, "cooldown", cooldown);
  checkNumber(where, "minLr", minLr);
  checkNumber(where, "eps", eps);

  let current = value;
  let best = mode === "min" ? Infinity : -Infinity;
  let numBadEpochs = 0;
  let cooldownCounter = 0;

  const isBetter = (metric: number) =>
    mode === "min"
      ? metric < (relative ? best * (1 - threshold) : best - threshold)
      : metric > (relative ? best * (1 + threshold) : best + threshold);

  const plateau = () => current;
  return Object.assign(plateau, {
    update(metric: number): boolean {
      if (typeof metric !== "number") throw new OptionError(where, "metric", "must be a number", metric);
      if (isBetter(metric)) {
        best = metric;
        numBadEpochs = 0;
      } else {
        numBadEpochs++;
      }
      if (cooldownCounter > 0) {
        cooldownCounter--;
        numBadEpochs = 0;
      }
      if (numBadEpochs <= patience) return false;
      // PyTorch starts the cool-down even when the reduction itself is left out.
      cooldownCounter = cooldown;
      numBadEpochs = 0;
      const reduced = Math.max(current * factor, minLr);
      if (!(current - reduced > eps)) return false;
      current = reduced;
      return true;
    },
    state(): PlateauState {
      const finite = Number.isFinite(best);
      return {
        value: current,
        best: finite ? best : best > 0 ? "Infinity" : "-Infinity",
        numBadEpochs,
        cooldownCounter,
      };
    },
    load(state: PlateauState): void {
      if (typeof state !== "object" || state === null) {
        throw new OptionError(where, "state", "must be what state() gave", state);
      }
      const savedValue = checkNumber(where, "state.value", state.value);
      const savedBest = typeof state.best === "number" || INFINITIES.includes(state.best) ? Number(state.best) : NaN;
      if (Number.isNaN(savedBest)) {
        throw new OptionError(where, "state.best", 'must be a number, "Infinity" or "-Infinity"', state.best);
      }
      const savedBad = checkCount(where, "state.numBadEpochs", state.numBadEpochs);
      const savedCooldown = checkCount(where, "state.cooldownCounter", state.cooldownCounter);
      current = savedValue;
      best = savedBest;
      numBadEpochs = savedBad;
      cooldownCounter = savedCooldown;
    },
  });
}
