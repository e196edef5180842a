/** An autoencoder: an image of MNIST through 16 numbers and back. */
import { adamw } from "../../src/index.ts";
import { bceWithLogits, type DataSet, linear, relu, sequential } from "../../src/nn/index.ts";
import type { Example } from "./example.ts";
import { loadImages } from "./images.ts";
import { warmCosine } from "./warm-cosine.ts";

export const autoencoder: Example = {
  async load(onProgress) {
    const { data, test, count } = await loadImages("mnist", onProgress);
    // What comes out is to be what went in: the same bytes, held once.
    const own = ({ input }: DataSet): DataSet => ({ input, target: input });
    return { data: own(data), test: own(test), count };
  },
  recipe: (steps) => ({
    model: sequential([784], [linear(128), relu(), linear(16), linear(128), relu(), linear(784)]),
    loss: bceWithLogits(),
    bytes: { scale: 1, shift: 0 },
    optimizer: { rule: adamw(), lr: warmCosine(2e-3, steps), weightDecay: 0, clip: { globalNorm: 1 } },
  }),
};
