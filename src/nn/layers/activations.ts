/** Activations, element by element. */
import { checkNumber } from "../../engine/checks.ts";
import { OptionError } from "../../errors.ts";
import { type Activation, activationBackward, activationForward } from "../kernels/activations.ts";
import type { Layer, Site } from "../layer.ts";
import { sizeOf } from "../shape.ts";
import { checkOptions, type LayerOptions } from "./define.ts";

const size = (site: Site) => ({ rows: site.rows, features: sizeOf(site.outputShape) });

function activation(
  layerKind: string,
  options: LayerOptions,
  kernelOptions: { kind: Activation; slope?: number },
): Layer {
  return {
    kind: layerKind,
    prefix: layerKind.toLowerCase(),
    name: options.name,
    infer: ([shape = []]) => ({ output: shape }),
    forward(site) {
      const kernel = site.kernel(activationForward, size(site), kernelOptions);
      site.run(kernel, { input: site.input(), output: site.output }, ["output"]);
    },
    backward(site) {
      const inputGradient = site.inputGradient();
      if (!inputGradient) return;
      const kernel = site.kernel(activationBackward, size(site), kernelOptions);
      // ReLU's own output tells as much as its input, which may be nowhere: the layer before may have ended with the ReLU.
      const input = kernelOptions.kind === "relu" ? site.output : site.input();
      site.run(kernel, { outputGradient: site.outputGradient, input, inputGradient }, ["inputGradient"]);
    },
  };
}

function plain(kind: Exclude<Activation, "geluTanh" | "leakyRelu">, options: LayerOptions): Layer {
  checkOptions(kind, options, []);
  return activation(kind, options, { kind });
}

/** `max(x, 0)`, with a slope of 0 at 0. Free where a layer before it can end with it. */
export function relu(options: LayerOptions = {}): Layer {
  return plain("relu", options);
}

/** `x` for x > 0, else `slope x`; default slope 0.01. */
export function leakyRelu(options: LayerOptions & { readonly slope?: number } = {}): Layer {
  checkOptions("leakyRelu", options, ["slope"]);
  const { slope = 0.01 } = options;
  checkNumber("leakyRelu", "slope", slope);
  return activation("leakyRelu", options, { kind: "leakyRelu", slope });
}

/** `x Phi(x)`, or with `approximate: "tanh"` `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`. arXiv:1606.08415. */
export function gelu(options: LayerOptions & { readonly approximate?: "none" | "tanh" } = {}): Layer {
  checkOptions("gelu", options, ["approximate"]);
  const { approximate = "none" } = options;
  if (approximate !== "none" && approximate !== "tanh")
    throw new OptionError("gelu", "approximate", 'must be "none" or "tanh"', approximate);
  return activation("gelu", options, { kind: approximate === "tanh" ? "geluTanh" : "gelu" });
}

/** `x / (1 + exp(-x))`, also known as swish. */
export function silu(options: LayerOptions = {}): Layer {
  return plain("silu", options);
}

export function tanh(options: LayerOptions = {}): Layer {
  return plain("tanh", options);
}

/** `1 / (1 + exp(-x))`. Before a binary cross-entropy leave it out: that takes logits. */
export function sigmoid(options: LayerOptions = {}): Layer {
  return plain("sigmoid", options);
}
