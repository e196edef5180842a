/** Dense layer. */
import { OptionError } from "../../errors.ts";
import { uniform } from "../init.ts";
import { moveTimes, timesAreRows } from "../kernels/times.ts";
import {
  activationBytes,
  type BackwardSite,
  type Layer,
  type ParamDef,
  type Place,
  type Region,
  type Site,
} from "../layer.ts";
import { linearForward, linearInputGradient, linearWeightGradient } from "../linear.ts";
import { type Shape, timesOf } from "../shape.ts";
import { checkCount, checkOptions, type InitOptions, type LayerOptions } from "./define.ts";

export interface LinearOptions extends LayerOptions, InitOptions {
  /** Default true. */
  readonly bias?: boolean;
  /** Use the weight of this layer, `[outFeatures, inFeatures]`, such as that of an embedding. */
  readonly tied?: Layer | undefined;
}

const timesIn = (shape: Shape) => ({ times: timesOf(shape), features: shape.at(-1)! });

/** Memory for the times of an activation as rows; undefined where they are rows as they lie. */
function timeRows(site: Site, name: string, shape: Shape): Region | undefined {
  const { times, features } = timesIn(shape);
  if (timesAreRows({ times, features })) return undefined;
  return site.workspace(name, activationBytes(site.rows * times, [features]));
}

function move(site: Site, shape: Shape, apart: boolean, source: Place, moved: Place): void {
  const kernel = site.kernel(moveTimes, { rows: site.rows, ...timesIn(shape) }, { apart });
  site.run(kernel, { source, moved }, ["moved"]);
}

/**
 * `y = x W^T + b`, on `[features]`, or at each time of `[time, features]`; there inputs and outputs that are multiples of 4 save
 * moving them. `weight` is `[outFeatures, inFeatures]`; both begin uniform in +-1/sqrt(inFeatures).
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
      const [shape] = site.inputShapes as [Shape];
      const weight = site.param("weight");
      const inputRows = timeRows(site, "inputRows", shape);
      if (inputRows && site.bytes)
        throw new OptionError(
          site.name,
          "input",
          "of bytes [time, features] must have a multiple of 4 features",
          shape,
        );
      if (inputRows) move(site, shape, true, site.input(), inputRows);
      const outputRows = timeRows(site, "outputRows", site.outputShape);
      site.run(
        site.kernel(linearForward, shapeAt(site), { relu: site.relu, bias }),
        {
          input: inputRows ?? site.input(),
          weight,
          bias: bias ? site.param("bias") : weight,
          output: outputRows ?? site.output,
        },
        ["output"],
      );
      if (outputRows) move(site, site.outputShape, false, outputRows, site.output);
    },
    backward(site: BackwardSite) {
      const [shape] = site.inputShapes as [Shape];
      const size = shapeAt(site);
      const gradientRows = timeRows(site, "outputGradientRows", site.outputShape);
      if (gradientRows) move(site, site.outputShape, true, site.outputGradient, gradientRows);
      const outputGradient = gradientRows ?? site.outputGradient;
      // As forward has left it.
      const input = timeRows(site, "inputRows", shape) ?? site.input();
      const target = site.paramGradients("weight", ...(bias ? ["bias"] : []));
      site.run(
        site.kernel(linearWeightGradient, size, { accumulate: target.accumulate, bias }),
        {
          outputGradient,
          input,
          weightGradient: target.places.weight!,
          biasGradient: bias ? target.places.bias! : site.workspace("noBias", outFeatures * 4),
        },
        ["weightGradient", "biasGradient"],
      );
      const inputGradient = site.inputGradient();
      if (!inputGradient) return;
      const inputGradientRows = timeRows(site, "inputGradientRows", shape);
      site.run(
        site.kernel(linearInputGradient, size, { inputRelu: site.inputRelu() }),
        { outputGradient, weight: site.param("weight"), input, inputGradient: inputGradientRows ?? inputGradient },
        ["inputGradient"],
      );
      if (inputGradientRows) move(site, shape, false, inputGradientRows, inputGradient);
    },
  };
}
