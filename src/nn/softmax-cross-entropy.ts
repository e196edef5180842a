/** The loss of a classifier, forward and backward. */
import source from "../../shaders/nn/softmax-cross-entropy.wgsl?raw";
import { BATCH_IMPORTS } from "./batch.ts";
import { type KernelOf, Operation } from "./dispatch.ts";

/** See {@link softmaxCrossEntropy}. */
export type SoftmaxCrossEntropy = Operation<"batch" | "logits" | "labels" | "logitsGradient" | "outcomes">;

const WORKGROUP_SIZE = 64;

const SOFTMAX_CROSS_ENTROPY: KernelOf<SoftmaxCrossEntropy> = {
  name: "softmax-cross-entropy",
  file: { path: "nn/softmax-cross-entropy.wgsl", text: source },
  entryPoint: "softmax_cross_entropy",
  bindings: [
    ["batch", "uniform"],
    ["logits", "read"],
    ["labels", "read"],
    ["logitsGradient", "write"],
    ["outcomes", "write"],
  ],
};

/**
 * Softmax and cross-entropy with their gradient: `dz = (softmax(z) - onehot(label)) / count`, the gradient of the mean over
 * the batch, zero in the rows behind it; and per row the loss and the predicted class.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function softmaxCrossEntropy(
  device: GPUDevice,
  label: string,
  shape: { rows: number; classes: number },
): Promise<SoftmaxCrossEntropy> {
  const constants = { ROWS: shape.rows, CLASSES: shape.classes, WORKGROUP_SIZE };
  const grid = [Math.ceil(shape.rows / WORKGROUP_SIZE), 1] as const;
  return Operation.compile(device, label, SOFTMAX_CROSS_ENTROPY, BATCH_IMPORTS, constants, grid);
}
