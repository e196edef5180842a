/** A perceptron on MNIST: the standard run. */
import { adamw, decayGroups } from "../../src/index.ts";
import { crossEntropy, linear, relu, sequential } from "../../src/nn/index.ts";
import type { Example } from "./example.ts";
import { loadImages, MNIST_BYTES } from "./images.ts";
import { warmCosine } from "./warm-cosine.ts";

export const mlp: Example = {
  load: (onProgress) => loadImages("mnist", onProgress),
  recipe(steps) {
    const model = sequential([784], [linear(128), relu(), linear(10)]);
    return {
      model,
      loss: crossEntropy(),
      bytes: MNIST_BYTES,
      optimizer: {
        rule: adamw(),
        lr: warmCosine(5e-3, steps),
        groups: decayGroups(model.params, { weightDecay: 0.01 }),
        clip: { globalNorm: 1 },
      },
    };
  },
};
