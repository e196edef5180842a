/** Dense layer. */
import { OptionError } from "../../errors.ts";
import { uniform } from "../init.ts";
import type { BackwardSite, Layer, ParamDef, Site } from "../layer.ts";
import { linearForward, linearInputGradient, linearWeightGradient } from "../linear.ts";
import { showShape, timesOf } from "../shape.ts";
import { checkCount, checkOptions, type InitOptions, type LayerOptions } from "./define.ts";

export interface LinearOptions extends LayerOptions, InitOptions {
  /** Default true. */
  readonly bias?: boolean;
  /** Use the weight of this layer, `[outFeatures, inFeatures]`, such as that of an embedding. */
  readonly tied?: Layer | undefined;
}

/**
 * `y = x W^T + b`, on `[features]`, or at each time of `[time, features]`; then inputs and outputs must be multiples of 4.
 * `weight` is `[outFeatures, inFeatures]`; both begin uniform in +-1/sqrt(inFeatures).
 *
 * @throws {OptionError}
 */
export function linear(outFeatures: number, options: LinearOptions = {}): Layer {
  checkCount("linear", "outFeatures", outFeatures);
  checkOptions("linear", options, ["bias", "tied", "weightInit", "biasInit"]);
  const { name, bias = true, tied, weightInit, biasInit } = options;

  /** A time is one more row: the stride of rows is a whole number of quads either way. */
  const shapeAt = (site: Site) => {
    const [shape] = site.inputShapes as [readonly number[]];
    return { rows: site.rows * timesOf(shape), inFeatures: shape.at(-1)!, outFeatures, bytes: site.bytes };
  };
  return {
    kind: "linear",
    prefix: "fc",
    name,
    endsWithRelu: true,
    masksInput: true,
    readsBytes: true,
    infer([shape = []], where) {
      if (shape.length > 2)
        throw new OptionError(where, "input", "must be [features] or [time, features]: flatten it first", shape);
      const inFeatures = shape.at(-1)!;
      if (shape.length === 2 && (inFeatures % 4 !== 0 || outFeatures % 4 !== 0)) {
        const must = "of [time, features] must have a multiple of 4 features, in and out";
        throw new OptionError(where, "input", must, `${showShape(shape)} -> ${outFeatures}`);
      }
      const bound = 1 / Math.sqrt(inFeatures);
      const params: Record<string, ParamDef> = {
        weight: {
          shape: [outFeatures, inFeatures],
          init: weightInit ?? uniform(-bound, bound),
          tied: tied && { layer: tied, name: "weight" },
        },
      };
      if (bias) params.bias = { shape: [outFeatures], init: biasInit ?? uniform(-bound, bound) };
      return { output: [...shape.slice(0, -1), outFeatures], params };
    },
    forward(site) {
      const weight = site.param("weight");
      site.run(
        site.kernel(linearForward, shapeAt(site), { relu: site.relu, bias }),
        { input: site.input(), weight, bias: bias ? site.param("bias") : weight, output: site.output },
        ["output"],
      );
    },
    backward(site: BackwardSite) {
      const { outputGradient } = site;
      const shape = shapeAt(site);
      const target = site.paramGradients("weight", ...(bias ? ["bias"] : []));
      site.run(
        site.kernel(linearWeightGradient, shape, { accumulate: target.accumulate, bias }),
        {
          outputGradient,
          input: site.input(),
          weightGradient: target.places.weight!,
          biasGradient: bias ? target.places.bias! : site.workspace("noBias", outFeatures * 4),
        },
        ["weightGradient", "biasGradient"],
      );
      const inputGradient = site.inputGradient();
      if (!inputGradient) return;
      site.run(
        site.kernel(linearInputGradient, shape, { inputRelu: site.inputRelu() }),
        { outputGradient, weight: site.param("weight"), input: site.input(), inputGradient },
        ["inputGradient"],
      );
    },
  };
}
