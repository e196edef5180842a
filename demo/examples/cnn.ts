/** A small convolutional network on MNIST. */
import { adamw, decayGroups } from "../../src/index.ts";
import { conv2d, crossEntropy, flatten, linear, maxPool2d, relu, sequential } from "../../src/nn/index.ts";
import type { Example } from "./example.ts";
import { loadImages, MNIST_BYTES } from "./images.ts";
import { warmCosine } from "./warm-cosine.ts";

export const convolutional = () =>
  sequential(
    [1, 28, 28],
    [
      ...[conv2d(8, { kernel: 3, padding: 1 }), relu(), maxPool2d(2)],
      ...[conv2d(16, { kernel: 3, padding: 1 }), relu(), maxPool2d(2)],
      ...[flatten(), linear(10)],
    ],
  );

export const cnn: Example = {
  load: (onProgress) => loadImages("mnist", onProgress),
  recipe(steps) {
    const model = convolutional();
    return {
      model,
      loss: crossEntropy(),
      bytes: MNIST_BYTES,
      augment: { shift: 1 },
      optimizer: {
        rule: adamw(),
        lr: warmCosine(5e-3, steps),
        groups: decayGroups(model.params, { weightDecay: 0.01 }),
        clip: { globalNorm: 1 },
      },
    };
  },
};
