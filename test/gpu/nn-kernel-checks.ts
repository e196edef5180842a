/** What the tests of the training kit's kernels hold results against. */
import { expect } from "vitest";
import { quadsOf, rowsOf } from "../../src/nn/activation.ts";
import { words } from "../reference/prng.ts";
import { upload, values } from "./nn-matrices.ts";

type Values = ArrayLike<number>;

/** Random shapes of each layer. */
export const SHAPES = 50;

/** The largest difference, relative to the largest magnitude that is wanted. */
export function relativeError(got: Values, want: Values): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let magnitude = 0;
  for (let k = 0; k < want.length; k++) {
    const d = Math.abs(got[k]! - want[k]!);
    if (!(d <= difference)) difference = d;
    magnitude = Math.max(magnitude, Math.abs(want[k]!));
  }
  return difference === 0 ? 0 : difference / magnitude;
}

/**
 * Agreement with the float64 twin: 2e-6 times the square root of the number of terms of the longest sum, about 30 roundings of
 * float32 for a single one.
 */
export function expectTwin(what: string, got: Values, want: Values, reduction: number): void {
  expect(relativeError(got, want), what).toBeLessThanOrEqual(2e-6 * Math.sqrt(reduction));
}

/**
 * Agreement with central differences in float64 of `loss` in some of the elements of `at`: 1e-4 of the largest of the gradient.
 * The step is so small that the differences' own error (h^2 times the third derivative) is far below that.
 */
export function expectDifferences(
  what: string,
  got: Values,
  at: Values,
  loss: (moved: Float64Array) => number,
  seed: number,
): void {
  const h = 2 ** -12;
  let largest = 0;
  for (let k = 0; k < got.length; k++) largest = Math.max(largest, Math.abs(got[k]!));
  for (let trial = 0; trial < 2; trial++) {
    const k = words(seed, 3, 1, trial).w1 % at.length;
    const moved = Float64Array.from(at);
    moved[k] = at[k]! + h;
    const above = loss(moved);
    moved[k] = at[k]! - h;
    const slope = (above - loss(moved)) / (2 * h);
    expect(Math.abs(got[k]! - slope), `${what}[${k}] against differences`).toBeLessThanOrEqual(1e-4 * largest + 1e-9);
  }
}

/** Sum of the products: the loss whose gradient of `a` is `b`. */
export function inner(a: Values, b: Values): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!;
  return sum;
}

/** Whole numbers for the shape number `seed`: `pick(lo, hi)` is in `lo..hi`, another one at each call. */
export function picker(stream: number, seed: number): (lo: number, hi: number) => number {
  let calls = 0;
  return (lo, hi) => lo + (words(seed, stream, 2, calls++).w1 % (hi - lo + 1));
}

/** Values of [-1, 1) at least `gap` apart from each other, so that a maximum stays one when an element moves a little. */
export function distinct(stream: number, size: number): Float32Array {
  const order = Array.from({ length: size }, (_, k) => k).sort(
    (a, b) => words(5, stream, 4, a).w1 - words(5, stream, 4, b).w1,
  );
  const out = new Float32Array(size);
  order.forEach((k, rank) => {
    out[k] = (2 * rank + 1) / size - 1;
  });
  return out;
}

/** Values away from 0, where ReLU and the like have a kink. */
export function awayFromZero(stream: number, size: number): Float32Array {
  return values(stream, size).map((v) => v + (v < 0 ? -0.01 : 0.01));
}

/** An activation buffer full of values that a kernel must overwrite, padding included. */
export function dirty(device: GPUDevice, samples: number, features: number): { buffer: GPUBuffer } {
  const floats = new Float32Array(rowsOf(samples) * quadsOf(features) * 4).fill(3);
  return { buffer: upload(device, "dirty", floats) };
}

/**
 * The gradient of `loss` in all elements of `at` by central differences in float64. Their own error is about 1e-9: good enough to
 * stand for the exact gradient wherever a tolerance is 2e-6 and more.
 */
export function numericGradient(at: Values, loss: (moved: Float64Array) => number): Float64Array {
  const h = 2 ** -14;
  const moved = Float64Array.from(at);
  return Float64Array.from(at, (x, k) => {
    moved[k] = x + h;
    const above = loss(moved);
    moved[k] = x - h;
    const below = loss(moved);
    moved[k] = x;
    return (above - below) / (2 * h);
  });
}

/** Where the parts of the random shapes begin: a test with pipelines that compile slowly takes one part at a time. */
export const PARTS = [0, 10, 20, 30, 40];

/** Runs `check` for every random shape or for one part of them, and says for which one it failed. */
export async function forShapes(check: (seed: number) => Promise<void>, part?: number): Promise<void> {
  const [first, end] = part === undefined ? [0, SHAPES] : [part, part + SHAPES / PARTS.length];
  for (let seed = first; seed < end; seed++) {
    await check(seed).catch((error: Error) => {
      throw new Error(`shape ${seed}: ${error.message}`);
    });
  }
}
