/** Schedules made of schedules and of functions. They serve lr and weight decay alike. */

import { OptionError } from "../errors.ts";
import { checkFunction, checkList, checkNumber, checkOptions } from "./schedule-options.ts";
import type { Schedule } from "./schedules.ts";

/**
 * Linear warm-up to the value that `inner` has after it, then `inner`:
 * `inner(steps) * (start + (1 - start) * t / steps)` while t < steps, then `inner(t)`.
 *
 * The inner schedule counts from the first step of the run, so `warmup(200, cosine(3e-4, 10_000))` ends at step 10 000,
 * warm-up included, and joins without a jump. To let the inner schedule begin only after the warm-up, from its own full
 * value, delay it: `warmup(200, delay(200, cosine(3e-4, 9_800)))`; that is optax `warmup_cosine_decay_schedule`, Hugging
 * Face `get_cosine_schedule_with_warmup` and timm's `warmup_prefix=True`.
 *
 * With start = 0 the first update has lr 0, as in optax and Hugging Face; `start: 1 / steps` makes use of it.
 * @param steps length of the warm-up; >= 0
 * @param options.start multiple of the target to start from, in [0, 1]; default 0
 * @throws OptionError unless steps >= 0, inner is a function and start is in [0, 1].
 */
export function warmup(steps: number, inner: Schedule, options: { start?: number } = {}): Schedule {
  checkNumber("warmup", "steps", steps);
  checkFunction("warmup", "inner", inner);
  const { start = 0 } = checkOptions("warmup", options, ["start"]);
  checkNumber("warmup", "start", start, 0, 1);
  return (step) => (step < steps ? inner(steps) * (start + ((1 - start) * step) / steps) : inner(step));
}

/**
 * A late start: `before` while t < steps, then `inner(t - steps)`. A weight decay that sets in after 1000 steps and
 * then rises over 500: `delay(1000, linear(0.1, 500, { startFactor: 0 }))`.
 *
 * @param steps length of the delay; >= 0
 * @param options.before value until then; >= 0; default 0
 * @throws OptionError unless steps >= 0, inner is a function and before >= 0.
 */
export function delay(steps: number, inner: Schedule, options: { before?: number } = {}): Schedule {
  checkNumber("delay", "steps", steps);
  checkFunction("delay", "inner", inner);
  const { before = 0 } = checkOptions("delay", options, ["before"]);
  checkNumber("delay", "before", before);
  return (step) => (step < steps ? before : inner(step - steps));
}

/**
 * One schedule after the other: schedule i + 1 takes over at milestone i, and there counts from 0 again.
 *
 * PyTorch: `SequentialLR(schedulers, milestones)`; optax: `join_schedules`.
 * @param milestones steps in ascending order, one fewer than schedules; with equal ones the schedule between is passed over
 * @throws OptionError unless there is a schedule, all are functions, and the milestones ascend and fit in number.
 */
export function sequential(schedules: readonly Schedule[], milestones: readonly number[]): Schedule {
  const given = checkList("sequential", "schedules", schedules);
  const parts = given.map((s, i) => checkFunction("sequential", `schedules[${i}]`, s));
  if (parts.length === 0) throw new OptionError("sequential", "schedules", "must not be empty", schedules);
  if (checkList("sequential", "milestones", milestones).length !== parts.length - 1) {
    throw new OptionError("sequential", "milestones", `must be ${parts.length - 1} in number`, milestones);
  }
  const starts = [0];
  for (const [i, m] of milestones.entries()) starts.push(checkNumber("sequential", `milestones[${i}]`, m, starts[i]));
  return (step) => {
    let part = parts.length - 1;
    while (part > 0 && step < starts[part]!) part--;
    return parts[part]!(step - starts[part]!);
  };
}

/**
 * A product: `value * factor_0(t) * factor_1(t) * ...`. Make the factors with the base value 1:
 * `chained(0.1, [linear(1, 100), exponential(1, 0.99)])`.
 *
 * PyTorch: `ChainedScheduler`, for schedulers that multiply the lr (all but those with a floor or of absolute values).
 * @throws OptionError unless value >= 0 and all factors are functions.
 */
export function chained(value: number, factors: readonly Schedule[]): Schedule {
  checkNumber("chained", "value", value);
  const given = checkList("chained", "factors", factors);
  const parts = given.map((f, i) => checkFunction("chained", `factors[${i}]`, f));
  return (step) => parts.reduce((product, factor) => product * factor(step), value);
}

/**
 * The value times any function of the step: `value * factor(t)`.
 *
 * PyTorch: `LambdaLR(lr_lambda)`.
 * @throws OptionError unless value >= 0 and factor is a function.
 */
export function lambda(value: number, factor: Schedule): Schedule {
  checkNumber("lambda", "value", value);
  checkFunction("lambda", "factor", factor);
  return (step) => value * factor(step);
}

/**
 * The value times a running product: `value * factor(1) * factor(2) * ... * factor(t)`; whole steps only, a fractional
 * step counts as the one before it. `factor` must be pure.
 *
 * Takes constant time for a step after the last one asked for, and t calls of `factor` to go back.
 *
 * PyTorch: `MultiplicativeLR(lr_lambda)`.
 * @throws OptionError unless value >= 0 and factor is a function.
 */
export function multiplicative(value: number, factor: Schedule): Schedule {
  checkNumber("multiplicative", "value", value);
  checkFunction("multiplicative", "factor", factor);
  // How far the product has been taken. Only a memory: it is always taken from 1 upwards, so every order of calls gives
  // the same bits.
  let reached = 0;
  let product = value;
  return (step) => {
    if (step < reached) {
      reached = 0;
      product = value;
    }
    for (; reached + 1 <= step; reached++) product *= factor(reached + 1);
    return product;
  };
}
