/** Argument checks of the schedule factories. A schedule is checked once, when it is made; calling it checks nothing. */

import { OptionError } from "../errors.ts";
import { checkKeys, checkNumber as checkOption } from "./checks.ts";

/** Returns `options` if it is an object of known options, else throws: none that is misspelt may be lost. */
export function checkOptions<T extends object>(where: string, options: T, known: readonly (keyof T & string)[]): T {
  checkKeys(where, "", options, known);
  return options;
}

/** Returns `value` if it is a list, else throws. */
export function checkList<T>(where: string, option: string, value: readonly T[]): readonly T[] {
  if (Array.isArray(value)) return value;
  throw new OptionError(where, option, "must be a list", value);
}

/** Returns `value` if it is a finite number in [min, max], else throws. */
export function checkNumber(where: string, option: string, value: number, min = 0, max = Infinity): number {
  checkOption(where, option, value, { min, max });
  return value;
}

/** Returns `value` if it is a finite number above zero (a length, a divisor), else throws. */
export function checkPositive(where: string, option: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw new OptionError(where, option, "must be a finite number > 0", value);
}

/** Returns `value` if it is an integer >= 0, else throws. */
export function checkCount(where: string, option: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new OptionError(where, option, "must be an integer >= 0", value);
}

/** Returns `value` if it is one of `choices`, else throws. */
export function checkChoice<T extends string>(where: string, option: string, value: T, choices: readonly T[]): T {
  if (choices.includes(value)) return value;
  throw new OptionError(where, option, `must be one of ${choices.map((c) => `"${c}"`).join(", ")}`, value);
}

/** Returns `value` if it is a function, else throws. */
// biome-ignore lint/suspicious/noExplicitAny: any callable, whatever its parameters; the caller's type is kept.
export function checkFunction<T extends (...args: any[]) => number>(where: string, option: string, value: T): T {
  if (typeof value === "function") return value;
  throw new OptionError(where, option, "must be a function that returns a number", value);
}
