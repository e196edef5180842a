/** Two-dimensional convolution: forward, and backward to its input and to its parameters. */
import biasNone from "../../../shaders/nn/bias-gradient/none.wgsl?raw";
import biasSome from "../../../shaders/nn/bias-gradient/some.wgsl?raw";
import sharesText from "../../../shaders/nn/conv2d/shares.wgsl?raw";
import weightGradient from "../../../shaders/nn/conv2d/weight-gradient.wgsl?raw";
import weightGradient3x3 from "../../../shaders/nn/conv2d/weight-gradient-3x3.wgsl?raw";
import weightGradientSum from "../../../shaders/nn/conv2d/weight-gradient-sum.wgsl?raw";
import type { KernelOf } from "../dispatch.ts";
import { Operation } from "../dispatch.ts";
import type { ByteInput } from "../linear.ts";
import {
  direct,
  type Extent,
  is3x3,
  isPointwise,
  LINES,
  type Planes,
  sourceOf,
  strideOf,
  taps as tapsOf,
  transposed,
  windowsOf,
} from "./convolve.ts";
import { FLAT_INDEX, flatGrid } from "./grid.ts";
import type { Steps } from "./steps.ts";

/** Sizes of a convolution; pairs are `[height, width]`. */
export interface Conv2dShape {
  /** Rows of its activations, a multiple of 8; see `rowsOf`. */
  readonly rows: number;
  readonly inChannels: number;
  readonly inHeight: number;
  readonly inWidth: number;
  readonly outChannels: number;
  readonly kernel: Extent;
  /** Default `[1, 1]`. */
  readonly stride?: Extent | undefined;
  /** Zeros around the input; default `[0, 0]`. */
  readonly padding?: Extent | undefined;
  /** Default `[1, 1]`. */
  readonly dilation?: Extent | undefined;
  /** Divides both numbers of channels; default 1. */
  readonly groups?: number | undefined;
  /** Inputs are bytes, four in a `u32`; default: they are floats. */
  readonly bytes?: ByteInput | undefined;
}

/** See {@link conv2dForward}. */
export type Conv2dForward = Operation<"input" | "weight" | "bias" | "output">;
/** See {@link conv2dInputGradient}. */
export type Conv2dInputGradient = Operation<"outputGradient" | "weight" | "input" | "inputGradient">;
/** See {@link conv2dWeightGradient}. */
export type Conv2dWeightGradient = Steps<"outputGradient" | "input" | "weightGradient" | "biasGradient">;

/** Height and width of what a convolution makes: `floor((in + 2 padding - dilation (kernel - 1) - 1) / stride) + 1`. */
export function conv2dOutput(shape: Omit<Conv2dShape, "rows">): Extent {
  const { kernel, stride = [1, 1], padding = [0, 0], dilation = [1, 1] } = shape;
  const size = (extent: number, i: 0 | 1) =>
    Math.floor((extent + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i]) + 1;
  return [size(shape.inHeight, 0), size(shape.inWidth, 1)];
}

/**
 * `y = W * x + b`, followed by `max(y, 0)` with `relu`, as `torch.nn.Conv2d`; `weight` is
 * `[outChannels, inChannels / groups, kernel height, kernel width]`. Without `bias` (default true) that binding is not used.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function conv2dForward(
  device: GPUDevice,
  label: string,
  shape: Conv2dShape,
  options: { relu?: boolean; bias?: boolean } = {},
): Promise<Conv2dForward> {
  const { relu = false, bias = true } = options;
  const epilogue = bias ? { kind: "bias", relu } : { kind: "plain", relu };
  return direct(device, label, planesOf(shape), epilogue, {
    source: "input",
    weight: "weight",
    result: "output",
    extra: "bias",
  });
}

/**
 * The gradient of the input, for inputs that are floats. With `inputRelu`, `input` is the output of a ReLU and the result
 * becomes the gradient before it: 0 where `input <= 0`. Without it that binding is not used.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function conv2dInputGradient(
  device: GPUDevice,
  label: string,
  shape: Conv2dShape,
  options: { inputRelu?: boolean } = {},
): Promise<Conv2dInputGradient> {
  const epilogue = { kind: options.inputRelu ? "mask" : "plain" };
  return transposed(device, label, planesOf(shape), epilogue, {
    source: "outputGradient",
    weight: "weight",
    result: "inputGradient",
    extra: "input",
  });
}

/**
 * The gradients of weight and bias. They are overwritten, or with `accumulate` added to. Without `bias` (default true) that
 * binding is not used.
 *
 * @throws {ShaderError} if the device refuses a kernel.
 */
export function conv2dWeightGradient(
  device: GPUDevice,
  label: string,
  shape: Conv2dShape,
  options: { accumulate?: boolean; bias?: boolean } = {},
): Promise<Conv2dWeightGradient> {
  return planesWeightGradient(device, label, planesOf(shape), options);
}

