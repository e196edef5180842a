/** Pooling over windows of planes, forward and backward. */
import none from "../../../shaders/nn/mask/none.wgsl?raw";
import relu from "../../../shaders/nn/mask/relu.wgsl?raw";
import averageBackward from "../../../shaders/nn/pool2d/average-backward.wgsl?raw";
import averageForward from "../../../shaders/nn/pool2d/average-forward.wgsl?raw";
import max2x2Backward from "../../../shaders/nn/pool2d/max-2x2-backward.wgsl?raw";
import max2x2Forward from "../../../shaders/nn/pool2d/max-2x2-forward.wgsl?raw";
import max2x2Windows from "../../../shaders/nn/pool2d/max-2x2-windows.wgsl?raw";
import maxBackward from "../../../shaders/nn/pool2d/max-backward.wgsl?raw";
import maxBackwardDisjoint from "../../../shaders/nn/pool2d/max-backward-disjoint.wgsl?raw";
import maxForward from "../../../shaders/nn/pool2d/max-forward.wgsl?raw";
import maximum from "../../../shaders/nn/pool2d/maximum.wgsl?raw";
import window from "../../../shaders/nn/pool2d/window.wgsl?raw";
import type { WgslFile } from "../../kernels/wgsl.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import { type Extent, strideOf } from "./convolve.ts";
import { FLAT_INDEX, flatGrid } from "./grid.ts";

/** Sizes of a pooling; pairs are `[height, width]`. */
export interface Pool2dShape {
  /** Rows of its activations, a multiple of 8; see `rowsOf`. */
  readonly rows: number;
  readonly channels: number;
  readonly inHeight: number;
  readonly inWidth: number;
  readonly kernel: Extent;
  /** Default `kernel`. */
  readonly stride?: Extent | undefined;
  /** At most half of `kernel`; default `[0, 0]`. */
  readonly padding?: Extent | undefined;
}

/** Sizes of a pooling over whole planes. */
export interface GlobalPoolShape {
  readonly rows: number;
  readonly channels: number;
  /** Pixels of a channel. */
  readonly plane: number;
}

/** See {@link maxPool2dForward}. */
export type PoolForward = Operation<"input" | "output">;
/** See {@link maxPool2dBackward}. */
export type PoolBackward = Operation<"outputGradient" | "input" | "inputGradient">;

/** Height and width of what a pooling makes: `floor((in + 2 padding - kernel) / stride) + 1`. */
export function pool2dOutput(shape: Omit<Pool2dShape, "rows" | "channels">): Extent {
  const { kernel, stride = kernel, padding = [0, 0] } = shape;
  const size = (extent: number, i: 0 | 1) => Math.floor((extent + 2 * padding[i] - kernel[i]) / stride[i]) + 1;
  return [size(shape.inHeight, 0), size(shape.inWidth, 1)];
}

