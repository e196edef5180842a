/** Batch normalization. */
import { checkNumber } from "../../engine/checks.ts";
import { OptionError } from "../../errors.ts";
import { ones, zeros } from "../init.ts";
import { batchNormBackward, batchNormEvaluate, batchNormForward } from "../kernels/batch-norm.ts";
import { activationBytes, type Layer, type ParamDef, type Site } from "../layer.ts";
import { type Shape, sizeOf } from "../shape.ts";
import { checkOptions, type InitOptions, type LayerOptions } from "./define.ts";

export interface NormOptions extends LayerOptions, InitOptions {
  /** Added to the variance; default 1e-5. */
  readonly eps?: number;
}

export interface BatchNormOptions extends NormOptions {
  /** Share of a batch in the running statistics; default 0.1. */
  readonly momentum?: number;
}

export const AFFINE = ["weightInit", "biasInit"];

/** Scale and shift, which begin as ones and zeros. */
export function affine(size: number, { weightInit, biasInit }: InitOptions, bias = true): Record<string, ParamDef> {
  const weight = { shape: [size], init: weightInit ?? ones() };
  return bias ? { weight, bias: { shape: [size], init: biasInit ?? zeros() } } : { weight };
}

/** Of `[channels]` or `[channels, height, width]`. @throws {OptionError} for another shape. */
export function channelsOf(where: string, shape: Shape): { channels: number; plane: number } {
  if (shape.length === 2)
    throw new OptionError(where, "input", "must be [channels] or [channels, height, width]", shape);
  return { channels: shape[0]!, plane: sizeOf(shape.slice(1)) };
}

/**
 * `(x - mean) / sqrt(var + eps) weight + bias`, with mean and variance of each channel over the samples of the batch and the
 * image; in evaluation with their running averages, the buffers `running_mean` and `running_var` (of the unbiased variance).
 * Of one value alone (a last batch of one sample `[channels]`) only `bias` is left, and `running_var` stays as it is.
 * arXiv:1502.03167.
 *
 * @throws {OptionError}
 */
export function batchNorm(options: BatchNormOptions = {}): Layer {
  checkOptions("batchNorm", options, ["eps", "momentum", ...AFFINE]);
  const { name, eps = 1e-5, momentum = 0.1 } = options;
  checkNumber("batchNorm", "eps", eps, { min: 0 });
  checkNumber("batchNorm", "momentum", momentum, { min: 0, max: 1 });
  const sizeAt = (site: Site) => ({ rows: site.rows, ...channelsOf(site.name, site.inputShapes[0]!) });
  const saved = (site: Site) => site.workspace("saved", 2 * sizeAt(site).channels * 4);
  return {
    kind: "batchNorm",
    prefix: "bn",
    name,
    endsWithRelu: true,
    masksOutput: true,
    infer([shape = []], where) {
      const { channels } = channelsOf(where, shape);
      return {
        output: shape,
        params: affine(channels, options),
        buffers: { running_mean: { shape: [channels], value: 0 }, running_var: { shape: [channels], value: 1 } },
      };
    },
    forward(site) {
      const places = {
        input: site.input(),
        weight: site.param("weight"),
        bias: site.param("bias"),
        runningMean: site.buffer("running_mean"),
        runningVar: site.buffer("running_var"),
        output: site.output,
      };
      const { relu } = site;
      if (!site.training) {
        site.run(site.kernel(batchNormEvaluate, sizeAt(site), { eps, relu }), places, ["output"]);
        return;
      }
      site.run(
        site.kernel(batchNormForward, sizeAt(site), { eps, momentum, relu }),
        { batch: site.batch, ...places, saved: saved(site) },
        ["runningMean", "runningVar", "saved", "output"],
      );
    },
    backward(site) {
      const { places, accumulate } = site.paramGradients("weight", "bias");
      site.run(
        site.kernel(batchNormBackward, sizeAt(site), { outputRelu: site.outputRelu, accumulate }),
        {
          batch: site.batch,
          outputGradient: site.outputGradient,
          input: site.input(),
          weight: site.param("weight"),
          saved: saved(site),
          output: site.output,
          inputGradient:
            site.inputGradient() ?? site.workspace("unwanted", activationBytes(site.rows, site.outputShape)),
          weightGradient: places.weight,
          biasGradient: places.bias,
        },
        ["inputGradient", "weightGradient", "biasGradient"],
      );
    },
  };
}
