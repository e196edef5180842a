/** What the bench asks of everything it times: our engine, the peers and the floors. */
import type { CaseTensor } from "./cases.ts";

export interface Timed {
  readonly name: string;
  /** The work that is timed, such as one update of all tensors: encodes and submits, waits for nothing. */
  step(): void;
  /** Until the GPU has done all that was submitted. */
  done(): Promise<void>;
}

export interface Implementation extends Timed {
  /** Gradients for the coming steps: those of the case times `factor`. */
  scaleGradients(factor: number): void;
  /** Parameters after all steps so far, in the order of the case. */
  readParams(): Promise<Float32Array[]>;
  /** What {@link readParams} must give after the checked steps, in float64. */
  expectedParams(): ArrayLike<number>[];
  /** A further check of what the implementation reports after the checked steps; throws if it is wrong. */
  checkReport?(): Promise<void>;
  destroy(): void;
}

export type MakeImplementation = (tensors: readonly CaseTensor[]) => Promise<Implementation>;

/** A new array with every value multiplied, which float32 does without rounding for powers of two. */
export function scaled(values: Float32Array, factor: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(values, (x) => x * factor);
}
