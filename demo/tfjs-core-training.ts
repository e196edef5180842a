import * as tf from "@tensorflow/tfjs-core";
import { adamw, cosine, decayGroups } from "../src/index.ts";
import { fused } from "../src/tfjs/index.ts";

export type Layer = { weight: tf.Variable; bias: tf.Variable };

/** Dense layers with tanh between them. */
function scores(layers: readonly Layer[], x: tf.Tensor): tf.Tensor {
  return layers.reduce((h, { weight, bias }, i) => {
    const sums = tf.add(tf.matMul(h, weight), bias);
    return i < layers.length - 1 ? tf.tanh(sums) : sums;
  }, x);
}

/** Trains on inputs `x` and one-hot targets `y`. */
export async function train(
  layers: readonly Layer[],
  x: tf.Tensor,
  y: tf.Tensor,
  steps: number,
  look: (step: number, loss: number) => Promise<void>,
): Promise<void> {
  const variables = layers.flatMap(({ weight, bias }) => [weight, bias]);
  const optimizer = await fused(adamw(), {
    lr: cosine(0.02, steps), // a new rate at every step, and never a new pipeline
    groups: decayGroups(variables, { weightDecay: 0.01 }), // none for biases
    clip: { globalNorm: 1 },
  });
  for (let step = 1; step <= steps; step++) {
    const cost = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(y, scores(layers, x)), true, variables);
    if (step % 20 === 0) await look(step, (await cost?.data())?.[0] as number);
    cost?.dispose();
  }
  optimizer.dispose();
}
