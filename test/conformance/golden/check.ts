/**
 * Checks that turn parsed JSON into typed values, or say what is wrong and where: a mistake in a golden file must never
 * look like a test that passed. Objects are strict: a missing field and an unknown field are errors alike.
 */

/** A golden file is broken: `cases[3].params[0].shape[1] must be a positive integer, got -2`. */
export class GoldenError extends Error {
  override name = "GoldenError";
}

export type Check<T> = (value: unknown, path: string) => T;
export type Checked<C> = C extends Check<infer T> ? T : never;

export function fail(path: string, must: string, value: unknown): never {
  const text = JSON.stringify(value) ?? String(value);
  throw new GoldenError(`${path} ${must}, got ${text.length > 80 ? `${text.slice(0, 77)}...` : text}`);
}

function check<T>(test: (value: unknown) => value is T, must: string): Check<T> {
  return (value, path) => (test(value) ? value : fail(path, must, value));
}

function isNumber(test: (value: number) => boolean): (value: unknown) => value is number {
  return (value): value is number => typeof value === "number" && test(value);
}

export const finite = check(isNumber(Number.isFinite), "must be a finite number");
export const nonNegative = check(
  isNumber((x) => Number.isFinite(x) && x >= 0),
  "must be a finite number of at least 0",
);
export const positive = check(
  isNumber((x) => Number.isFinite(x) && x > 0),
  "must be a finite number above 0",
);
export const index = check(
  isNumber((x) => Number.isSafeInteger(x) && x >= 0),
  "must be a non-negative integer",
);
export const count = check(
  isNumber((x) => Number.isSafeInteger(x) && x > 0),
  "must be a positive integer",
);
export const integer = check(isNumber(Number.isSafeInteger), "must be an integer");
export const uint32 = check(
  isNumber((x) => Number.isInteger(x) && x >= 0 && x < 2 ** 32),
  "must be an unsigned 32-bit integer",
);
export const text = check(
  (value): value is string => typeof value === "string" && value !== "",
  "must be a non-empty string",
);
export const flag = check((value): value is boolean => typeof value === "boolean", "must be true or false");

const NON_FINITE: ReadonlyMap<unknown, number> = new Map([
  ["nan", Number.NaN],
  ["inf", Infinity],
  ["-inf", -Infinity],
]);

/** A number, or one of "nan", "inf" and "-inf", which JSON has no numbers for. */
export const anyNumber: Check<number> = (value, path) => {
  const special = NON_FINITE.get(value);
  if (special !== undefined) return special;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  return fail(path, 'must be a finite number, "nan", "inf" or "-inf"', value);
};

/** An object of any content, such as the arguments of a scheduler. */
export const anyObject = check(
  (value): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value),
  "must be an object",
);

export function oneOf<const T extends string>(...allowed: readonly T[]): Check<T> {
  return check(
    (value): value is T => (allowed as readonly unknown[]).includes(value),
    `must be ${allowed.join(" or ")}`,
  );
}

export function nullable<T>(inner: Check<T>): Check<T | null> {
  return (value, path) => (value === null ? null : inner(value, path));
}

export function array<T>(inner: Check<T>, { length, min = 0 }: { length?: number; min?: number } = {}): Check<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) return fail(path, "must be an array", value);
    checkLength(value, path, length);
    if (value.length < min) throw new GoldenError(`${path} must have at least ${min} entries, got ${value.length}`);
    return value.map((entry, i) => inner(entry, `${path}[${i}]`));
  };
}

export function checkLength(value: ArrayLike<unknown>, path: string, length: number | undefined): void {
  if (length === undefined || value.length === length) return;
  throw new GoldenError(`${path} must have ${length} entries, got ${value.length}`);
}

/** A map from names to values of one type. */
export function record<T>(inner: Check<T>): Check<Record<string, T>> {
  return (value, path) =>
    Object.fromEntries(
      Object.entries(anyObject(value, path)).map(([key, entry]) => [key, inner(entry, `${path}.${key}`)]),
    );
}

type Fields = Record<string, Check<unknown>>;
type Values<F extends Fields> = { [K in keyof F]: Checked<F[K]> };

/** An object with exactly these fields; the optional ones may be absent, but not null. */
export function object<R extends Fields, O extends Fields = Record<never, never>>(
  required: R,
  optional: O = {} as O,
): Check<Values<R> & Partial<Values<O>>> {
  return (value, path) => {
    const source = anyObject(value, path);
    for (const key of Object.keys(source)) {
      if (!Object.hasOwn(required, key) && !Object.hasOwn(optional, key)) {
        throw new GoldenError(`${path}.${key} is not a field of this format`);
      }
    }
    const out: Record<string, unknown> = {};
    for (const [key, inner] of Object.entries(required)) {
      if (!Object.hasOwn(source, key)) throw new GoldenError(`${path}.${key} is missing`);
      out[key] = inner(source[key], `${path}.${key}`);
    }
    for (const [key, inner] of Object.entries(optional)) {
      if (Object.hasOwn(source, key)) out[key] = inner(source[key], `${path}.${key}`);
    }
    return out as Values<R> & Partial<Values<O>>;
  };
}

/** A check followed by another one that sees the whole value. */
export function refine<T>(inner: Check<T>, further: (value: T, path: string) => void): Check<T> {
  return (value, path) => {
    const out = inner(value, path);
    further(out, path);
    return out;
  };
}
