/** Softmax as a layer. */
import { OptionError } from "../../errors.ts";
import { softmaxBackward, softmaxForward } from "../kernels/softmax.ts";
import type { Layer, Site } from "../layer.ts";
import { timesOf } from "../shape.ts";
import { checkOptions, type LayerOptions } from "./define.ts";

/**
 * `exp(x) / sum of exp(x)` over the features, at each time of `[time, features]`. Before a cross-entropy leave it out: that
 * takes logits.
 */
export function softmax(options: LayerOptions = {}): Layer {
  checkOptions("softmax", options, []);
  const sizeAt = (site: Site) => {
    const [shape] = site.inputShapes as [readonly number[]];
    return { rows: site.rows, tokens: timesOf(shape), features: shape.at(-1)! };
  };
  return {
    kind: "softmax",
    prefix: "softmax",
    name: options.name,
    infer([shape = []], where) {
      if (shape.length > 2) throw new OptionError(where, "input", "must be [features] or [time, features]", shape);
      return { output: shape };
    },
    forward(site) {
      site.run(site.kernel(softmaxForward, sizeAt(site), {}), { input: site.input(), output: site.output }, ["output"]);
    },
    backward(site) {
      const inputGradient = site.inputGradient();
      if (!inputGradient) return;
      const { outputGradient } = site;
      site.run(site.kernel(softmaxBackward, sizeAt(site), {}), { outputGradient, output: site.output, inputGradient }, [
        "inputGradient",
      ]);
    },
  };
}
