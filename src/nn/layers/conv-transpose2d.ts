/** Transposed convolutions of images. */
import { OptionError } from "../../errors.ts";
import {
  convTranspose2dForward,
  convTranspose2dInputGradient,
  convTranspose2dOutput,
  convTranspose2dWeightGradient,
} from "../kernels/conv-transpose2d.ts";
import type { Layer, Site } from "../layer.ts";
import { imageShape, type Shape } from "../shape.ts";
import { type Conv2dOptions, convParams, settleWindow } from "./conv2d.ts";
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
    endsWithRelu: true,
    masksInput: true,
    infer([shape = []], at) {
      const [channels] = imageShape(at, shape);
      if (channels % window.groups !== 0)
        throw new OptionError(at, "input", `must have a multiple of ${window.groups} channels`, shape);
      const [height, width] = convTranspose2dOutput(sizeFor(shape, 8));
      if (height < 1 || width < 1) throw new OptionError(at, "input", "must be larger, or padding smaller", shape);
      const weight = [channels, outChannels / window.groups, ...window.kernel];
      return { output: [outChannels, height, width], params: convParams(weight, outChannels, options) };
    },
    forward(site) {
      const weight = site.param("weight");
      site.run(
        site.kernel(convTranspose2dForward, sizeAt(site), { relu: site.relu, bias }),
        { input: site.input(), weight, bias: bias ? site.param("bias") : weight, output: site.output },
        ["output"],
      );
    },
    backward(site) {
      const { outputGradient } = site;
      const size = sizeAt(site);
      const { places, accumulate } = site.paramGradients("weight", ...(bias ? ["bias"] : []));
      site.run(
        site.kernel(convTranspose2dWeightGradient, size, { accumulate, bias }),
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
        site.kernel(convTranspose2dInputGradient, size, { inputRelu: site.inputRelu() }),
        { outputGradient, weight: site.param("weight"), input: site.input(), inputGradient },
        ["inputGradient"],
      );
    },
  };
}
