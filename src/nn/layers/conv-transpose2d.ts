/** Transposed convolutions of images. */
import { OptionError } from "../../errors.ts";
import {
  convTranspose2dForward,
  convTranspose2dInputGradient,
  convTranspose2dOutput,
  convTranspose2dWeightGradient,
} from "../kernels/conv-transpose2d.ts";
import type { Layer, Site } from "../layer.ts";
import type { Shape } from "../shape.ts";
import { type Conv2dOptions, channelsOf, convParams, convPasses, settleWindow } from "./conv2d.ts";
import { type Pair, pairOf } from "./define.ts";

export interface ConvTranspose2dOptions extends Conv2dOptions {
  /** Rows and columns more at the end, less than the stride or the dilation; default 0. */
  readonly outputPadding?: Pair;
}

/**
 * The gradient of a convolution to its input, as a layer; as `torch.nn.ConvTranspose2d`. `weight` is
 * `[channels, outChannels / groups, kernel height, kernel width]`.
 *
 * @throws {OptionError}
 */
export function convTranspose2d(outChannels: number, options: ConvTranspose2dOptions): Layer {
  const where = "convTranspose2d";
  const window = settleWindow(where, outChannels, options, ["outputPadding"]);
  const outputPadding = pairOf(where, "outputPadding", options.outputPadding ?? 0, 0);
  for (const i of [0, 1] as const) {
    const limit = Math.max(window.stride[i], window.dilation[i]);
    if (outputPadding[i] >= limit)
      throw new OptionError(where, "outputPadding", `must be below ${limit}, stride or dilation`, outputPadding[i]);
  }
  const { name, bias = true } = options;
  const sizeFor = (shape: Shape, rows: number) => {
    const [inChannels, inHeight, inWidth] = shape as [number, number, number];
    return { rows, inChannels, inHeight, inWidth, outChannels, ...window, outputPadding };
  };
  const sizeAt = (site: Site) => sizeFor(site.inputShapes[0]!, site.rows);
  return {
    kind: where,
    prefix: "deconv",
    name,
    infer([shape = []], at) {
      const channels = channelsOf(at, shape, window);
      const [height, width] = convTranspose2dOutput(sizeFor(shape, 8));
      if (height < 1 || width < 1) throw new OptionError(at, "input", "must be larger, or padding smaller", shape);
      const weight = [channels, outChannels / window.groups, ...window.kernel];
      return { output: [outChannels, height, width], params: convParams(weight, outChannels, options) };
    },
    ...convPasses(sizeAt, outChannels, bias, {
      forward: convTranspose2dForward,
      inputGradient: convTranspose2dInputGradient,
      weightGradient: convTranspose2dWeightGradient,
    }),
  };
}
