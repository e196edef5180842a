/** What kernels and the host agree on about a batch. */
import batch from "../../shaders/nn/lib/batch.wgsl?raw";
import rowOutcome from "../../shaders/nn/lib/row-outcome.wgsl?raw";
import type { WgslFile } from "../kernels/wgsl.ts";

/** What kernels that know of batches import. */
export const BATCH_IMPORTS: Readonly<Record<string, WgslFile>> = {
  "nn/lib/batch": { path: "nn/lib/batch.wgsl", text: batch },
  "nn/lib/row-outcome": { path: "nn/lib/row-outcome.wgsl", text: rowOutcome },
};

/** Bytes of `struct Batch`: first, count, slot, padding. */
export const BATCH_BYTES = 16;
/** Bytes of a row's outcome: loss (f32), predicted class (u32). */
export const OUTCOME_BYTES = 8;
/** Bytes of a batch's record: mean loss (f32), correct, count, correct among the 5 most likely (u32). */
export const RECORD_BYTES = 16;

/** How a batch went. */
export interface BatchRecord {
  /** Mean over the batch, without regularization. */
  readonly loss: number;
  /** Right predictions; 0 where the targets are no classes. */
  readonly correct: number;
  /** What the mean was taken over: samples, or times of samples. */
  readonly count: number;
  /** Among the 5 most likely classes; 0 where the targets are no classes. */
  readonly correctTop5: number;
}

/** Records as they lie in GPU memory. */
export function decodeRecords(words: ArrayBuffer): BatchRecord[] {
  const [floats, integers] = [new Float32Array(words), new Uint32Array(words)];
  return Array.from({ length: words.byteLength / RECORD_BYTES }, (_, k) => ({
    loss: floats[4 * k]!,
    correct: integers[4 * k + 1]!,
    count: integers[4 * k + 2]!,
    correctTop5: integers[4 * k + 3]!,
  }));
}
