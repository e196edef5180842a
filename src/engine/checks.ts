/** Checks of option values; each throws an {@link OptionError} that names rule, option and value. */
import { OptionError } from "../errors.ts";

/** A number in [min, max], or [min, max) with `open`, that is finite as a float32 too: that is what the device gets. */
export function checkNumber(
  where: string,
  option: string,
  value: unknown,
  range: { min?: number; max?: number; open?: boolean; whole?: boolean } = {},
): asserts value is number {
  const { min = -Infinity, max = Infinity, open = false, whole = false } = range;
  const inside = typeof value === "number" && value >= min && (open ? value < max : value <= max);
  if (inside && Number.isFinite(Math.fround(value)) && (!whole || Number.isInteger(value))) return;
  const ranged = max !== Infinity;
  const kind = whole ? "a whole number " : ranged ? "" : "a finite number ";
  const bounds = ranged ? `in [${min}, ${max}${open ? ")" : "]"}` : min === -Infinity ? "" : `>= ${min}`;
  throw new OptionError(where, option, `must be ${kind}${bounds}`.trimEnd(), value);
}

/** `true` or `false`. */
export function checkBoolean(where: string, option: string, value: unknown): asserts value is boolean {
  if (typeof value !== "boolean") throw new OptionError(where, option, "must be true or false", value);
}

/** An object that is no list. */
export function checkObject(
  where: string,
  option: string,
  value: unknown,
): asserts value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new OptionError(where, option, "must be an object", value);
}

/** A plain object whose keys are all known: an option that is misspelt must not be lost silently. */
export function checkKeys(
  where: string,
  option: string,
  value: unknown,
  known: readonly string[],
): asserts value is Record<string, unknown> {
  checkObject(where, option || "options", value);
  for (const [key, given] of Object.entries(value)) {
    if (!known.includes(key))
      throw new OptionError(
        where,
        option ? `${option}.${key}` : key,
        `is no option; known: ${known.join(", ")}`,
        given,
      );
  }
}
