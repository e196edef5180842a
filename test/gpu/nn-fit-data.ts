/** Small data and a small model for the tests of `fit`. */
import { adamw, cosine } from "../../src/index.ts";
import {
  batchNorm,
  conv2d,
  crossEntropy,
  type DataSet,
  type FitOptions,
  flatten,
  linear,
  maxPool2d,
  relu,
  sequential,
} from "../../src/nn/index.ts";
import { words } from "../reference/prng.ts";

export const SIDE = 10;
export const CLASSES = 4;

/** Images of noise with a bright bar whose place tells the class. */
export function bars(count: number, stream: number): DataSet & { readonly target: Uint8Array } {
  const target = Uint8Array.from({ length: count }, (_, k) => words(1, stream, 0, k).w1 % CLASSES);
  const input = Uint8Array.from({ length: count * SIDE * SIDE }, (_, k) => {
    const row = Math.floor((k % (SIDE * SIDE)) / SIDE);
    const bright = Math.floor(row / 2.5) === target[Math.floor(k / (SIDE * SIDE))];
    return (words(1, stream, 1, k).w1 % 100) + (bright ? 100 : 0);
  });
  return { input, target };
}

/** With running statistics. */
export const convolution = () =>
  sequential(
    [1, SIDE, SIDE],
    [conv2d(4, { kernel: 3, padding: 1, bias: false }), batchNorm(), relu(), maxPool2d(2), flatten(), linear(CLASSES)],
  );

/** 9 batches of 16 an epoch and one of 6. */
export const SAMPLES = 150;

/** Everything that makes a run depend on where it is: schedule, clipping, average, augmentation, order. */
export function options(device: GPUDevice): FitOptions {
  return {
    device,
    model: convolution(),
    loss: crossEntropy(),
    batchSize: 16,
    bytes: { scale: 2, shift: -1 },
    optimizer: { rule: adamw(), lr: cosine(1e-2, 300), clip: { globalNorm: 1 }, ema: { decay: 0.9 } },
    data: bars(SAMPLES, 1),
    test: bars(70, 2),
    epochs: 2,
    seed: 7,
    augment: { shift: 1, flip: true, noise: 0.02 },
  };
}
