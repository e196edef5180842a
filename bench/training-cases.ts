/** The networks of the train suite, with seeded parameters and a batch: the same for every implementation. */
import { conv2d, flatten, linear, type Model, maxPool2d, relu, sequential } from "../src/nn/index.ts";
import { words } from "../test/reference/prng.ts";

export const BATCH = 64;
export const PIXELS = 784;
export const CLASSES = 10;
/** Adam, which all of them have. */
export const ADAM = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 };

export const trainingCases = ["mlp", "cnn"] as const;
export type TrainingCase = (typeof trainingCases)[number];

export function modelOf(name: TrainingCase): Model {
  if (name === "mlp") return sequential([PIXELS], [linear(128), relu(), linear(CLASSES)]);
  return sequential(
    [1, 28, 28],
    [
      ...[conv2d(8, { kernel: 3, padding: 1 }), relu(), maxPool2d(2)],
      ...[conv2d(16, { kernel: 3, padding: 1 }), relu(), maxPool2d(2)],
      ...[flatten(), linear(CLASSES)],
    ],
  );
}

/** A batch of noise with a bright bar whose place tells the class. */
export interface TrainingBatch {
  /** `[BATCH, PIXELS]` */
  readonly images: Float32Array<ArrayBuffer>;
  /** `[BATCH]` */
  readonly labels: Int32Array<ArrayBuffer>;
  /** `[BATCH, CLASSES]` */
  readonly oneHot: Float32Array<ArrayBuffer>;
}

export function batchOf(): TrainingBatch {
  const labels = Int32Array.from({ length: BATCH }, (_, k) => words(1, 1, 0, k).w1 % CLASSES);
  const images = Float32Array.from({ length: BATCH * PIXELS }, (_, k) => {
    const row = Math.floor((k % PIXELS) / 28);
    const bright = Math.floor(row / 2.8) === labels[Math.floor(k / PIXELS)];
    return (words(1, 1, 1, k).w1 % 256) / 256 - 0.5 + (bright ? 1 : 0);
  });
  const oneHot = new Float32Array(BATCH * CLASSES);
  labels.forEach((label, k) => {
    oneHot[k * CLASSES + label] = 1;
  });
  return { images, labels, oneHot };
}
