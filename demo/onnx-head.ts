/** A frozen ONNX model makes features of digits; a head on top of it is trained on onnxruntime-web's device. */

import wasm from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import * as ort from "onnxruntime-web/webgpu";
import { drawDigits } from "./draw-digits.ts";
import { examplePage } from "./example-page.ts";
import { loadMnist, type Split } from "./mnist/idx.ts";
import { backboneModel, FEATURES } from "./onnx-model.ts";
import { train } from "./onnx-training.ts";
import { meanOfLastColumn } from "./read-floats.ts";
import { evaluate } from "./spirals.ts";

const BATCH = 100;
const TRAINING_BATCHES = 20;
const TEST_BATCHES = 4;

/** Runs the model on batch `k` of a split. */
async function featuresOf(session: ort.InferenceSession, split: Split, k: number) {
  const size = BATCH * split.pixelsPerImage;
  const pixels = Float32Array.from(split.pixels.subarray(k * size, (k + 1) * size), (byte) => byte / 255);
  const { features } = await session.run({ images: new ort.Tensor("float32", pixels, [BATCH, 1, 28, 28]) });
  return { features: features!, labels: Uint32Array.from(split.labels.subarray(k * BATCH, (k + 1) * BATCH)) };
}

await examplePage(300, async ({ canvas, say, show, loss }, steps) => {
  say("Loading onnxruntime-web and MNIST ...");
  ort.env.wasm.wasmPaths = { wasm };
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(backboneModel(), {
    executionProviders: ["webgpu"],
    preferredOutputLocation: "gpu-buffer",
  });
  const mnist = await loadMnist(`${import.meta.env.BASE_URL}mnist/`);
  // Six times each in a short run, fifteen times in a whole one.
  const count = Math.min(TRAINING_BATCHES, Math.ceil(steps / 6));
  const batches: Awaited<ReturnType<typeof featuresOf>>[] = [];
  for (let k = 0; k < count; k++) {
    say(`The frozen model looks at images: ${k * BATCH} of ${count * BATCH} ...`);
    batches.push(await featuresOf(session, mnist.train, k));
  }
  // For the test on the CPU.
  const tests: { features: Float32Array; label: number }[] = [];
  for (let k = 0; k < TEST_BATCHES; k++) {
    const { features, labels } = await featuresOf(session, mnist.test, k);
    const values = (await features.getData(true)) as Float32Array;
    labels.forEach((label, i) => {
      tests.push({ features: values.subarray(i * FEATURES, (i + 1) * FEATURES), label });
    });
  }
  say(`${count * BATCH} images as ${FEATURES} features each, on the GPU since onnxruntime-web has computed them.`);
  let first = Number.NaN;
  let last = Number.NaN;
  let accuracy = 0;
  const trained = await train(batches, steps, async (step, optimizer, batch) => {
    last = await meanOfLastColumn(optimizer.device, batch, 11);
    if (Number.isNaN(first)) first = last;
    const head = { weight: await optimizer.readParam("weight"), bias: await optimizer.readParam("bias") };
    const right = tests.map(({ features, label }) => {
      const scores = [...(evaluate([head], features) as Float32Array)];
      return scores.indexOf(Math.max(...scores)) === label;
    });
    accuracy = right.filter(Boolean).length / right.length;
    show("Step", `${step} of ${steps}`);
    show("Loss of a batch", last.toFixed(4));
    show("Test accuracy", `${(100 * accuracy).toFixed(1)} %`);
    drawDigits(canvas, mnist.test, right);
    await loss(step, last);
  });
  trained.destroy();
  for (const { features } of batches) features.dispose();
  await session.release();
  return { first, last, accuracy };
});
