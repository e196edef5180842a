import type * as tf from "@tensorflow/tfjs-core";
import { type LayersModel, layers, type Sequential, sequential } from "@tensorflow/tfjs-layers";
import { adamw, cosine, decayGroups, type Figures } from "../src/index.ts";
import { fused } from "../src/tfjs/index.ts";

/** Two convolutions with pooling, and a dense layer. */
export function digitsModel(): Sequential {
  return sequential({
    layers: [
      layers.conv2d({ inputShape: [28, 28, 1], filters: 8, kernelSize: 3, strides: 2, activation: "relu" }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.conv2d({ filters: 16, kernelSize: 3, activation: "relu" }),
      layers.flatten(),
      layers.dense({ units: 10, activation: "softmax" }),
    ],
  });
}

/** Trains on images `x` and one-hot classes `y`. */
export async function train(
  model: LayersModel,
  x: tf.Tensor,
  y: tf.Tensor,
  steps: number,
  look: (step: number, loss: number, figures: Figures | undefined) => Promise<void>,
): Promise<void> {
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const optimizer = await fused(adamw(), {
    lr: cosine(0.005, steps), // a new rate at every step, and never a new pipeline
    groups: decayGroups(variables, { weightDecay: 0.05 }), // none for biases
    clip: { globalNorm: 1 },
    monitor: { every: 5 }, // norms come back from the GPU when they are there; no step waits for them
  });
  let figures: Figures | undefined;
  optimizer.on("figures", (latest) => {
    figures = latest;
  });
  model.compile({ optimizer, loss: "categoricalCrossentropy" });
  const batchSize = 32;
  const perEpoch = (x.shape[0] as number) / batchSize;
  await model.fit(x, y, {
    batchSize,
    epochs: Math.ceil(steps / perEpoch),
    callbacks: {
      async onBatchEnd(_, logs) {
        const step = optimizer.iterations;
        if (step % 20 === 0 || step === 1) await look(step, logs?.loss as number, figures);
        if (step >= steps) model.stopTraining = true;
      },
    },
  });
  optimizer.dispose();
}
