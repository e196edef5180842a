/** Where ways through a model meet. */
import { OptionError } from "../../errors.ts";
import { add as addKernel, copyFeatures } from "../kernels/elementwise.ts";
import type { Layer } from "../layer.ts";
import { sameShape, showShape, sizeOf } from "../shape.ts";
import { Value } from "../value.ts";
import { checkOptions, type LayerOptions } from "./define.ts";

/** `a + b`, of equal shapes: the end of a residual block. @throws {OptionError} */
export function add(a: Value, b: Value, options: LayerOptions = {}): Value {
  checkOptions("add", options, []);
  const layer: Layer = {
    kind: "add",
    prefix: "add",
    name: options.name,
    arity: 2,
    endsWithRelu: true,
    infer([left = [], right = []], where) {
      if (!sameShape(left, right))
        throw new OptionError(where, "inputs", "must have equal shapes", `${showShape(left)} and ${showShape(right)}`);
      return { output: left };
    },
    forward(site) {
      const size = { rows: site.rows, features: sizeOf(site.outputShape) };
      const places = { a: site.input(0), b: site.input(1), output: site.output };
      site.run(site.kernel(addKernel, size, { relu: site.relu }), places, ["output"]);
    },
    backward(site) {
      site.passGradient(0, site.outputGradient);
      site.passGradient(1, site.outputGradient);
    },
  };
  return Value.apply(layer, [a, b]);
}

/**
 * One behind the other along the first extent, as `torch.cat(values, dim=1)` with the batch: `[c1, h, w]` and `[c2, h, w]` make
 * `[c1 + c2, h, w]`.
 *
 * @throws {OptionError} if the other extents differ.
 */
export function concat(values: readonly Value[], options: LayerOptions = {}): Value {
  checkOptions("concat", options, []);
  /** The kernel's sizes for each input: all of it, to where it belongs in the output. */
  const parts = (inputShapes: readonly (readonly number[])[]) => {
    let offset = 0;
    return inputShapes.map((shape) => {
      const part = { features: sizeOf(shape), offset };
      offset += part.features;
      return part;
    });
  };
  const layer: Layer = {
    kind: "concat",
    prefix: "concat",
    name: options.name,
    arity: "any",
    infer(shapes, where) {
      const [[, ...rest]] = shapes as [number[]];
      if (shapes.some(([, ...other]) => !sameShape(rest, other)))
        throw new OptionError(
          where,
          "inputs",
          "must be equal but for the first extent",
          shapes.map(showShape).join(" and "),
        );
      return { output: [shapes.reduce((sum, [extent]) => sum + extent!, 0), ...rest] };
    },
    forward(site) {
      const { rows } = site;
      const targetFeatures = sizeOf(site.outputShape);
      parts(site.inputShapes).forEach(({ features, offset }, i) => {
        const size = {
          rows,
          features,
          sourceFeatures: features,
          sourceOffset: 0,
          targetFeatures,
          targetOffset: offset,
        };
        site.run(site.kernel(copyFeatures, size, {}), { source: site.input(i), target: site.output }, ["target"]);
      });
    },
    backward(site) {
      const { rows, outputGradient: source } = site;
      const sourceFeatures = sizeOf(site.outputShape);
      parts(site.inputShapes).forEach(({ features, offset }, i) => {
        const target = site.inputGradient(i);
        if (!target) return;
        const size = {
          rows,
          features,
          sourceFeatures,
          sourceOffset: offset,
          targetFeatures: features,
          targetOffset: 0,
        };
        site.run(site.kernel(copyFeatures, size, {}), { source, target }, ["target"]);
      });
    },
  };
  return Value.apply(layer, values);
}
