import { describe, expect, it } from "vitest";
import { parseSplit, type Split } from "../../demo/mnist/idx.ts";
import { network } from "../../demo/mnist/network.ts";
import { SIZES } from "../../demo/mnist/recipe.ts";
import { standardChoice } from "../../demo/mnist/setup.ts";
import { hashParams, Trainer } from "../../demo/mnist/trainer.ts";
import { sgd } from "../../src/index.ts";
import { shuffled } from "../../src/nn/index.ts";
import { testDevice } from "../browser/device.ts";
import { mlpLossAndGradients } from "../reference/mlp.ts";
import { words } from "../reference/prng.ts";
import { worstExcess } from "./nn-matrices.ts";

const PIXELS = SIZES[0];

/** Images of noise with a bright bar whose place tells the class. */
function bars(count: number, stream: number): Split {
  const labels = Uint8Array.from({ length: count }, (_, k) => words(1, stream, 0, k).w1 % 10);
  const pixels = Uint8Array.from({ length: count * PIXELS }, (_, k) => {
    const row = Math.floor((k % PIXELS) / 28);
    const bright = Math.floor(row / 2.8) === labels[Math.floor(k / PIXELS)];
    return (words(1, stream, 1, k).w1 % 100) + (bright ? 100 : 0);
  });
  return { count, pixelsPerImage: PIXELS, pixels, labels };
}

// 300 images: two whole batches and one of 44.
const data = { train: bars(300, 1), test: bars(200, 2) };

async function train(trainer: Trainer, steps: number) {
  const records = [];
  for await (const chunk of trainer.train(steps)) records.push(...chunk);
  return records;
}

describe("Trainer", () => {
  it("goes through the epochs, learns, and gives equal bits each time", async () => {
    const device = await testDevice();
    const runs = [];
    for (let run = 0; run < 2; run++) {
      const trainer = await Trainer.create(device, data, 5, standardChoice(30));
      const records = await train(trainer, 30);
      expect(records.map(({ step }) => step)).toEqual(Array.from({ length: 30 }, (_, k) => k + 1));
      expect(records.slice(0, 3).map(({ count }) => count)).toEqual([128, 128, 44]);
      const { accuracy, loss, predicted } = await trainer.evaluate();
      expect(predicted.filter((digit, k) => digit === data.test.labels[k]).length).toBe(accuracy * 200);
      runs.push({ records, accuracy, loss, hash: await hashParams(trainer.optimizer) });
      trainer.destroy();
    }
    expect(runs[1]).toEqual(runs[0]);
    // Guessing: a loss of log 10 = 2.3 and an accuracy of 0.1.
    expect(runs[0]!.loss).toBeLessThan(0.1);
    expect(runs[0]!.accuracy).toBeGreaterThan(0.98);
  });

  it("makes the step that the float64 twin makes", async () => {
    const device = await testDevice();
    const lr = 0.1;
    const trainer = await Trainer.create(device, data, 5, { rule: sgd(), lr, weightDecay: 0 });
    const [record] = await train(trainer, 1);
    const { tensors } = await trainer.optimizer.stateDict();
    trainer.destroy();

    const images = shuffled(5, 1000, data.train.count).subarray(0, 128);
    const x = Array.from(images).flatMap((k) =>
      Array.from(data.train.pixels.subarray(k * PIXELS, (k + 1) * PIXELS), (p) => (p / 255 - 0.1307) / 0.3081),
    );
    const labels = Array.from(images, (k) => data.train.labels[k]!);
    const initial = network()
      .init(5)
      .map(({ data }) => data);
    const [weight1, bias1, weight2, bias2] = initial as [Float32Array, Float32Array, Float32Array, Float32Array];
    const sizes = { inFeatures: PIXELS, hidden: SIZES[1], classes: SIZES[2] };
    const want = mlpLossAndGradients(x, labels, { weight1, bias1, weight2, bias2 }, sizes);

    // Tolerances: see nn-plan.test.ts; these inputs are up to 3 in size and all of one sign.
    expect(Math.abs(record!.loss - want.loss)).toBeLessThan(2e-5);
    Object.values(want.gradients).forEach((gradient, k) => {
      const now = Object.values(tensors)[k]!.param;
      const moved = initial[k]!.map((before, i) => (before - now[i]!) / lr);
      const largest = Math.max(...Array.from(gradient, Math.abs));
      // The difference of two float32 weights of up to 0.1 is good to 2^-28, divided by lr.
      const bound = 1e-5 * largest + 2 ** -27 / lr;
      expect(
        worstExcess(moved, gradient, () => bound),
        Object.keys(tensors)[k],
      ).toBeLessThanOrEqual(0);
    });
  });

  it("stops where it is told to, and goes on with another optimizer from the same weights", async () => {
    const device = await testDevice();
    const trainer = await Trainer.create(device, data, 5, standardChoice(100));
    let asked = 0;
    const records = [];
    for await (const chunk of trainer.train(100, () => ++asked <= 3)) records.push(...chunk);
    // Nothing of what was submitted is lost.
    expect(records.length).toBe(trainer.steps);
    expect(records.length).toBe(24);
    const before = await hashParams(trainer.optimizer);
    await trainer.replaceOptimizer({ rule: sgd(), lr: 0.01 });
    expect(await hashParams(trainer.optimizer)).toBe(before);
    const [next] = await train(trainer, 1);
    expect(next!.step).toBe(25);
    expect(await hashParams(trainer.optimizer)).not.toBe(before);
    await trainer.restart(standardChoice(100));
    const [first] = await train(trainer, 1);
    expect(first).toEqual(records[0]);
    trainer.destroy();
  });
});

describe("parseSplit", () => {
  const images = new Uint8Array([
    0,
    0,
    8,
    3,
    0,
    0,
    0,
    2,
    0,
    0,
    0,
    2,
    0,
    0,
    0,
    3,
    ...Array.from({ length: 12 }, (_, k) => k),
  ]);
  const labels = new Uint8Array([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]);

  it("reads images and labels", () => {
    const split = parseSplit(images, labels);
    expect([split.count, split.pixelsPerImage]).toEqual([2, 6]);
    expect(Array.from(split.pixels)).toEqual(Array.from({ length: 12 }, (_, k) => k));
    expect(Array.from(split.labels)).toEqual([7, 9]);
  });

  it.each([
    ["labels for images", labels, labels, /not an IDX file of kind 2051/],
    ["nothing", new Uint8Array(0), labels, /not an IDX file/],
    ["a file that is cut off", images.subarray(0, 27), labels, /cut off/],
    ["labels of another set", images, new Uint8Array([0, 0, 8, 1, 0, 0, 0, 3, 7, 9, 1]), /2 images but 3 labels/],
  ])("refuses %s", (_, imageFile, labelFile, message) => {
    expect(() => parseSplit(imageFile, labelFile)).toThrow(message);
  });
});

it("shuffled gives every number once, and another order for another epoch", () => {
  const first = shuffled(1, 1000, 1000);
  const second = shuffled(1, 1001, 1000);
  for (const order of [first, second]) {
    expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, k) => k));
  }
  // Two random orders agree in about one place.
  expect(first.filter((k, i) => k === second[i]).length).toBeLessThan(8);
  expect(first.filter((k, i) => k === i).length).toBeLessThan(8);
});
