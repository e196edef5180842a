import { array, type Checked, finite, index, object, uint32 } from "./check.ts";
import { seed, valueSpec } from "./tensor.ts";

export const prngWord = object({ seed, stream: uint32, step: index, index, w1: uint32, w2: uint32 });

export const prngCase = object({
  spec: valueSpec,
  seed,
  stream: uint32,
  step: index,
  values: array(finite, { length: 8 }),
  bits: array(uint32, { length: 8 }),
  hash1000: uint32,
});

export type PrngWord = Checked<typeof prngWord>;
export type PrngCase = Checked<typeof prngCase>;
