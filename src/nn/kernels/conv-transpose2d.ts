/** Two-dimensional transposed convolution: forward, and backward to its input and to its parameters. */
import channelSumText from "../../../shaders/nn/conv2d/channel-sum.wgsl?raw";
import { type KernelOf, Operation } from "../dispatch.ts";
import { type Conv2dShape, planesWeightGradient } from "./conv2d.ts";
import { direct, type Extent, type Planes, strideOf, transposed } from "./convolve.ts";
import { foldedGrid, SUM_OF_ALL } from "./grid.ts";
import type { Steps } from "./steps.ts";

/** Sizes of a transposed convolution; pairs are `[height, width]`. */
export interface ConvTranspose2dShape extends Omit<Conv2dShape, "bytes"> {
  /** Lines and columns more on the far sides; less than the larger of `stride` and `dilation`. Default `[0, 0]`. */
  readonly outputPadding?: Extent | undefined;
}

/** See {@link convTranspose2dForward}. */
export type ConvTranspose2dForward = Operation<"input" | "weight" | "bias" | "output">;
/** See {@link convTranspose2dInputGradient}. */
export type ConvTranspose2dInputGradient = Operation<"outputGradient" | "weight" | "input" | "inputGradient">;
/** See {@link convTranspose2dWeightGradient}. */
export type ConvTranspose2dWeightGradient = Steps<"outputGradient" | "input" | "weightGradient" | "biasGradient">;

/** Height and width of the result: `(in - 1) stride - 2 padding + dilation (kernel - 1) + outputPadding + 1`. */
export function convTranspose2dOutput(shape: Omit<ConvTranspose2dShape, "rows">): Extent {
  const { kernel, stride = [1, 1], padding = [0, 0], dilation = [1, 1], outputPadding = [0, 0] } = shape;
  const size = (extent: number, i: 0 | 1) =>
    (extent - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + outputPadding[i] + 1;
  return [size(shape.inHeight, 0), size(shape.inWidth, 1)];
}

/**
 * As `torch.nn.ConvTranspose2d`, followed by `max(y, 0)` with `relu`; `weight` is
 * `[inChannels, outChannels / groups, kernel height, kernel width]`. Without `bias` (default true) that binding is not used.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function convTranspose2dForward(
  device: GPUDevice,
  label: string,
  shape: ConvTranspose2dShape,
  options: { relu?: boolean; bias?: boolean } = {},
): Promise<ConvTranspose2dForward> {
  const { relu = false, bias = true } = options;
  const names = { source: "input", weight: "weight", result: "output", extra: "bias" } as const;
  return transposed(device, label, planesOf(shape), { kind: bias ? "bias" : "plain", relu }, names);
}

/**
 * The gradient of the input; with `inputRelu` masked as `conv2dInputGradient` does.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function convTranspose2dInputGradient(
  device: GPUDevice,
  label: string,
  shape: ConvTranspose2dShape,
  options: { inputRelu?: boolean } = {},
): Promise<ConvTranspose2dInputGradient> {
  const names = { source: "outputGradient", weight: "weight", result: "inputGradient", extra: "input" } as const;
  return direct(device, label, planesOf(shape), { kind: options.inputRelu ? "mask" : "plain" }, names);
}

/**
 * The gradients of weight and bias. They are overwritten, or with `accumulate` added to. Without `bias` (default true) that
 * binding is not used.
 *
 * @throws {ShaderError} if the device refuses a kernel.
 */
export async function convTranspose2dWeightGradient(
  device: GPUDevice,
  label: string,
  shape: ConvTranspose2dShape,
  options: { accumulate?: boolean; bias?: boolean } = {},
): Promise<ConvTranspose2dWeightGradient> {
  const { accumulate = false, bias = true } = options;
  // Those of the convolution of which this is the transpose: its input is this output.
  const planes = planesOf(shape);
  const [height, width] = planes.inExtent;
  const sumOf = () =>
    Operation.compile(
      device,
      `${label}.bias`,
      CHANNEL_SUM,
      SUM_OF_ALL,
      {
        ROWS: shape.rows,
        CHANNELS: shape.outChannels,
        PLANE: height * width,
        STRIDE: strideOf(shape.outChannels, planes.inExtent),
        ACCUMULATE: Number(accumulate),
      },
      foldedGrid(shape.outChannels),
    );
  const [weights, sum] = await Promise.all([
    planesWeightGradient(device, label, planes, { accumulate, bias: false }),
    bias ? sumOf() : undefined,
  ]);
  return {
    scratchBytes: weights.scratchBytes,
    on: ({ outputGradient, input, weightGradient, biasGradient, scratch }) => [
      ...weights.on({ outputGradient: input, input: outputGradient, weightGradient, biasGradient, scratch }),
      ...(sum ? [sum.on({ outputGradient, biasGradient })] : []),
    ],
  };
}

const CHANNEL_SUM: KernelOf<Operation<"outputGradient" | "biasGradient">> = {
  name: "channel-sum",
  file: { path: "nn/conv2d/channel-sum.wgsl", text: channelSumText },
  entryPoint: "channel_sum",
  bindings: [
    ["outputGradient", "read"],
    ["biasGradient", "write"],
  ],
};

/** The convolution from this output to this input. */
function planesOf(shape: ConvTranspose2dShape): Planes {
  const { rows, kernel, stride = [1, 1], padding = [0, 0], dilation = [1, 1], groups = 1 } = shape;
  return {
    rows,
    groups,
    inChannels: shape.outChannels / groups,
    inExtent: convTranspose2dOutput(shape),
    outChannels: shape.inChannels / groups,
    outExtent: [shape.inHeight, shape.inWidth],
    kernel,
    stride,
    padding,
    dilation,
  };
}
