/** A residual network of about 100 000 parameters on Fashion-MNIST. It strides early: its blocks work on 7 x 7 and 3 x 3. */
import { decayGroups, oneCycle, sgd } from "../../src/index.ts";
import {
  batchNorm,
  conv2d,
  crossEntropy,
  globalAvgPool2d,
  linear,
  maxPool2d,
  type Part,
  relu,
  residual,
  sequential,
} from "../../src/nn/index.ts";
import type { Example } from "./example.ts";
import { FASHION_BYTES, loadImages } from "./images.ts";

/** Two convolutions beside one of 1 x 1. He et al. (2016), arXiv:1512.03385. */
function block(width: number): Part {
  const convolution = (kernel: number) => [conv2d(width, { kernel, padding: kernel >> 1, bias: false }), batchNorm()];
  return [residual([convolution(3), relu(), convolution(3)], convolution(1)), relu()];
}

export const resnet: Example = {
  load: () => loadImages("fashion-mnist"),
  recipe(steps) {
    const stem = [conv2d(24, { kernel: 3, stride: 2, padding: 1, bias: false }), batchNorm(), relu(), maxPool2d(2)];
    const model = sequential([1, 28, 28], [stem, block(32), maxPool2d(2), block(76), globalAvgPool2d(), linear(10)]);
    return {
      model,
      loss: crossEntropy({ labelSmoothing: 0.1 }),
      bytes: FASHION_BYTES,
      augment: { shift: 1, flip: true },
      // The statistics of a few images would be poor.
      dropLast: true,
      optimizer: {
        rule: sgd({ momentum: 0.9, nesterov: true }),
        lr: oneCycle(0.2, steps),
        groups: decayGroups(model.params, { weightDecay: 5e-4 }),
        ema: { decay: 0.99 },
        clip: { globalNorm: 5 },
      },
    };
  },
};
