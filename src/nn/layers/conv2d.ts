/** Convolutions of images. */
import { OptionError } from "../../errors.ts";
import { kaimingUniform, uniform } from "../init.ts";
import { conv2dForward, conv2dInputGradient, conv2dOutput, conv2dWeightGradient } from "../kernels/conv2d.ts";
import type { Layer, MakeRunnable, ParamDef, Runnable, Site } from "../layer.ts";
import { imageShape, type Shape, sizeOf } from "../shape.ts";
import { checkCount, checkOptions, type InitOptions, type LayerOptions, type Pair, pairOf } from "./define.ts";

export interface Conv2dOptions extends LayerOptions, InitOptions {
  readonly kernel: Pair;
  /** Default 1. */
  readonly stride?: Pair;
  /** Zeros around the image; default 0. */
  readonly padding?: Pair;
  /** Default 1. */
  readonly dilation?: Pair;
  /** As many convolutions side by side, each on its share of the channels; default 1. */
  readonly groups?: number;
  /** Default true. */
  readonly bias?: boolean;
}

/** Options that are settled. */
export interface Window2d {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;
}

const KNOWN = ["kernel", "stride", "padding", "dilation", "groups", "bias", "weightInit", "biasInit"];

/** @throws {OptionError} */
export function settleWindow(
  where: string,
  channels: number,
  options: Conv2dOptions,
  more: readonly string[] = [],
): Window2d {
  checkCount(where, "outChannels", channels);
  checkOptions(where, options, [...KNOWN, ...more]);
  const { kernel, stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  checkCount(where, "groups", groups);
  if (channels % groups !== 0)
    throw new OptionError(where, "outChannels", `must be a multiple of groups ${groups}`, channels);
  return {
    kernel: pairOf(where, "kernel", kernel, 1),
    stride: pairOf(where, "stride", stride, 1),
    padding: pairOf(where, "padding", padding, 0),
    dilation: pairOf(where, "dilation", dilation, 1),
    groups,
  };
}

/** Weight and bias as PyTorch begins them: uniform in +-1/sqrt(fanIn). */
export function convParams(weight: Shape, channels: number, options: Conv2dOptions): Record<string, ParamDef> {
  const { bias = true, weightInit, biasInit } = options;
  const bound = 1 / Math.sqrt(sizeOf(weight.slice(1)));
  const params: Record<string, ParamDef> = {
    weight: { shape: weight, init: weightInit ?? kaimingUniform({ a: Math.sqrt(5) }) },
  };
  if (bias) params.bias = { shape: [channels], init: biasInit ?? uniform(-bound, bound) };
  return params;
}

/**
 * Cross-correlation of `[channels, height, width]`, as `torch.nn.Conv2d`. `weight` is
 * `[outChannels, channels / groups, kernel height, kernel width]`.
 *
 * @throws {OptionError}
 */
export function conv2d(outChannels: number, options: Conv2dOptions): Layer {
  const window = settleWindow("conv2d", outChannels, options);
  const { name, bias = true } = options;
  const sizeFor = (shape: Shape, rows: number) => {
    const [inChannels, inHeight, inWidth] = shape as [number, number, number];
    return { rows, inChannels, inHeight, inWidth, outChannels, ...window };
  };
  const sizeAt = (site: Site) => ({ ...sizeFor(site.inputShapes[0]!, site.rows), bytes: site.bytes });
  return {
    kind: "conv2d",
    prefix: "conv",
    name,
    readsBytes: true,
    infer([shape = []], where) {
      const channels = channelsOf(where, shape, window);
      const [height, width] = conv2dOutput(sizeFor(shape, 8));
      if (height < 1 || width < 1)
        throw new OptionError(
          where,
          "input",
          `must be at least as large as the kernel ${window.kernel.join(" x ")}`,
          shape,
        );
      const weight = [outChannels, channels / window.groups, ...window.kernel];
      return { output: [outChannels, height, width], params: convParams(weight, outChannels, options) };
    },
    ...convPasses(sizeAt, outChannels, bias, {
      forward: conv2dForward,
      inputGradient: conv2dInputGradient,
      weightGradient: conv2dWeightGradient,
    }),
  };
}

/** Channels of an image. @throws {OptionError} if it is none, or they do not fall into groups. */
export function channelsOf(where: string, shape: Shape, { groups }: Window2d): number {
  const [channels] = imageShape(where, shape);
  if (channels % groups !== 0)
    throw new OptionError(where, "input", `must have a multiple of ${groups} channels`, shape);
  return channels;
}

/** The kernels of a convolution or of a transposed one. */
interface ConvKernels<Size> {
  readonly forward: MakeRunnable<
    Size,
    { relu?: boolean; bias?: boolean },
    Runnable<"input" | "weight" | "bias" | "output">
  >;
  readonly inputGradient: MakeRunnable<
    Size,
    { inputRelu?: boolean },
    Runnable<"outputGradient" | "weight" | "input" | "inputGradient">
  >;
  readonly weightGradient: MakeRunnable<
    Size,
    { accumulate?: boolean; bias?: boolean },
    Runnable<"outputGradient" | "input" | "weightGradient" | "biasGradient">
  >;
}

/** What a layer of these kernels does, forward and backward. */
export function convPasses<Size>(
  sizeAt: (site: Site) => Size,
  outChannels: number,
  bias: boolean,
  kernels: ConvKernels<Size>,
): Required<Pick<Layer, "endsWithRelu" | "masksInput" | "forward" | "backward">> {
  return {
    endsWithRelu: true,
    masksInput: true,
    forward(site) {
      const weight = site.param("weight");
      site.run(
        site.kernel(kernels.forward, sizeAt(site), { relu: site.relu, bias }),
        { input: site.input(), weight, bias: bias ? site.param("bias") : weight, output: site.output },
        ["output"],
      );
    },
    backward(site) {
      const { outputGradient } = site;
      const size = sizeAt(site);
      const { places, accumulate } = site.paramGradients("weight", ...(bias ? ["bias"] : []));
      site.run(
        site.kernel(kernels.weightGradient, size, { accumulate, bias }),
        {
          outputGradient,
          input: site.input(),
          weightGradient: places.weight!,
          biasGradient: bias ? places.bias! : site.workspace("noBias", outChannels * 4),
        },
        ["weightGradient", "biasGradient"],
      );
      const inputGradient = site.inputGradient();
      if (!inputGradient) return;
      site.run(
        site.kernel(kernels.inputGradient, size, { inputRelu: site.inputRelu() }),
        { outputGradient, weight: site.param("weight"), input: site.input(), inputGradient },
        ["inputGradient"],
      );
    },
  };
}
