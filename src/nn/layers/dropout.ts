/** Dropout. */
import { checkNumber } from "../../engine/checks.ts";
import { dropout as dropoutKernel } from "../kernels/dropout.ts";
import type { Layer, Site } from "../layer.ts";
import { sizeOf } from "../shape.ts";
import { checkOptions, type LayerOptions } from "./define.ts";

/**
 * In training each element becomes 0 with probability `p`, or is divided by 1 - p; in evaluation nothing happens. Which ones is
 * a hash of seed, step, layer and element, as the plan is told in `select({ seed, step })`: nothing is stored.
 *
 * @throws {OptionError}
 */
export function dropout(p = 0.5, options: LayerOptions = {}): Layer {
  checkNumber("dropout", "p", p, { min: 0, max: 1, open: true });
  checkOptions("dropout", options, []);
  const kernelAt = (site: Site) => {
    const size = { rows: site.rows, features: sizeOf(site.outputShape) };
    return site.kernel(dropoutKernel, size, { p, stream: site.stream });
  };
  return {
    kind: "dropout",
    prefix: "dropout",
    name: options.name,
    infer: ([shape = []]) => ({ output: shape }),
    forward(site) {
      if (!site.training || p === 0) return site.passInput();
      site.run(kernelAt(site), { random: site.random, input: site.input(), output: site.output }, ["output"]);
    },
    backward(site) {
      if (p === 0) return site.passGradient(0, site.outputGradient);
      const output = site.inputGradient();
      if (!output) return;
      site.run(kernelAt(site), { random: site.random, input: site.outputGradient, output }, ["output"]);
    },
  };
}
