/** Sums of a batch's outcomes, on the GPU: mean loss, accuracy, top-k accuracy. */
import metricsText from "../../../shaders/nn/metrics/batch-metrics.wgsl?raw";
import lossText from "../../../shaders/nn/metrics/loss-record.wgsl?raw";
import { quadsOf } from "../activation.ts";
import { BATCH_IMPORTS } from "../batch.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import { SUM_OF_ALL } from "./grid.ts";
import type { ClassesShape } from "./losses.ts";

/** See {@link batchMetrics}. */
export type BatchMetrics = Operation<"batch" | "outcomes" | "logits" | "labels" | "records">;
/** See {@link lossRecord}. */
export type LossRecord = Operation<"batch" | "outcomes" | "records">;

const WORKGROUP_SIZE = 64;

const METRICS: KernelOf<BatchMetrics> = {
  name: "batch-metrics",
  file: { path: "nn/metrics/batch-metrics.wgsl", text: metricsText },
  entryPoint: "batch_metrics",
  bindings: [
    ["batch", "uniform"],
    ["outcomes", "read"],
    ["logits", "read"],
    ["labels", "read"],
    ["records", "write"],
  ],
};

const LOSS: KernelOf<LossRecord> = {
  name: "loss-record",
  file: { path: "nn/metrics/loss-record.wgsl", text: lossText },
  entryPoint: "loss_record",
  bindings: [
    ["batch", "uniform"],
    ["outcomes", "read"],
    ["records", "write"],
  ],
};

/**
 * Writes `records[slot]`: mean loss (f32), tokens whose largest logit is right, tokens, tokens whose label is among the `k` largest
 * logits (u32; default 5, of equal logits the first come first).
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function batchMetrics(
  device: GPUDevice,
  label: string,
  { tokens = 1, classes }: ClassesShape,
  { k = 5 }: { k?: number } = {},
): Promise<BatchMetrics> {
  const constants = { WORKGROUP_SIZE, TOKENS: tokens, CLASSES: classes, STRIDE: 4 * quadsOf(tokens * classes), K: k };
  return Operation.compile(device, label, METRICS, { ...BATCH_IMPORTS, ...SUM_OF_ALL }, constants, [1, 1]);
}

/**
 * The same record where nothing is classified: mean loss, 0, tokens, 0.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function lossRecord(
  device: GPUDevice,
  label: string,
  { tokens = 1 }: { rows: number; tokens?: number | undefined },
): Promise<LossRecord> {
  const constants = { WORKGROUP_SIZE, TOKENS: tokens };
  return Operation.compile(device, label, LOSS, { ...BATCH_IMPORTS, ...SUM_OF_ALL }, constants, [1, 1]);
}
