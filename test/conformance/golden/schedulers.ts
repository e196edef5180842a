import {
  anyNumber,
  anyObject,
  array,
  type Checked,
  checkLength,
  finite,
  nonNegative,
  object,
  refine,
  text,
} from "./check.ts";
import { identity } from "./tensor.ts";

const rows = array(array(finite), { min: 1 });

const shapeOfCase = object(
  { ...identity.required, scheduler: text, args: anyObject, baseLr: array(finite, { min: 1 }), lr: rows },
  { ...identity.optional, momentum: rows, metrics: array(anyNumber), epochs: array(nonNegative) },
);

/** `lr[i]` and `momentum[i]` are those of every group after i scheduler steps. */
export type SchedulerCase = Checked<typeof shapeOfCase>;

export const schedulerCase = refine(shapeOfCase, ({ baseLr, lr, momentum, metrics, epochs }, path) => {
  lr.forEach((row, i) => {
    checkLength(row, `${path}.lr[${i}]`, baseLr.length);
  });
  if (momentum) checkLength(momentum, `${path}.momentum`, lr.length);
  momentum?.forEach((row, i) => {
    checkLength(row, `${path}.momentum[${i}]`, baseLr.length);
  });
  // The first row stands before any step.
  if (metrics) checkLength(metrics, `${path}.metrics`, lr.length - 1);
  if (epochs) checkLength(epochs, `${path}.epochs`, lr.length - 1);
});
