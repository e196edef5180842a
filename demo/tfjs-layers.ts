/** A layers model of TensorFlow.js learns digits; the optimizer works in place on its variables. */
import "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { drawDigits } from "./draw-digits.ts";
import { examplePage } from "./example-page.ts";
import { loadMnist, type Split } from "./mnist/idx.ts";
import { digitsModel, train } from "./tfjs-layers-training.ts";

const TRAINING = 3200;
const TEST = 200;

function imagesOf({ pixels, pixelsPerImage }: Split, count: number): tf.Tensor {
  const values = Float32Array.from(pixels.subarray(0, count * pixelsPerImage), (byte) => byte / 255);
  return tf.tensor(values, [count, 28, 28, 1]);
}

await examplePage(200, async ({ canvas, say, show, loss }, steps) => {
  if (!(await tf.setBackend("webgpu"))) throw new Error("This browser has no WebGPU that TensorFlow.js could use.");
  const mnist = await loadMnist(`${import.meta.env.BASE_URL}mnist/`);
  const x = imagesOf(mnist.train, TRAINING);
  const y = tf.tidy(() => tf.oneHot(tf.tensor1d(mnist.train.labels.subarray(0, TRAINING), "int32"), 10));
  const testX = imagesOf(mnist.test, TEST);
  const model = digitsModel();
  let first = Number.NaN;
  let last = Number.NaN;
  let accuracy = 0;
  say("Compiling ...");
  await train(model, x, y, steps, async (step, value, figures) => {
    if (Number.isNaN(first)) first = value;
    last = value;
    const guesses = tf.tidy(() => tf.argMax(model.predict(testX) as tf.Tensor, 1));
    const right = Array.from(await guesses.data(), (guess, i) => guess === mnist.test.labels[i]);
    guesses.dispose();
    accuracy = right.filter(Boolean).length / TEST;
    say("An update of the six variables is one compute pass, in the submission that computes their gradients.");
    show("Step", `${step} of ${steps}`);
    show("Loss of a batch", value.toFixed(4));
    show("Test accuracy", `${(100 * accuracy).toFixed(1)} %`);
    if (figures) {
      show("Gradient norm", figures.gradNorm.toPrecision(3));
      show("Update / parameter", figures.updateRatio.toExponential(1));
    }
    drawDigits(canvas, mnist.test, right);
    await loss(step, value);
  });
  tf.dispose([x, y, testX]);
  model.dispose();
  return { first, last, accuracy };
});