/** The same between planes whose sizes are known, for transposed convolutions as well. */
export async function planesWeightGradient(
  device: GPUDevice,
  label: string,
  given: Planes,
  options: { accumulate?: boolean; bias?: boolean },
): Promise<Conv2dWeightGradient> {
  const { accumulate = false, bias = true } = options;
  const planes = inOneLine(given);
  const { rows, groups } = planes;
  const [ins, outs] = [planes.inChannels, planes.outChannels];
  const plain = sharesLines(planes);
  const taps = planes.kernel[0] * planes.kernel[1];
  const weights = groups * outs * ins * taps;
  const tile = plain ? { OUT_TILE: 4, SOURCE_TILE: 1 } : { OUT_TILE: outs > 4 ? 8 : 4, SOURCE_TILE: ins > 4 ? 8 : 4 };
  const inTiles = Math.ceil(ins / tile.SOURCE_TILE) * (plain ? 1 : taps);
  const tiles = groups * Math.ceil(outs / tile.OUT_TILE) * inTiles;
  // Enough invocations for a GPU. With few weights that takes many shares of the batch.
  const shareRows = Math.ceil(rows / Math.min(rows, Math.ceil(WANTED_INVOCATIONS / tiles)));
  const shares = Math.ceil(rows / shareRows);
  const { grid, WORKGROUP_SIZE } = flatGrid(tiles * shares);
  const source = sourceOf(planes);
  const constants = {
    WORKGROUP_SIZE,
    ROWS: rows,
    SHARES: shares,
    SHARE_ROWS: shareRows,
    GROUPS: groups,
    SOURCE_CHANNELS: ins,
    SOURCE_HEIGHT: planes.inExtent[0],
    SOURCE_WIDTH: planes.inExtent[1],
    SOURCE_STRIDE: strideOf(groups * ins, planes.inExtent),
    OUT_CHANNELS: outs,
    OUT_HEIGHT: planes.outExtent[0],
    OUT_WIDTH: planes.outExtent[1],
    OUT_STRIDE: strideOf(groups * outs, planes.outExtent),
    WEIGHTS: weights,
    ...windowsOf(planes),
    ...source.constants,
  };
  const sumGrid = flatGrid(weights + groups * outs);
  const bindings = bias ? SUM.bindings : SUM.bindings.slice(0, 2);
  const biasFile = bias
    ? { path: "nn/bias-gradient/some.wgsl", text: biasSome }
    : { path: "nn/bias-gradient/none.wgsl", text: biasNone };
  const [shared, sum] = await Promise.all([
    Operation.compile(
      device,
      label,
      plain ? SHARED_3X3 : SHARED,
      { ...FLAT_INDEX, ...LINES, ...SHARES, source: source.file },
      plain ? constants : { ...constants, ...tapsOf(planes), ...tile },
      grid,
    ),
    Operation.compile(
      device,
      `${label}.sum`,
      { ...SUM, bindings },
      { ...FLAT_INDEX, "bias-gradient": biasFile },
      {
        WORKGROUP_SIZE: sumGrid.WORKGROUP_SIZE,
        SHARES: shares,
        WEIGHTS: weights,
        BIASES: groups * outs,
        ACCUMULATE: Number(accumulate),
      },
      sumGrid.grid,
    ),
  ]);
  return {
    scratchBytes: shares * (weights + groups * outs) * 4,
    on: ({ outputGradient, input, weightGradient, biasGradient, scratch }) => {
      return [
        shared.on({ source: input, outputGradient, sums: scratch }),
        sum.on({ sums: scratch, weightGradient, biasGradient }),
      ];
    },
  };
}

/**
 * Whether the kernel for 3 x 3 is the faster one. With a stride its neighbouring taps share little, so that many channels of one tap
 * are better than all taps of few.
 */
function sharesLines(planes: Planes): boolean {
  const { stride, dilation, inChannels, outChannels } = planes;
  return is3x3(planes) && (stride[1] === dilation[1] || Math.min(inChannels, outChannels) <= 4);
}

/** Pixels that are convolved each on its own need not know of lines. */
function inOneLine(planes: Planes): Planes {
  if (!isPointwise(planes)) return planes;
  const extent = [1, planes.inExtent[0] * planes.inExtent[1]] as const;
  return { ...planes, inExtent: extent, outExtent: extent };
}

/** Invocations that a share of the batch is made small for. */
const WANTED_INVOCATIONS = 2048;

const SHARES = { "nn/conv2d/shares": { path: "nn/conv2d/shares.wgsl", text: sharesText } };

type Shared = Operation<"source" | "outputGradient" | "sums">;

const SHARED_3X3: KernelOf<Shared> = {
  name: "conv2d-weight-gradient-3x3",
  file: { path: "nn/conv2d/weight-gradient-3x3.wgsl", text: weightGradient3x3 },
  entryPoint: "conv2d_3x3_weight_gradient",
  bindings: [
    ["source", "read"],
    ["outputGradient", "read"],
    ["sums", "write"],
  ],
};

const SHARED: KernelOf<Shared> = {
  ...SHARED_3X3,
  name: "conv2d-weight-gradient",
  file: { path: "nn/conv2d/weight-gradient.wgsl", text: weightGradient },
  entryPoint: "conv2d_weight_gradient",
};

const SUM: KernelOf<Operation<"sums" | "weightGradient" | "biasGradient">> = {
  name: "conv2d-weight-gradient-sum",
  file: { path: "nn/conv2d/weight-gradient-sum.wgsl", text: weightGradientSum },
  entryPoint: "conv2d_weight_gradient_sum",
  bindings: [
    ["sums", "read"],
    ["weightGradient", "write"],
    ["biasGradient", "write"],
  ],
};

/** The convolution with its defaults filled in, channels counted within a group. */
function planesOf(shape: Conv2dShape): Planes {
  const { rows, kernel, stride = [1, 1], padding = [0, 0], dilation = [1, 1], groups = 1, bytes } = shape;
  return {
    rows,
    groups,
    inChannels: shape.inChannels / groups,
    inExtent: [shape.inHeight, shape.inWidth],
    outChannels: shape.outChannels / groups,
    outExtent: conv2dOutput(shape),
    kernel,
    stride,
    padding,
    dilation,
    bytes,
  };
}
