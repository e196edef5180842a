import { elementCount } from "../../reference/prng.ts";
import {
  anyObject,
  array,
  type Check,
  type Checked,
  checkLength,
  count,
  finite,
  GoldenError,
  index,
  object,
  record,
  refine,
  text,
} from "./check.ts";
import { identity, type OptionValue, optionValue, parameter, seed } from "./tensor.ts";

/** A tensor as PyTorch prints it, in the precision of its dtype. */
export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

const tensor = refine(object({ dtype: text, shape: array(index), data: array(finite) }), ({ shape, data }, path) => {
  checkLength(data, `${path}.data`, elementCount(shape));
});

/** Numbers stand as a plain number or as a tensor without dimensions, depending on the optimizer. */
const entry: Check<StoredTensor | number> = (value, path) =>
  typeof value === "number" ? finite(value, path) : object({ tensor })(value, path).tensor;

const paramGroup: Check<{ params: number[]; options: Record<string, OptionValue> }> = (value, path) => {
  const { params, ...options } = anyObject(value, path);
  return { params: array(index)(params, `${path}.params`), options: record(optionValue)(options, path) };
};

const shapeOfCase = object(
  {
    ...identity.required,
    optimizer: text,
    constructorOptions: record(optionValue),
    seed,
    steps: count,
    params: array(parameter, { min: 2 }),
    paramsWithoutGrad: array(index),
    stateDict: object({ state: record(record(entry)), param_groups: array(paramGroup, { length: 2 }) }),
  },
  identity.optional,
);

export type StateDictCase = Checked<typeof shapeOfCase>;

export const stateDictCase = refine(shapeOfCase, ({ params, paramsWithoutGrad, stateDict }, path) => {
  paramsWithoutGrad.forEach((k, i) => {
    if (k >= params.length) {
      throw new GoldenError(`${path}.paramsWithoutGrad[${i}] must be below ${params.length}, got ${k}`);
    }
  });
  for (const key of Object.keys(stateDict.state)) {
    if (String(Number(key)) !== key || !params[Number(key)]) {
      throw new GoldenError(`${path}.stateDict.state.${key} is not the number of a parameter`);
    }
  }
  const numbered = stateDict.param_groups.flatMap((group) => group.params);
  if (numbered.length !== params.length || numbered.some((k, i) => k !== i)) {
    throw new GoldenError(
      `${path}.stateDict.param_groups must number the parameters 0 to ${params.length - 1} in order`,
    );
  }
});
