import { elementCount } from "../../reference/prng.ts";
import {
  anyNumber,
  array,
  type Check,
  type Checked,
  checkLength,
  GoldenError,
  index,
  nonNegative,
  nullable,
  object,
  oneOf,
  positive,
  refine,
} from "./check.ts";
import { checkedTensor, checkSize, identity, seed, shape, valueSpec } from "./tensor.ts";

/** `[tensor, index, value]`: an element that is overwritten after the gradients have been generated. */
const injection: Check<{ tensor: number; index: number; value: number }> = (value, path) => {
  const entries = array((x: unknown) => x, { length: 3 })(value, path);
  return {
    tensor: index(entries[0], `${path}[0]`),
    index: index(entries[1], `${path}[1]`),
    value: anyNumber(entries[2], `${path}[2]`),
  };
};

const normType: Check<number> = (value, path) => (value === "inf" ? Infinity : positive(value, path));

const inputs = {
  ...identity.required,
  seed,
  tensors: array(nullable(object({ shape, grad: valueSpec })), { min: 1 }),
  clipped: array(nullable(checkedTensor(true))),
};
const optional = { ...identity.optional, inject: array(injection) };

const byNorm = object(
  {
    ...inputs,
    op: oneOf("norm"),
    args: object({ max_norm: nonNegative, norm_type: normType }),
    totalNorm: anyNumber,
    totalNormF32: anyNumber,
    clipCoef: anyNumber,
  },
  optional,
);
const byValue = object({ ...inputs, op: oneOf("value"), args: object({ clip_value: nonNegative }) }, optional);

export type ClipCase = Checked<typeof byNorm> | Checked<typeof byValue>;

const shapeOfCase: Check<ClipCase> = (value, path) => {
  const op = oneOf("norm", "value")((value as { op?: unknown } | null)?.op, `${path}.op`);
  return op === "norm" ? byNorm(value, path) : byValue(value, path);
};

export const clipCase = refine(shapeOfCase, ({ tensors, clipped, inject = [] }, path) => {
  checkLength(clipped, `${path}.clipped`, tensors.length);
  clipped.forEach((result, k) => {
    const tensor = tensors[k]!;
    if ((result === null) !== (tensor === null)) {
      throw new GoldenError(`${path}.clipped[${k}] must be null exactly if there is no gradient`);
    }
    if (tensor && result) checkSize(result, `${path}.clipped[${k}]`, elementCount(tensor.shape));
  });
  inject.forEach(({ tensor, index }, i) => {
    const target = tensors[tensor];
    if (!target) throw new GoldenError(`${path}.inject[${i}][0] must name a tensor with a gradient, got ${tensor}`);
    const size = elementCount(target.shape);
    if (index >= size) throw new GoldenError(`${path}.inject[${i}][1] must be below ${size}, got ${index}`);
  });
  if (tensors.every((tensor) => tensor === null)) throw new GoldenError(`${path}.tensors must have a gradient`);
});
