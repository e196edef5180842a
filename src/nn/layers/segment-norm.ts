/** Normalization within each sample: of all features, of groups of channels, or by the root mean square alone. */
import { checkNumber } from "../../engine/checks.ts";
import { OptionError } from "../../errors.ts";
import {
  groupNormForward,
  groupNormInputGradient,
  groupNormWeightGradient,
  layerNormForward,
  layerNormInputGradient,
  layerNormWeightGradient,
  normSavedBytes,
  rmsNormForward,
  rmsNormInputGradient,
  rmsNormWeightGradient,
} from "../kernels/segment-norm.ts";
import type { BackwardSite, Layer, Site } from "../layer.ts";
import { type Shape, timesOf } from "../shape.ts";
import { AFFINE, affine, channelsOf, type NormOptions } from "./batch-norm.ts";
import { checkCount, checkOptions } from "./define.ts";

export interface LayerNormOptions extends NormOptions {
  /** Default true. */
  readonly bias?: boolean;
}

interface Kernels<Size> {
  readonly forward: (site: Site, size: Size) => ReturnType<typeof layerNormForward>;
  readonly inputGradient: (site: Site, size: Size) => ReturnType<typeof layerNormInputGradient>;
  readonly weightGradient: (site: Site, size: Size, accumulate: boolean) => ReturnType<typeof layerNormWeightGradient>;
}

/** What the three have in common: the names of their places, and which of them have a bias. */
function record<Size extends Parameters<typeof normSavedBytes>[0]>(
  sizeAt: (site: Site) => Size,
  bias: boolean,
  kernels: Kernels<Size>,
): Pick<Layer, "forward" | "backward"> {
  const saved = (site: Site) => site.workspace("saved", normSavedBytes(sizeAt(site)));
  return {
    forward(site: Site) {
      const weight = site.param("weight");
      site.run(
        kernels.forward(site, sizeAt(site)),
        {
          input: site.input(),
          weight,
          bias: bias ? site.param("bias") : weight,
          saved: saved(site),
          output: site.output,
        },
        ["saved", "output"],
      );
    },
    backward(site: BackwardSite) {
      const { outputGradient } = site;
      const size = sizeAt(site);
      const { places, accumulate } = site.paramGradients("weight", ...(bias ? ["bias"] : []));
      site.run(
        kernels.weightGradient(site, size, accumulate),
        {
          outputGradient,
          input: site.input(),
          saved: saved(site),
          weightGradient: places.weight!,
          // Bound whether it is written or not, and nothing else may lie there.
          biasGradient: bias ? places.bias! : site.workspace("noBias", site.inputShapes[0]!.at(-1)! * 4),
        },
        ["weightGradient", "biasGradient"],
      );
      const inputGradient = site.inputGradient();
      if (!inputGradient) return;
      site.run(
        kernels.inputGradient(site, size),
        { outputGradient, input: site.input(), weight: site.param("weight"), saved: saved(site), inputGradient },
        ["inputGradient"],
      );
    },
  };
}

/** Of `[features]` or, at each time, of `[time, features]`. */
function tokensOf(where: string, shape: Shape): { tokens: number; features: number } {
  if (shape.length > 2)
    throw new OptionError(where, "input", "must be [features] or [time, features]; for images use groupNorm(1)", shape);
  return { tokens: timesOf(shape), features: shape.at(-1)! };
}

/**
 * `(x - mean) / sqrt(var + eps) weight + bias` over the features of a sample, or of each time of `[time, features]`.
 * arXiv:1607.06450.
 *
 * @throws {OptionError}
 */
export function layerNorm(options: LayerNormOptions = {}): Layer {
  checkOptions("layerNorm", options, ["eps", "bias", ...AFFINE]);
  const { name, eps = 1e-5, bias = true } = options;
  checkNumber("layerNorm", "eps", eps, { min: 0 });
  return {
    kind: "layerNorm",
    prefix: "ln",
    name,
    infer: ([shape = []], where) => ({ output: shape, params: affine(tokensOf(where, shape).features, options, bias) }),
    ...record((site) => ({ rows: site.rows, ...tokensOf(site.name, site.inputShapes[0]!) }), bias, {
      forward: (site, size) => site.kernel(layerNormForward, size, { eps, bias }),
      inputGradient: (site, size) => site.kernel(layerNormInputGradient, size, {}),
      weightGradient: (site, size, accumulate) => site.kernel(layerNormWeightGradient, size, { accumulate, bias }),
    }),
  };
}

/** `x / sqrt(mean of x^2 + eps) weight`, over what `layerNorm` takes; eps 2^-23 by default. arXiv:1910.07467. @throws {OptionError} */
export function rmsNorm(options: NormOptions = {}): Layer {
  checkOptions("rmsNorm", options, ["eps", "weightInit"]);
  const { name, eps = 2 ** -23 } = options;
  checkNumber("rmsNorm", "eps", eps, { min: 0 });
  return {
    kind: "rmsNorm",
    prefix: "rms_norm",
    name,
    infer: ([shape = []], where) => ({
      output: shape,
      params: affine(tokensOf(where, shape).features, options, false),
    }),
    ...record((site) => ({ rows: site.rows, ...tokensOf(site.name, site.inputShapes[0]!) }), false, {
      forward: (site, size) => site.kernel(rmsNormForward, size, { eps }),
      inputGradient: (site, size) => site.kernel(rmsNormInputGradient, size, {}),
      weightGradient: (site, size, accumulate) => site.kernel(rmsNormWeightGradient, size, { accumulate }),
    }),
  };
}

/**
 * `(x - mean) / sqrt(var + eps)` over each of `groups` equal groups of channels, then `weight` and `bias` by channel.
 * arXiv:1803.08494.
 *
 * @throws {OptionError}
 */
export function groupNorm(groups: number, options: NormOptions = {}): Layer {
  checkCount("groupNorm", "groups", groups);
  checkOptions("groupNorm", options, ["eps", ...AFFINE]);
  const { name, eps = 1e-5 } = options;
  checkNumber("groupNorm", "eps", eps, { min: 0 });
  return {
    kind: "groupNorm",
    prefix: "gn",
    name,
    infer([shape = []], where) {
      const { channels } = channelsOf(where, shape);
      if (channels % groups !== 0)
        throw new OptionError(where, "input", `must have a multiple of ${groups} channels, the groups`, shape);
      return { output: shape, params: affine(channels, options) };
    },
    ...record((site) => ({ rows: site.rows, ...channelsOf(site.name, site.inputShapes[0]!), groups }), true, {
      forward: (site, size) => site.kernel(groupNormForward, size, { eps }),
      inputGradient: (site, size) => site.kernel(groupNormInputGradient, size, {}),
      weightGradient: (site, size, accumulate) => site.kernel(groupNormWeightGradient, size, { accumulate }),
    }),
  };
}
