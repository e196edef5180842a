/** Pieces that several kinds of golden files have in common. */

import { elementCount, type ValueSpec } from "../../reference/prng.ts";
import {
  anyNumber,
  array,
  type Check,
  type Checked,
  checkLength,
  count,
  fail,
  finite,
  GoldenError,
  index,
  integer,
  nonNegative,
  nullable,
  object,
  oneOf,
  text,
  uint32,
} from "./check.ts";

/** A limit against typing errors: 2^28 float32 are 1 GiB. */
const MOST_ELEMENTS = 2 ** 28;

export const shape: Check<number[]> = (value, path) => {
  const extents = array(count)(value, path);
  if (elementCount(extents) > MOST_ELEMENTS) fail(path, `must have at most ${MOST_ELEMENTS} elements`, value);
  return extents;
};

const zeroOf128: Check<number> = (value, path) => {
  const zero = index(value, path);
  return zero <= 128 ? zero : fail(path, "must be at most 128, the number of values that the test looks at", value);
};
const exponents = { lo: integer, hi: integer, zero: zeroOf128 };
const kind = <const K extends string>(...kinds: K[]) => ({ kind: oneOf(...kinds) });
const SPECS: Record<ValueSpec["kind"], Check<ValueSpec>> = {
  zero: object(kind("zero")),
  ones: object(kind("ones")),
  uniform: object({ ...kind("uniform"), scale: finite }),
  const: object({ ...kind("const"), scale: finite }),
  normal: object({ ...kind("normal"), scale: finite }, { offset: finite }),
  sparse: object({ ...kind("sparse"), scale: finite, zero: zeroOf128 }),
  corr: object({ ...kind("corr"), scale: finite, noise: finite }),
  wide: object({ ...kind("wide"), ...exponents }),
  elem: object({ ...kind("elem"), ...exponents }),
};

/** How a tensor is generated. */
export const valueSpec: Check<ValueSpec> = (value, path) => {
  const name = (value as { kind?: unknown } | null)?.kind;
  if (typeof name !== "string" || !Object.hasOwn(SPECS, name)) {
    return fail(`${path}.kind`, `must be ${Object.keys(SPECS).join(" or ")}`, name);
  }
  const spec = SPECS[name as ValueSpec["kind"]](value, path);
  // Outside of these exponents the bits would stand for subnormal or non-finite numbers.
  if ("lo" in spec && !(spec.lo >= -126 && spec.lo <= spec.hi && spec.hi <= 127)) {
    fail(path, "must have -126 <= lo <= hi <= 127", value);
  }
  return spec;
};

/** How far the reference's own float32 run was off; see `compare.ts`. */
export interface Deviation {
  readonly abs: number;
  readonly rel: number;
  readonly norm: number;
  readonly sens: number;
}

/** A result of the reference in float64. Without a deviation some of its values are not finite. */
export interface CheckedTensor {
  readonly values: Float64Array;
  readonly deviation: Deviation | null;
  /** Only where it differs from the parameter's. */
  readonly shape: readonly number[] | undefined;
}

const stored = object({ v: array(anyNumber) }, { e: array(nonNegative, { length: 4 }), shape });

/** A checked tensor, finite throughout unless `mayBeNonFinite`. */
export function checkedTensor(mayBeNonFinite = false): Check<CheckedTensor> {
  return (value, path) => {
    const { v, e, shape: own } = stored(value, path);
    const bad = v.findIndex((x) => !Number.isFinite(x));
    if (bad >= 0 && !mayBeNonFinite) throw new GoldenError(`${path}.v[${bad}] must be finite here, got ${v[bad]}`);
    if (bad < 0 && !e) throw new GoldenError(`${path}.e is missing`);
    if (bad >= 0 && e)
      throw new GoldenError(`${path}.e says nothing where a value is not finite: v[${bad}] is ${v[bad]}`);
    if (own) checkLength(v, `${path}.v`, elementCount(own));
    const [abs, rel, norm, sens] = e ?? [];
    return {
      values: Float64Array.from(v),
      deviation: e ? { abs: abs!, rel: rel!, norm: norm!, sens: sens! } : null,
      shape: own,
    };
  };
}

/** Refuses a tensor of another length; one with a shape of its own has been looked at already. */
export function checkSize(tensor: CheckedTensor, path: string, size: number): void {
  if (!tensor.shape) checkLength(tensor.values, `${path}.v`, size);
}

/** Fields that identify a case; only `id` and `seed` have a meaning. */
export const identity = { required: { id: text }, optional: { variant: text, source: text, note: text } };

/** A parameter, its gradient at every step, and the steps at which it has none. */
export const parameter = object({ shape, init: valueSpec, grad: valueSpec }, { noGradSteps: array(count) });
export type Parameter = Checked<typeof parameter>;

export const seed = uint32;

/** A value of an option, in the words of the reference. */
export type OptionValue = number | boolean | string | null | OptionValue[];
export const optionValue: Check<OptionValue> = (value, path) => {
  if (Array.isArray(value)) return value.map((entry, i) => optionValue(entry, `${path}[${i}]`));
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  return finite(value, path);
};
export type ReferenceOptions = Readonly<Record<string, OptionValue>>;

/** Snapshots come in the order of their steps, and the last one ends the case: what follows would be untested. */
export function checkSnapshotSteps(steps: readonly number[], last: number, path: string): void {
  steps.forEach((step, i) => {
    const before = steps[i - 1] ?? 0;
    if (step <= before) throw new GoldenError(`${path}[${i}].step must be above ${before}, got ${step}`);
  });
  if (steps.at(-1) !== last) {
    throw new GoldenError(`${path} must end with step ${last}, the last of the case, got ${steps.at(-1)}`);
  }
}

/** One entry for each parameter; null where nothing is stored. */
export function perParameter(
  parameters: readonly Parameter[],
  tensors: readonly (CheckedTensor | null)[],
  path: string,
) {
  checkLength(tensors, path, parameters.length);
  tensors.forEach((tensor, k) => {
    if (tensor) checkSize(tensor, `${path}[${k}]`, elementCount(parameters[k]!.shape));
  });
}

export const snapshotTensors = array(nullable(checkedTensor()));
