/** Tables of vectors. */

import { OptionError } from "../../errors.ts";
import { normal } from "../init.ts";
import { addRow, addRowGradient } from "../kernels/elementwise.ts";
import { embeddingForward, embeddingWeightGradient } from "../kernels/embedding.ts";
import type { Layer, Site } from "../layer.ts";
import { sizeOf } from "../shape.ts";
import { checkCount, checkOptions, type InitOptions, type LayerOptions } from "./define.ts";

/**
 * `weight[token]` for each token: `[time]` to `[time, features]`. It reads the input of the model, which then holds tokens,
 * whole numbers below `vocabulary`. `weight` is `[vocabulary, features]` and begins normal.
 *
 * @throws {OptionError}
 */
export function embedding(vocabulary: number, features: number, options: LayerOptions & InitOptions = {}): Layer {
  checkCount("embedding", "vocabulary", vocabulary);
  checkCount("embedding", "features", features);
  checkOptions("embedding", options, ["weightInit"]);
  const sizeAt = (site: Site) => ({ rows: site.rows, tokens: site.inputShapes[0]![0]!, vocabulary, features });
  return {
    kind: "embedding",
    prefix: "embedding",
    name: options.name,
    reads: "tokens",
    vocabulary,
    infer([shape = []], where) {
      if (shape.length !== 1) throw new OptionError(where, "input", "must be [time]", shape);
      const weight = { shape: [vocabulary, features], init: options.weightInit ?? normal() };
      return { output: [shape[0]!, features], params: { weight } };
    },
    forward(site) {
      const places = { tokens: site.input(), weight: site.param("weight"), output: site.output };
      site.run(site.kernel(embeddingForward, sizeAt(site), {}), places, ["output"]);
    },
    backward(site) {
      const { places, accumulate } = site.paramGradients("weight");
      site.run(
        site.kernel(embeddingWeightGradient, sizeAt(site), { accumulate }),
        { tokens: site.input(), outputGradient: site.outputGradient, weightGradient: places.weight },
        ["weightGradient"],
      );
    },
  };
}

/**
 * `x + weight`, the same `weight` for every sample and of the shape of the input: learned positions, for `[time, features]`.
 * Its name is `pos_emb`, which `decayGroups` leaves undecayed; it begins normal with standard deviation 0.02.
 *
 * @throws {OptionError}
 */
export function positionalEmbedding(options: LayerOptions & InitOptions = {}): Layer {
  checkOptions("positionalEmbedding", options, ["weightInit"]);
  const sizeAt = (site: Site) => ({ rows: site.rows, features: sizeOf(site.outputShape) });
  return {
    kind: "positionalEmbedding",
    prefix: "pos_emb",
    name: options.name ?? "pos_emb",
    infer: ([shape = []]) => ({
      output: shape,
      params: { weight: { shape, init: options.weightInit ?? normal(0, 0.02) } },
    }),
    forward(site) {
      const places = { input: site.input(), row: site.param("weight"), output: site.output };
      site.run(site.kernel(addRow, sizeAt(site), {}), places, ["output"]);
    },
    backward(site) {
      const { outputGradient } = site;
      const { places, accumulate } = site.paramGradients("weight");
      site.run(
        site.kernel(addRowGradient, sizeAt(site), { accumulate }),
        { outputGradient, rowGradient: places.weight },
        ["rowGradient"],
      );
      site.passGradient(0, outputGradient);
    },
  };
}
