/** A residual network of about 100 000 parameters on Fashion-MNIST. It strides early, and works on 7 x 7. */
import { decayGroups, oneCycle, sgd } from "../../src/index.ts";
import {
  batchNorm,
  conv2d,
  crossEntropy,
  flatten,
  linear,
  maxPool2d,
  type Part,
  relu,
  residual,
  sequential,
} from "../../src/nn/index.ts";
import type { Example } from "./example.ts";
import { FASHION_BYTES, loadImages } from "./images.ts";

/** 3 x 3, and what belongs to it. */
const convolution = (width: number): Part => [
  conv2d(width, { kernel: 3, padding: 1, bias: false }),
  batchNorm(),
  relu(),
];

export const resnet: Example = {
  load: () => loadImages("fashion-mnist"),
  recipe(steps) {
    const stem = [conv2d(16, { kernel: 3, stride: 2, padding: 1, bias: false }), maxPool2d(2), batchNorm(), relu()];
    const body = [convolution(32), residual(convolution(32)), maxPool2d(2), flatten()];
    const head = [linear(256), relu(), linear(10)];
    const model = sequential([1, 28, 28], [stem, body, head]);
    return {
      model,
      loss: crossEntropy({ labelSmoothing: 0.1 }),
      bytes: FASHION_BYTES,
      augment: { flip: true },
      // The statistics of a few images would be poor.
      dropLast: true,
      optimizer: {
        rule: sgd({ momentum: 0.9, nesterov: true }),
        lr: oneCycle(0.1, steps),
        groups: decayGroups(model.params, { weightDecay: 5e-4 }),
        ema: { decay: 0.99 },
        clip: { globalNorm: 5 },
      },
    };
  },
};
