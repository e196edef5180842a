/** Batch normalization: training, evaluation, backward. */
import backwardText from "../../../shaders/nn/norm/batch-backward.wgsl?raw";
import evaluateText from "../../../shaders/nn/norm/batch-evaluate.wgsl?raw";
import forwardText from "../../../shaders/nn/norm/batch-forward.wgsl?raw";
import lanesF32 from "../../../shaders/nn/norm/lanes/f32.wgsl?raw";
import lanesF32x4 from "../../../shaders/nn/norm/lanes/f32x4.wgsl?raw";
import noMask from "../../../shaders/nn/norm/no-mask.wgsl?raw";
import reluMask from "../../../shaders/nn/norm/relu-mask.wgsl?raw";
import type { WgslFile } from "../../kernels/wgsl.ts";
import { BATCH_IMPORTS } from "../batch.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import { strideOf } from "./convolve.ts";
import { FLAT_INDEX, flatGrid, SUM_OF_ALL } from "./grid.ts";

/** Sizes of a batch normalization. */
export interface BatchNormShape {
  /** Rows of its activations, a multiple of 8; see `rowsOf`. */
  readonly rows: number;
  readonly channels: number;
  /** Pixels of a channel; 1 for features that are no images. */
  readonly plane: number;
}

/** See {@link batchNormForward}; `saved` has `2 * channels` floats. */
export type BatchNormForward = Operation<
  "batch" | "input" | "weight" | "bias" | "runningMean" | "runningVar" | "saved" | "output"
>;
/** See {@link batchNormEvaluate}. */
export type BatchNormEvaluate = Operation<"input" | "weight" | "bias" | "runningMean" | "runningVar" | "output">;
/** See {@link batchNormBackward}. */
export type BatchNormBackward = Operation<
  | "batch"
  | "outputGradient"
  | "input"
  | "weight"
  | "saved"
  | "output"
  | "inputGradient"
  | "weightGradient"
  | "biasGradient"
>;

const WORKGROUP_SIZE = 64;

const FORWARD: KernelOf<BatchNormForward> = {
  name: "batch-norm-forward",
  file: { path: "nn/norm/batch-forward.wgsl", text: forwardText },
  entryPoint: "batch_norm_forward",
  bindings: [
    ["batch", "uniform"],
    ["input", "read"],
    ["weight", "read"],
    ["bias", "read"],
    ["runningMean", "write"],
    ["runningVar", "write"],
    ["saved", "write"],
    ["output", "write"],
  ],
};

const EVALUATE: KernelOf<BatchNormEvaluate> = {
  name: "batch-norm-evaluate",
  file: { path: "nn/norm/batch-evaluate.wgsl", text: evaluateText },
  entryPoint: "batch_norm_evaluate",
  bindings: [
    ["input", "read"],
    ["weight", "read"],
    ["bias", "read"],
    ["runningMean", "read"],
    ["runningVar", "read"],
    ["output", "write"],
  ],
};

const BACKWARD: KernelOf<BatchNormBackward> = {
  name: "batch-norm-backward",
  file: { path: "nn/norm/batch-backward.wgsl", text: backwardText },
  entryPoint: "batch_norm_backward",
  bindings: [
    ["batch", "uniform"],
    ["outputGradient", "read"],
    ["input", "read"],
    ["weight", "read"],
    ["saved", "read"],
    ["inputGradient", "write"],
    ["weightGradient", "write"],
    ["biasGradient", "write"],
    ["output", "read"],
  ],
};

/**
 * `y = (x - mean) / sqrt(var + eps) w + b` with mean and variance of the batch, followed by `max(y, 0)` with `relu`; moves the
 * running statistics by `momentum` and saves mean and 1 / deviation for the backward pass. As `torch.nn.BatchNorm2d`.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function batchNormForward(
  device: GPUDevice,
  label: string,
  shape: BatchNormShape,
  options: { eps?: number; momentum?: number; relu?: boolean } = {},
): Promise<BatchNormForward> {
  const { eps = 1e-5, momentum = 0.1, relu = false } = options;
  const constants = { ...channelwise(shape), EPS: eps, MOMENTUM: momentum, RELU: Number(relu) };
  const imports = { ...BATCH_IMPORTS, ...SUM_OF_ALL, ...lanesOf(shape) };
  return Operation.compile(device, label, FORWARD, imports, constants, [shape.channels, 1]);
}

/**
 * The same by the running statistics.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function batchNormEvaluate(
  device: GPUDevice,
  label: string,
  shape: BatchNormShape,
  options: { eps?: number; relu?: boolean } = {},
): Promise<BatchNormEvaluate> {
  const { eps = 1e-5, relu = false } = options;
  const sizes = sizesOf(shape);
  const { grid, WORKGROUP_SIZE } = flatGrid(sizes.ROWS * sizes.STRIDE);
  const constants = { ...sizes, WORKGROUP_SIZE, EPS: eps, RELU: Number(relu) };
  return Operation.compile(device, label, EVALUATE, { ...FLAT_INDEX, ...lanesOf(shape) }, constants, grid);
}

/**
 * The gradients of input, weight and bias through the batch's own statistics. With `outputRelu`, `output` is the forward pass's
 * with `relu`; without it that binding is not used. `accumulate` adds to the gradients of weight and bias.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function batchNormBackward(
  device: GPUDevice,
  label: string,
  shape: BatchNormShape,
  options: { outputRelu?: boolean; accumulate?: boolean } = {},
): Promise<BatchNormBackward> {
  const { outputRelu = false, accumulate = false } = options;
  const mask = outputRelu
    ? { path: "nn/norm/relu-mask.wgsl", text: reluMask }
    : { path: "nn/norm/no-mask.wgsl", text: noMask };
  const kernel = outputRelu ? BACKWARD : { ...BACKWARD, bindings: BACKWARD.bindings.slice(0, -1) };
  const imports = { ...BATCH_IMPORTS, ...SUM_OF_ALL, ...lanesOf(shape), mask };
  const constants = { ...channelwise(shape), ACCUMULATE: Number(accumulate) };
  return Operation.compile(device, label, kernel, imports, constants, [shape.channels, 1]);
}

/** How many elements are taken at a time: four where planes allow. */
function widthOf({ plane }: BatchNormShape): 1 | 4 {
  return plane % 4 === 0 ? 4 : 1;
}

function lanesOf(shape: BatchNormShape): Record<string, WgslFile> {
  return widthOf(shape) === 4
    ? { lanes: { path: "nn/norm/lanes/f32x4.wgsl", text: lanesF32x4 } }
    : { lanes: { path: "nn/norm/lanes/f32.wgsl", text: lanesF32 } };
}

/** Sizes in lanes. */
function sizesOf(shape: BatchNormShape) {
  const { rows, channels, plane } = shape;
  const width = widthOf(shape);
  return { ROWS: rows, CHANNELS: channels, PLANE: plane / width, STRIDE: strideOf(channels, [1, plane]) / width };
}

/** A workgroup for each channel; as many invocations side by side as a plane keeps busy. */
function channelwise(shape: BatchNormShape) {
  const sizes = sizesOf(shape);
  const ACROSS = Math.min(WORKGROUP_SIZE, 2 ** Math.floor(Math.log2(sizes.PLANE)));
  return { ...sizes, WORKGROUP_SIZE, ACROSS };
}
