import {
  array,
  type Check,
  type Checked,
  checkLength,
  count,
  finite,
  GoldenError,
  index,
  nonNegative,
  object,
  record,
  refine,
  text,
} from "./check.ts";
import { type CheckedTensor, checkedTensor, identity, optionValue, seed, shape, valueSpec } from "./tensor.ts";

/** A sampled tensor: the values at `index`, and two sums over all elements. */
export interface SampledTensor extends CheckedTensor {
  readonly sum: number;
  readonly sumAbs: number;
}

const sampled: Check<SampledTensor> = (value, path) => {
  const { sum, sumAbs, v, e } = object({
    v: (x: unknown) => x,
    e: (x: unknown) => x,
    sum: finite,
    sumAbs: nonNegative,
  })(value, path);
  return { ...checkedTensor()({ v, e }, path), sum, sumAbs };
};

const norms = array(array(nonNegative, { length: 3 }));

const shapeOfCase = object(
  {
    ...identity.required,
    optimizer: text,
    options: record(optionValue),
    seed,
    steps: count,
    size: count,
    init: valueSpec,
    grad: valueSpec,
    index: array(index, { min: 1 }),
    gradNorms64: norms,
    gradNorms32: norms,
    final: record(sampled),
  },
  identity.optional,
);

export type LargeCase = Checked<typeof shapeOfCase>;

export const largeCase = refine(shapeOfCase, (value, path) => {
  shape([value.size], `${path}.size`);
  checkLength(value.gradNorms64, `${path}.gradNorms64`, value.steps);
  checkLength(value.gradNorms32, `${path}.gradNorms32`, value.steps);
  if (!value.final.param) throw new GoldenError(`${path}.final.param is missing`);
  value.index.forEach((position, i) => {
    const before = value.index[i - 1] ?? -1;
    if (position <= before || position >= value.size) {
      throw new GoldenError(`${path}.index[${i}] must be above ${before} and below ${value.size}, got ${position}`);
    }
  });
  for (const [name, { values }] of Object.entries(value.final)) {
    checkLength(values, `${path}.final.${name}.v`, value.index.length);
  }
});
