/** Losses with their gradients. All write for each row (or token) its share of the mean loss, and the class it was taken for. */
import weightsNone from "../../../shaders/nn/losses/class-weights/none.wgsl?raw";
import weightsSome from "../../../shaders/nn/losses/class-weights/some.wgsl?raw";
import crossEntropyText from "../../../shaders/nn/losses/cross-entropy.wgsl?raw";
import elementwiseText from "../../../shaders/nn/losses/elementwise.wgsl?raw";
import bceText from "../../../shaders/nn/losses/kind/bce-with-logits.wgsl?raw";
import huberText from "../../../shaders/nn/losses/kind/huber.wgsl?raw";
import l1Text from "../../../shaders/nn/losses/kind/l1.wgsl?raw";
import mseText from "../../../shaders/nn/losses/kind/mse.wgsl?raw";
import { quadsOf } from "../activation.ts";
import { BATCH_IMPORTS } from "../batch.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import type { ActivationShape } from "./elementwise.ts";
import { FLAT_INDEX, flatGrid, SUM_OF_ALL } from "./grid.ts";

/** Rows of tokens to classify. */
export interface ClassesShape {
  readonly rows: number;
  /** Default 1. */
  readonly tokens?: number | undefined;
  readonly classes: number;
}

/** See {@link crossEntropy}. */
export type CrossEntropy = Operation<"batch" | "logits" | "labels" | "classWeights" | "logitsGradient" | "outcomes">;
/** See {@link mse}. */
export type ElementwiseLoss = Operation<"batch" | "prediction" | "target" | "predictionGradient" | "outcomes">;

const CROSS_ENTROPY: KernelOf<CrossEntropy> = {
  name: "cross-entropy",
  file: { path: "nn/losses/cross-entropy.wgsl", text: crossEntropyText },
  entryPoint: "cross_entropy",
  bindings: [
    ["batch", "uniform"],
    ["logits", "read"],
    ["labels", "read"],
    ["logitsGradient", "write"],
    ["outcomes", "write"],
    ["classWeights", "read"],
  ],
};

const ELEMENTWISE: KernelOf<ElementwiseLoss> = {
  name: "elementwise-loss",
  file: { path: "nn/losses/elementwise.wgsl", text: elementwiseText },
  entryPoint: "elementwise_loss",
  bindings: [
    ["batch", "uniform"],
    ["prediction", "read"],
    ["target", "read"],
    ["predictionGradient", "write"],
    ["outcomes", "write"],
  ],
};

/**
 * Softmax and cross-entropy, as `torch.nn.CrossEntropyLoss`: the mean over the batch's tokens, weighted with `classWeights` (then
 * that binding holds one float for each class, else it is not used), smoothed by `labelSmoothing` in [0, 1] (default 0).
 * `labels` is `u32`, `[rows, tokens]`, each below `classes`. The mean of the outcomes' losses is the loss.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function crossEntropy(
  device: GPUDevice,
  label: string,
  { rows, tokens = 1, classes }: ClassesShape,
  options: { labelSmoothing?: number; classWeights?: boolean } = {},
): Promise<CrossEntropy> {
  const { labelSmoothing = 0, classWeights = false } = options;
  const { grid, WORKGROUP_SIZE } = flatGrid(rows * tokens);
  const kernel = classWeights ? CROSS_ENTROPY : { ...CROSS_ENTROPY, bindings: CROSS_ENTROPY.bindings.slice(0, -1) };
  const weights = classWeights
    ? { path: "nn/losses/class-weights/some.wgsl", text: weightsSome }
    : { path: "nn/losses/class-weights/none.wgsl", text: weightsNone };
  const constants = {
    WORKGROUP_SIZE,
    ROWS: rows,
    TOKENS: tokens,
    CLASSES: classes,
    STRIDE: 4 * quadsOf(tokens * classes),
    SMOOTHING: labelSmoothing,
  };
  const imports = { ...FLAT_INDEX, ...BATCH_IMPORTS, ...SUM_OF_ALL, "class-weights": weights };
  return Operation.compile(device, label, kernel, imports, constants, grid);
}

/**
 * Mean squared error over the batch's features: `torch.nn.MSELoss`. `target` is laid out as `prediction`.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function mse(device: GPUDevice, label: string, shape: ActivationShape): Promise<ElementwiseLoss> {
  return elementwise(device, label, shape, "mse", mseText);
}

/**
 * Mean absolute error over the batch's features: `torch.nn.L1Loss`.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function l1(device: GPUDevice, label: string, shape: ActivationShape): Promise<ElementwiseLoss> {
  return elementwise(device, label, shape, "l1", l1Text);
}

/**
 * Squared error up to `delta` (default 1), absolute error beyond: `torch.nn.HuberLoss`.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function huber(
  device: GPUDevice,
  label: string,
  shape: ActivationShape,
  { delta = 1 }: { delta?: number } = {},
): Promise<ElementwiseLoss> {
  return elementwise(device, label, shape, "huber", huberText, { DELTA: delta });
}

/**
 * Mean binary cross-entropy of `sigmoid(prediction)` over the batch's features: `torch.nn.BCEWithLogitsLoss`. Targets are in [0, 1].
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function bceWithLogits(device: GPUDevice, label: string, shape: ActivationShape): Promise<ElementwiseLoss> {
  return elementwise(device, label, shape, "bce-with-logits", bceText);
}

function elementwise(
  device: GPUDevice,
  label: string,
  { rows, features }: ActivationShape,
  stem: string,
  text: string,
  options: Readonly<Record<string, number>> = {},
): Promise<ElementwiseLoss> {
  const STRIDE = 4 * quadsOf(features);
  const WORKGROUP_SIZE = Math.min(64, 2 ** Math.ceil(Math.log2(STRIDE)));
  const imports = { ...BATCH_IMPORTS, ...SUM_OF_ALL, kind: { path: `nn/losses/kind/${stem}.wgsl`, text } };
  const constants = { WORKGROUP_SIZE, ROWS: rows, FEATURES: features, STRIDE, ...options };
  return Operation.compile(device, label, ELEMENTWISE, imports, constants, [rows, 1]);
}
