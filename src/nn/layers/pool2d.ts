/** Pooling of images. */
import { OptionError } from "../../errors.ts";
import {
  averagePool2dBackward,
  averagePool2dForward,
  globalAveragePoolBackward,
  globalAveragePoolForward,
  maxPool2dBackward,
  maxPool2dForward,
  pool2dOutput,
} from "../kernels/pool2d.ts";
import type { BackwardSite, Layer, Site } from "../layer.ts";
import { imageShape, type Shape } from "../shape.ts";
import { checkOptions, type LayerOptions, type Pair, pairOf } from "./define.ts";

export interface PoolOptions extends LayerOptions {
  /** Default the kernel. */
  readonly stride?: Pair;
  /** At most half the kernel; default 0. */
  readonly padding?: Pair;
}

/** Kernel, stride and padding, settled; and the kernel's sizes for an input. */
function windowOf(where: string, kernel: Pair, options: PoolOptions) {
  checkOptions(where, options, ["stride", "padding"]);
  const extents = pairOf(where, "kernel", kernel, 1);
  const stride = pairOf(where, "stride", options.stride ?? kernel, 1);
  const padding = pairOf(where, "padding", options.padding ?? 0, 0);
  if (padding.some((extent, i) => 2 * extent > extents[i]!))
    throw new OptionError(where, "padding", `must be at most half of the kernel ${extents.join(" x ")}`, padding);
  const sizeFor = (shape: Shape, rows: number) => {
    const [channels, inHeight, inWidth] = shape as [number, number, number];
    return { rows, channels, inHeight, inWidth, kernel: extents, stride, padding };
  };
  return {
    size: (site: Site) => sizeFor(site.inputShapes[0]!, site.rows),
    infer: (([shape = []], at) => {
      const [channels] = imageShape(at, shape);
      const [height, width] = pool2dOutput(sizeFor(shape, 8));
      if (height < 1 || width < 1)
        throw new OptionError(at, "input", `must be at least as large as the kernel ${extents.join(" x ")}`, shape);
      return { output: [channels, height, width] };
    }) satisfies Layer["infer"],
  };
}

/** Largest value of each window; the gradient goes to the first of equal ones. @throws {OptionError} */
export function maxPool2d(kernel: Pair, options: PoolOptions = {}): Layer {
  const { size, infer } = windowOf("maxPool2d", kernel, options);
  return {
    kind: "maxPool2d",
    prefix: "pool",
    name: options.name,
    masksInput: true,
    infer,
    forward(site) {
      site.run(site.kernel(maxPool2dForward, size(site), {}), { input: site.input(), output: site.output }, ["output"]);
    },
    backward: (site) => {
      backward(site, (inputRelu) => site.kernel(maxPool2dBackward, size(site), { inputRelu }));
    },
  };
}

/** Mean of each window; padding counts as zeros, as in PyTorch. @throws {OptionError} */
export function avgPool2d(kernel: Pair, options: PoolOptions = {}): Layer {
  const { size, infer } = windowOf("avgPool2d", kernel, options);
  return {
    kind: "avgPool2d",
    prefix: "pool",
    name: options.name,
    masksInput: true,
    infer,
    forward(site) {
      const kernelAt = site.kernel(averagePool2dForward, size(site), {});
      site.run(kernelAt, { input: site.input(), output: site.output }, ["output"]);
    },
    backward: (site) => {
      backward(site, (inputRelu) => site.kernel(averagePool2dBackward, size(site), { inputRelu }));
    },
  };
}

/** Mean of each channel: `[channels, height, width]` to `[channels]`. */
export function globalAvgPool2d(options: LayerOptions = {}): Layer {
  checkOptions("globalAvgPool2d", options, []);
  const size = (site: Site) => {
    const [channels, height, width] = site.inputShapes[0] as [number, number, number];
    return { rows: site.rows, channels, plane: height * width };
  };
  return {
    kind: "globalAvgPool2d",
    prefix: "pool",
    name: options.name,
    masksInput: true,
    infer: ([shape = []], where) => ({ output: [imageShape(where, shape)[0]] }),
    forward(site) {
      const kernel = site.kernel(globalAveragePoolForward, size(site), {});
      site.run(kernel, { input: site.input(), output: site.output }, ["output"]);
    },
    backward: (site) => {
      backward(site, (inputRelu) => site.kernel(globalAveragePoolBackward, size(site), { inputRelu }));
    },
  };
}

type PoolBackward = ReturnType<typeof maxPool2dBackward>;

function backward(site: BackwardSite, kernel: (inputRelu: boolean) => PoolBackward): void {
  const inputGradient = site.inputGradient();
  if (!inputGradient) return;
  const { outputGradient } = site;
  site.run(kernel(site.inputRelu()), { outputGradient, input: site.input(), inputGradient }, ["inputGradient"]);
}