/**
 * The largest value of each window, as `torch.nn.MaxPool2d`; a NaN is the largest.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function maxPool2dForward(device: GPUDevice, label: string, shape: Pool2dShape): Promise<PoolForward> {
  if (!isPlain2x2(shape)) return forward(device, label, shape, "max-forward", "max_pool_forward", maxForward);
  const { constants, grid } = tilesOf(shape);
  return Operation.compile(device, label, MAX_2X2_FORWARD, WINDOWS, constants, grid);
}

/**
 * Hands the gradient of each window to the first of its largest values; `input` is that of the forward pass. With `inputRelu`
 * it is the output of a ReLU and the result becomes the gradient before it: 0 where `input <= 0`.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function maxPool2dBackward(
  device: GPUDevice,
  label: string,
  shape: Pool2dShape,
  options: { inputRelu?: boolean } = {},
): Promise<PoolBackward> {
  const RELU = Number(options.inputRelu ?? false);
  if (isPlain2x2(shape)) {
    const { constants, grid } = tilesOf(shape);
    return Operation.compile(device, label, MAX_2X2_BACKWARD, WINDOWS, { ...constants, RELU }, grid);
  }
  const { kernel, stride = kernel } = shape;
  const disjoint = stride[0] >= kernel[0] && stride[1] >= kernel[1];
  const constants = constantsOf(shape);
  const { grid, WORKGROUP_SIZE } = flatGrid(shape.rows * (disjoint ? constants.OUT_STRIDE : constants.IN_STRIDE));
  const kernelOf: KernelOf<PoolBackward> = {
    name: disjoint ? "max-pool2d-backward-disjoint" : "max-pool2d-backward",
    file: disjoint
      ? { path: "nn/pool2d/max-backward-disjoint.wgsl", text: maxBackwardDisjoint }
      : { path: "nn/pool2d/max-backward.wgsl", text: maxBackward },
    entryPoint: disjoint ? "max_pool_backward_disjoint" : "max_pool_backward",
    bindings: [
      ["outputGradient", "read"],
      ["input", "read"],
      ["inputGradient", "write"],
    ],
  };
  return Operation.compile(device, label, kernelOf, WINDOWS, { WORKGROUP_SIZE, ...constants, RELU }, grid);
}

/**
 * The mean of each window, padding counting as zeros: `torch.nn.AvgPool2d`.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function averagePool2dForward(device: GPUDevice, label: string, shape: Pool2dShape): Promise<PoolForward> {
  return forward(device, label, shape, "average-forward", "average_pool_forward", averageForward);
}

/**
 * Spreads the gradient of each window over it; with `inputRelu` masked as {@link maxPool2dBackward} does. Without it the
 * binding `input` is not used.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function averagePool2dBackward(
  device: GPUDevice,
  label: string,
  shape: Pool2dShape,
  options: { inputRelu?: boolean } = {},
): Promise<PoolBackward> {
  const { inputRelu = false } = options;
  const constants = constantsOf(shape);
  const { grid, WORKGROUP_SIZE } = flatGrid(shape.rows * constants.IN_STRIDE);
  const bindings = [
    ["outputGradient", "read"],
    ["inputGradient", "write"],
    ["input", "read"],
  ] as const;
  const kernelOf: KernelOf<PoolBackward> = {
    name: "average-pool2d-backward",
    file: { path: "nn/pool2d/average-backward.wgsl", text: averageBackward },
    entryPoint: "average_pool_backward",
    bindings: inputRelu ? bindings : bindings.slice(0, 2),
  };
  const mask = inputRelu ? { path: "nn/mask/relu.wgsl", text: relu } : { path: "nn/mask/none.wgsl", text: none };
  return Operation.compile(device, label, kernelOf, { ...WINDOWS, mask }, { WORKGROUP_SIZE, ...constants }, grid);
}

/**
 * The mean of each plane.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function globalAveragePoolForward(
  device: GPUDevice,
  label: string,
  shape: GlobalPoolShape,
): Promise<PoolForward> {
  return averagePool2dForward(device, label, wholePlanes(shape));
}

/**
 * Spreads the gradient of each plane's mean over it; options as of {@link averagePool2dBackward}.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function globalAveragePoolBackward(
  device: GPUDevice,
  label: string,
  shape: GlobalPoolShape,
  options: { inputRelu?: boolean } = {},
): Promise<PoolBackward> {
  return averagePool2dBackward(device, label, wholePlanes(shape), options);
}

const WINDOWS: Readonly<Record<string, WgslFile>> = {
  ...FLAT_INDEX,
  "nn/pool2d/window": { path: "nn/pool2d/window.wgsl", text: window },
  "nn/pool2d/max-2x2-windows": { path: "nn/pool2d/max-2x2-windows.wgsl", text: max2x2Windows },
  "nn/pool2d/maximum": { path: "nn/pool2d/maximum.wgsl", text: maximum },
};

const MAX_2X2_FORWARD: KernelOf<PoolForward> = {
  name: "max-pool2d-2x2-forward",
  file: { path: "nn/pool2d/max-2x2-forward.wgsl", text: max2x2Forward },
  entryPoint: "max_pool_2x2_forward",
  bindings: [
    ["input", "read"],
    ["output", "write"],
  ],
};

const MAX_2X2_BACKWARD: KernelOf<PoolBackward> = {
  name: "max-pool2d-2x2-backward",
  file: { path: "nn/pool2d/max-2x2-backward.wgsl", text: max2x2Backward },
  entryPoint: "max_pool_2x2_backward",
  bindings: [
    ["outputGradient", "read"],
    ["input", "read"],
    ["inputGradient", "write"],
  ],
};

/** Whether the kernels for four windows of 2 x 2 at once apply. */
function isPlain2x2({ inHeight, inWidth, kernel, stride = kernel, padding = [0, 0] }: Pool2dShape): boolean {
  const even = inHeight % 2 === 0 && inWidth % 2 === 0;
  return even && [...kernel, ...stride].every((k) => k === 2) && [...padding].every((p) => p === 0);
}

function tilesOf(shape: Pool2dShape) {
  const { ROWS, CHANNELS, IN_HEIGHT, IN_WIDTH, IN_STRIDE, OUT_STRIDE, OUT_HEIGHT, OUT_WIDTH } = constantsOf(shape);
  const { grid, WORKGROUP_SIZE } = flatGrid(ROWS * CHANNELS * OUT_HEIGHT * Math.ceil(OUT_WIDTH / 4));
  return { constants: { WORKGROUP_SIZE, ROWS, CHANNELS, IN_HEIGHT, IN_WIDTH, IN_STRIDE, OUT_STRIDE }, grid };
}

function forward(
  device: GPUDevice,
  label: string,
  shape: Pool2dShape,
  stem: string,
  entryPoint: string,
  text: string,
): Promise<PoolForward> {
  const constants = constantsOf(shape);
  const { grid, WORKGROUP_SIZE } = flatGrid(shape.rows * constants.OUT_STRIDE);
  const kernel: KernelOf<PoolForward> = {
    name: `pool2d-${stem}`,
    file: { path: `nn/pool2d/${stem}.wgsl`, text },
    entryPoint,
    bindings: [
      ["input", "read"],
      ["output", "write"],
    ],
  };
  return Operation.compile(device, label, kernel, WINDOWS, { WORKGROUP_SIZE, ...constants }, grid);
}

/** A plane as one line, pooled over all of it. */
function wholePlanes({ rows, channels, plane }: GlobalPoolShape): Pool2dShape {
  return { rows, channels, inHeight: 1, inWidth: plane, kernel: [1, plane] };
}

function constantsOf(shape: Pool2dShape) {
  const { rows, channels, inHeight, inWidth, kernel, stride = kernel, padding = [0, 0] } = shape;
  const out = pool2dOutput(shape);
  return {
    ROWS: rows,
    CHANNELS: channels,
    IN_HEIGHT: inHeight,
    IN_WIDTH: inWidth,
    IN_STRIDE: strideOf(channels, [inHeight, inWidth]),
    OUT_HEIGHT: out[0],
    OUT_WIDTH: out[1],
    OUT_STRIDE: strideOf(channels, out),
    KERNEL_Y: kernel[0],
    KERNEL_X: kernel[1],
    STRIDE_Y: stride[0],
    STRIDE_X: stride[1],
    PAD_Y: padding[0],
    PAD_X: padding[1],
  };
}
