/** Batches of a data set that stays on the GPU. */
import gather from "../../shaders/nn/batch-gather.wgsl?raw";
import batch from "../../shaders/nn/lib/batch.wgsl?raw";
import rowOutcome from "../../shaders/nn/lib/row-outcome.wgsl?raw";
import type { WgslFile } from "../kernels/wgsl.ts";
import { quadsOf } from "./activation.ts";
import { type KernelOf, Operation } from "./dispatch.ts";

const WORKGROUP_SIZE = 64;

/** What kernels that know of batches import. */
export const BATCH_IMPORTS: Readonly<Record<string, WgslFile>> = {
  "nn/lib/batch": { path: "nn/lib/batch.wgsl", text: batch },
  "nn/lib/row-outcome": { path: "nn/lib/row-outcome.wgsl", text: rowOutcome },
};

/** See {@link batchGather}. */
export type BatchGather = Operation<"batch" | "samples" | "classes" | "order" | "input" | "labels">;

const GATHER: KernelOf<BatchGather> = {
  name: "batch-gather",
  file: { path: "nn/batch-gather.wgsl", text: gather },
  entryPoint: "batch_gather",
  bindings: [
    ["batch", "uniform"],
    ["samples", "read"],
    ["classes", "read"],
    ["order", "read"],
    ["input", "write"],
    ["labels", "write"],
  ],
};

/** Bytes of `struct Batch`: first, count, slot, padding. */
export const BATCH_BYTES = 16;
/** Bytes of a row's outcome: loss (f32), predicted class (u32). */
export const OUTCOME_BYTES = 8;
/** Bytes of a batch's record: mean loss (f32), correct, count, correct among the 5 most likely (u32). */
export const RECORD_BYTES = 16;

/**
 * `input[r] = sample[order[first + r]]`, bytes as they are, and the labels; zero behind the batch.
 *
 * @param shape.features bytes of a sample; in memory a sample begins at a multiple of 4
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function batchGather(
  device: GPUDevice,
  label: string,
  shape: { rows: number; features: number },
): Promise<BatchGather> {
  const quads = quadsOf(shape.features);
  const grid = [Math.ceil(quads / WORKGROUP_SIZE), shape.rows] as const;
  return Operation.compile(
    device,
    label,
    GATHER,
    BATCH_IMPORTS,
    { ROWS: shape.rows, QUADS: quads, WORKGROUP_SIZE },
    grid,
  );
}
