/** Shapes of one sample, without the batch: `[784]`, `[channels, height, width]`, `[time, features]`. */
import { OptionError } from "../errors.ts";

export type Shape = readonly number[];

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Times of `[time, features]`; of another shape 1. */
export function timesOf(shape: Shape): number {
  return shape.length === 2 ? shape[0]! : 1;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, i) => extent === b[i]);
}

/** `[8, 28, 28]` */
export function showShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** @throws {OptionError} unless `shape` is a list of at least one whole number, all above 0. */
export function checkShape(where: string, option: string, shape: unknown): asserts shape is Shape {
  const fits = Array.isArray(shape) && shape.length > 0 && shape.every((d) => Number.isSafeInteger(d) && d > 0);
  if (!fits) throw new OptionError(where, option, "must be a list of whole numbers >= 1", shape);
}

/** `[channels, height, width]` of an image. @throws {OptionError} for another shape. */
export function imageShape(where: string, shape: Shape): readonly [channels: number, height: number, width: number] {
  if (shape.length !== 3) throw new OptionError(where, "input", "must be [channels, height, width]", shape);
  return shape as readonly [number, number, number];
}
