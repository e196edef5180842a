/** What a loss is: a value that records the kernels from the output of a model to its gradient and to what is told of it. */
import type { BufferSlice } from "../engine/options.ts";
import type { Place, Site } from "./layer.ts";
import type { Shape } from "./shape.ts";

/** What a loss compares the output with. */
export type TargetKind =
  /** A `u32` for each row, or for each time of `[time, classes]`. */
  | "classes"
  /** Floats, laid out as the output. */
  | "values";

/** A loss. Its gradient is that of the mean over the samples of a batch. */
export interface Loss {
  /** `crossEntropy`, for messages and labels. */
  readonly kind: string;
  readonly target: TargetKind;
  /** The gradient of the output is the target as it stands: nothing has to be computed. */
  readonly gradientIsTarget?: boolean;
  /** @throws {OptionError} if it cannot take an output of this shape. */
  check(output: Shape): void;
  record(site: LossSite): void;
}

/** Where a loss stands in a plan. */
export interface LossSite extends Pick<Site, "rows" | "training" | "batch" | "kernel" | "run"> {
  readonly shape: Shape;
  readonly output: Place;
  /** To be written: laid out as the output, 0 behind the batch. */
  readonly outputGradient: Place;
  readonly target: BufferSlice;
  /** `struct RowOutcome` of `shaders/nn/lib/row-outcome.wgsl` for each row, or for each time of each row. */
  readonly outcomes: BufferSlice;
  /** For each slot the mean loss (f32), right predictions, count, right among the 5 most likely (u32). */
  readonly records: BufferSlice;
  /** A buffer with these contents. */
  constant(name: string, values: Float32Array<ArrayBuffer>): BufferSlice;
}
