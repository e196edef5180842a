/** A network of plain TensorFlow.js variables learns spirals; the optimizer works in place on them. */
import "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients";
import { examplePage } from "./example-page.ts";
import { uniform } from "./mnist/random.ts";
import { accuracy, CLASSES, type DenseLayer, drawPlane, spirals } from "./spirals.ts";
import { type Layer, train } from "./tfjs-core-training.ts";

const SIZES = [2, 32, 32, CLASSES];

async function onCpu(layers: readonly Layer[]): Promise<DenseLayer[]> {
  const values = async (v: tf.Variable) => (await v.data()) as Float32Array;
  return Promise.all(
    layers.map(async ({ weight, bias }) => ({ weight: await values(weight), bias: await values(bias) })),
  );
}

await examplePage(300, async ({ canvas, say, show, loss }, steps) => {
  if (!(await tf.setBackend("webgpu"))) throw new Error("This browser has no WebGPU that TensorFlow.js could use.");
  const data = spirals(100);
  const x = tf.tensor(data.points, [data.count, 2]);
  const y = tf.tidy(() => tf.oneHot(tf.tensor1d(Int32Array.from(data.labels), "int32"), CLASSES));
  const layers = SIZES.slice(1).map((outputs, l) => {
    const inputs = SIZES[l]!;
    const weight = uniform(2, l, inputs * outputs, Math.sqrt(6 / (inputs + outputs)));
    return tf.tidy(() => ({
      weight: tf.variable(tf.tensor(weight, [inputs, outputs]), true, `layers.${l}.weight`),
      bias: tf.variable(tf.zeros([outputs]), true, `layers.${l}.bias`),
    }));
  });
  say("Compiling ...");
  let first = Number.NaN;
  let last = Number.NaN;
  await train(layers, x, y, steps, async (step, value) => {
    if (Number.isNaN(first)) first = value;
    last = value;
    const now = await onCpu(layers);
    say("An update of the six variables is one compute pass, in the submission that computes their gradients.");
    show("Step", `${step} of ${steps}`);
    show("Loss", value.toFixed(4));
    show("Accuracy", `${(100 * accuracy(now, data)).toFixed(1)} %`);
    drawPlane(canvas, now, data);
    await loss(step, value);
  });
  const result = { first, last, accuracy: accuracy(await onCpu(layers), data) };
  tf.dispose([x, y, ...layers.flatMap(({ weight, bias }) => [weight, bias])]);
  return result;
});
