/** A perceptron on MNIST: the standard run. */
import { crossEntropy } from "../../src/nn/index.ts";
import { network } from "../mnist/network.ts";
import { standardChoice } from "../mnist/setup.ts";
import type { Example } from "./example.ts";
import { loadImages, MNIST_BYTES } from "./images.ts";

export const mlp: Example = {
  load: () => loadImages("mnist"),
  recipe: (steps) => ({
    model: network(),
    loss: crossEntropy(),
    bytes: MNIST_BYTES,
    optimizer: standardChoice(steps),
  }),
};
