/**
 * The criterion of the golden data. The truth `v` is a float64 run of the reference; next to it stands how far the
 * reference's own float32 run was off (`abs`, `rel`) and how far the result moves when every input is off by half a unit
 * in the last place (`sens`). A float32 result `x` passes if, with A the largest |v| of the tensor,
 *
 *     |x_i - v_i| <= k max(abs, sens) + f 2^-24 A                       for every element
 *     |x_i - v_i| <= (8 rel + 8 2^-24) |v_i|                            for accumulators of non-negative terms as well,
 *                                                                      since those span many decades in one tensor
 */

import type { CheckedTensor } from "./golden/tensor.ts";

export interface Criterion {
  readonly k: number;
  readonly f: number;
  /**
   * A covers the earlier snapshots and the initial values too: a parameter may have cancelled to near zero, and hardware
   * need not round division and square root correctly.
   */
  readonly cumulative: boolean;
}

/** For software adapters, where division and square root are correctly rounded. */
export const SOFTWARE: Criterion = { k: 4, f: 8, cumulative: false };
/** For hardware: WGSL allows 2.5 ulp for a division and about 4.5 for a square root. */
export const HARDWARE: Criterion = { k: 4, f: 16, cumulative: true };

/** Half a unit in the last place of 1 in float32. */
const HALF_ULP = 2 ** -24;

const NON_NEGATIVE = new Set([
  "exp_avg_sq",
  "max_exp_avg_sq",
  "square_avg",
  "sum",
  "exp_inf",
  "exp_avg_var",
  "max_exp_avg_var",
]);

/** Quantities that compound several divisions and roots have twice the budget. */
const COMPOUNDED = new Set(["acc_delta"]);

/** Norms, sums and other single numbers. */
export const NUMBER_TOLERANCE = 1e-6;

/** Collects what was compared in one case, and the worst of it as a fraction of its budget. */
export class Comparison {
  /** At most this many failures are told; the rest is only counted. */
  static readonly TOLD = 5;
  readonly #criterion: Criterion;
  readonly #magnitudes = new Map<string, number>();
  readonly #failures: string[] = [];
  #failed = 0;
  #compared = 0;
  #worst = 0;
  #where = "";

  constructor(criterion: Criterion = SOFTWARE) {
    this.#criterion = criterion;
  }

  /** Number of values compared. A case that compared nothing has not passed. */
  get compared(): number {
    return this.#compared;
  }

  /** Largest error as a fraction of its budget: at most 1 in a case that passes. */
  get worst(): number {
    return this.#worst;
  }

  /** Where the largest error was. */
  get where(): string {
    return this.#where;
  }

  get passed(): boolean {
    return this.#failed === 0 && this.#compared > 0;
  }

  get messages(): string[] {
    if (this.#compared === 0 && this.#failed === 0) return ["nothing was compared"];
    const untold = this.#failed - this.#failures.length;
    return untold > 0 ? [...this.#failures, `and ${untold} more`] : [...this.#failures];
  }

  fail(message: string): void {
    this.#failed++;
    if (this.#failures.length < Comparison.TOLD) this.#failures.push(message);
  }

  /** Tells how large a tensor has been before the first comparison; `key` as in {@link tensor}. */
  remember(key: string, values: ArrayLike<number>): number {
    const magnitude = Math.max(this.#magnitudes.get(key) ?? 0, largest(values));
    this.#magnitudes.set(key, magnitude);
    return magnitude;
  }

  /**
   * Compares a whole tensor.
   *
   * @param key - which tensor it is, the same at every snapshot: `p0` or `p0.exp_avg`
   * @param name - what the reference calls the quantity; decides about the criterion
   */
  tensor(
    { key, name, at = "" }: { key: string; name: string; at?: string },
    actual: ArrayLike<number> | undefined,
    expected: CheckedTensor,
  ): void {
    const where = `${at && `${at} `}${key}`;
    const { values, deviation } = expected;
    if (actual?.length !== values.length) {
      this.fail(actual ? `${where} must have ${values.length} elements, got ${actual.length}` : `${where} is missing`);
      return;
    }
    const remembered = this.remember(key, values);
    const magnitude = this.#criterion.cumulative ? remembered : largest(values);
    const room = COMPOUNDED.has(name) ? 2 : 1;
    const absolute =
      room * this.#criterion.k * Math.max(deviation?.abs ?? 0, deviation?.sens ?? 0) +
      room * this.#criterion.f * HALF_ULP * magnitude;
    const relative = 8 * (deviation?.rel ?? 0) + 8 * HALF_ULP;
    for (let i = 0; i < values.length; i++) {
      const v = values[i]!;
      this.#value(`${where}[${i}]`, actual[i]!, v, absolute);
      if (NON_NEGATIVE.has(name) && Number.isFinite(v)) this.#value(`${where}[${i}]`, actual[i]!, v, relative * v);
    }
  }

  /** Compares a single number, with a tolerance relative to the expected one or to `scale`. */
  number(where: string, actual: number | undefined, expected: number, scale = Math.abs(expected)): void {
    if (actual === undefined) this.fail(`${where} is missing`);
    else this.#value(where, actual, expected, NUMBER_TOLERANCE * scale);
  }

  /** Compares what has no rounding: counts, flags, names. */
  equal<T extends number | boolean | string>(where: string, actual: T | undefined, expected: T): void {
    this.#compared++;
    if (!Object.is(actual, expected)) this.fail(`${where} must be ${expected}, got ${actual}`);
  }

  #value(where: string, actual: number, expected: number, budget: number): void {
    this.#compared++;
    if (!Number.isFinite(expected)) {
      if (!Object.is(actual, expected)) this.fail(`${where} must be ${expected}, got ${actual}`);
      return;
    }
    const error = Math.abs(actual - expected);
    // A non-finite result has a NaN or infinite error, neither of which is at most the budget.
    const fraction = error === 0 ? 0 : Number.isFinite(error) ? error / budget : Infinity;
    if (fraction > this.#worst || !this.#where) {
      this.#worst = Math.max(fraction, this.#worst);
      this.#where = where;
    }
    if (!(fraction <= 1)) {
      this.fail(
        `${where} is ${actual}, must be ${expected} within ${budget.toPrecision(3)}: ${times(fraction)} as much`,
      );
    }
  }
}

function times(fraction: number): string {
  return Number.isFinite(fraction) ? `${fraction.toPrecision(3)} times` : "infinitely";
}

function largest(values: ArrayLike<number>): number {
  let magnitude = 0;
  for (let i = 0; i < values.length; i++) {
    const x = Math.abs(values[i]!);
    if (x > magnitude && x !== Infinity) magnitude = x;
  }
  return magnitude;
}
