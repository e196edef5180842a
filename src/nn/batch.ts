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
