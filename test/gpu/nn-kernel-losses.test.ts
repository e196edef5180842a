import { describe, expect, it } from "vitest";
import { rowsOf } from "../../src/nn/activation.ts";
import { BATCH_BYTES, OUTCOME_BYTES, RECORD_BYTES } from "../../src/nn/batch.ts";
import { bceWithLogits, crossEntropy, huber, l1, mse } from "../../src/nn/kernels/losses.ts";
import { batchMetrics, lossRecord } from "../../src/nn/kernels/metrics.ts";
import { testDevice } from "../browser/device.ts";
import * as twin from "../reference/nn/losses.ts";
import { awayFromZero, dirty, expectTwin, forShapes, numericGradient, picker } from "./nn-kernel-checks.ts";
import { readActivation, readWords, run, upload, uploadActivation, values } from "./nn-matrices.ts";

const SLOT = 2;

function buffersOf(device: GPUDevice, count: number, tokens: number) {
  const batch = Uint32Array.from({ length: BATCH_BYTES / 4 }, (_, k) => [0, count, SLOT][k] ?? 0);
  return {
    batch: { buffer: upload(device, "batch", batch) },
    outcomes: { buffer: upload(device, "outcomes", new Uint32Array((tokens * OUTCOME_BYTES) / 4).fill(7)) },
    records: { buffer: upload(device, "records", new Uint32Array(((SLOT + 1) * RECORD_BYTES) / 4)) },
  };
}

async function recordOf(device: GPUDevice, { buffer }: { buffer: GPUBuffer }) {
  const read = await readWords(device, buffer);
  const [, correct, count, topK] = Array.from(new Uint32Array(read, SLOT * RECORD_BYTES, 4));
  return { loss: new Float32Array(read, SLOT * RECORD_BYTES, 1)[0]!, correct, count, topK };
}

describe("cross-entropy", () => {
  it("agrees with float64 for random shapes, with and without weights of classes and smoothing", async () => {
    const device = await testDevice();
    await forShapes(async (seed) => {
      const pick = picker(10, seed);
      const [samples, tokens, classes] = [pick(1, 9), pick(1, 3), pick(2, 9)];
      const count = Math.max(1, samples - pick(0, 2));
      const [classWeights, labelSmoothing, k] = [seed % 2 === 1, [0, 0.1, 0.3][seed % 3]!, pick(1, 3)];
      const width = tokens * classes;
      const shape = { rows: rowsOf(samples), tokens, classes };
      const logits = values(seed, samples * width).map((v) => 5 * v);
      const labels = Uint32Array.from({ length: shape.rows * tokens }, () => pick(0, classes - 1));
      const weights = values(seed + 50, classes).map((v) => (classWeights ? v + 1.25 : 1));
      const [loss, metrics] = await Promise.all([
        crossEntropy(device, "loss", shape, { classWeights, labelSmoothing }),
        batchMetrics(device, "metrics", shape, { k }),
      ]);
      const buffers = buffersOf(device, count, shape.rows * tokens);
      const logitsGradient = dirty(device, samples, width);
      const own = {
        ...buffers,
        logits: { buffer: uploadActivation(device, "logits", logits, samples, width) },
        labels: { buffer: upload(device, "labels", labels) },
        classWeights: { buffer: upload(device, "weights", weights) },
      };
      run(device, [loss.on({ ...own, logitsGradient }), metrics.on(own)]);
      const used = logits.subarray(0, count * width);
      const usedLabels = labels.subarray(0, count * tokens);
      const f = (z: ArrayLike<number>) => twin.crossEntropy(z, usedLabels, weights, labelSmoothing);
      const got = await readActivation(device, logitsGradient.buffer, samples, width);
      // WGSL grants exp(x) an error of 3 + 2 |x| roundings, |x| up to 10 here.
      expectTwin("dz", got.subarray(0, count * width), numericGradient(used, f), 4 * classes);
      expect(got.subarray(count * width).every((d) => d === 0)).toBe(true);
      const record = await recordOf(device, buffers.records);
      expectTwin("loss", [record.loss], [f(used)], 4 * count * tokens);
      const ranks = Array.from(usedLabels, (label, t) => {
        const z = used.subarray(t * classes, (t + 1) * classes);
        return z.filter((v) => v > z[label]!).length;
      });
      expect(record.correct).toBe(ranks.filter((rank) => rank === 0).length);
      expect(record.topK).toBe(ranks.filter((rank) => rank < k).length);
      expect(record.count).toBe(count * tokens);
    });
  });

  it("weighs every token of a batch of more than a workgroup goes through at once", async () => {
    const device = await testDevice();
    const [samples, tokens, classes] = [40, 31, 4];
    const shape = { rows: rowsOf(samples), tokens, classes };
    const logits = values(1, samples * tokens * classes);
    const pick = picker(11, 1);
    const labels = Uint32Array.from({ length: samples * tokens }, () => pick(0, classes - 1));
    // What is of a class without weight does not count, as with torch's ignore_index.
    const weights = Float32Array.of(0.5, 0, 2, 3);
    const loss = await crossEntropy(device, "loss", shape, { classWeights: true });
    const metrics = await batchMetrics(device, "metrics", shape);
    const own = {
      ...buffersOf(device, samples, samples * tokens),
      logits: { buffer: uploadActivation(device, "logits", logits, samples, tokens * classes) },
      labels: { buffer: upload(device, "labels", labels) },
      classWeights: { buffer: upload(device, "weights", weights) },
    };
    const logitsGradient = dirty(device, samples, tokens * classes);
    run(device, [loss.on({ ...own, logitsGradient }), metrics.on(own)]);
    const record = await recordOf(device, own.records);
    expectTwin("loss", [record.loss], [twin.crossEntropy(logits, labels, weights, 0)], samples * tokens);
    const dz = await readActivation(device, logitsGradient.buffer, samples, tokens * classes);
    labels.forEach((label, t) => {
      const slopes = dz.subarray(t * classes, (t + 1) * classes);
      expect(slopes.every((d) => d === 0)).toBe(label === 1);
    });
  });

  it("huge logits neither overflow nor give the logarithm of 0", async () => {
    const device = await testDevice();
    const shape = { rows: 8, classes: 3 };
    const loss = await crossEntropy(device, "loss", shape);
    const buffers = buffersOf(device, 2, 8);
    const logits = { buffer: uploadActivation(device, "logits", [1e4, 0, -1e4, -1e4, 0, 1e4], 2, 3) };
    const labels = { buffer: upload(device, "labels", new Uint32Array(8)) };
    const logitsGradient = dirty(device, 2, 3);
    run(device, [loss.on({ ...buffers, logits, labels, classWeights: labels, logitsGradient })]);
    const outcomes = new Float32Array(await readWords(device, buffers.outcomes.buffer));
    expect([outcomes[0], outcomes[2]]).toEqual([0, 20000]);
    expect(Array.from(await readActivation(device, logitsGradient.buffer, 2, 3))).toEqual([0, 0, 0, -0.5, 0, 0.5]);
  });
});

it("cross-entropy of a NaN is NaN", async () => {
  const device = await testDevice();
  const loss = await crossEntropy(device, "loss", { rows: 8, classes: 3 });
  const buffers = buffersOf(device, 2, 8);
  const logits = { buffer: uploadActivation(device, "logits", [1, Number.NaN, 2, 1, 2, 3], 2, 3) };
  const labels = { buffer: upload(device, "labels", new Uint32Array(8)) };
  const logitsGradient = dirty(device, 2, 3);
  run(device, [loss.on({ ...buffers, logits, labels, classWeights: labels, logitsGradient })]);
  const outcomes = new Float32Array(await readWords(device, buffers.outcomes.buffer));
  expect([outcomes[0], outcomes[2]].map(Number.isNaN)).toEqual([true, false]);
  const gradient = Array.from(await readActivation(device, logitsGradient.buffer, 2, 3));
  expect(gradient.map(Number.isNaN)).toEqual([true, true, true, false, false, false]);
});

describe.each([
  { name: "mse", make: mse, formula: twin.mse },
  { name: "l1", make: l1, formula: twin.l1 },
  { name: "bceWithLogits", make: bceWithLogits, formula: twin.bceWithLogits },
  {
    name: "huber",
    make: (device: GPUDevice, label: string, shape: { rows: number; features: number }) =>
      huber(device, label, shape, { delta: 0.7 }),
    formula: twin.huber(0.7),
  },
])("$name", ({ make, formula }) => {
  it("agrees with float64 for random shapes, rows behind the batch taking no part", async () => {
    const device = await testDevice();
    await forShapes(async (seed) => {
      const pick = picker(11, seed);
      const [samples, features] = [pick(1, 9), pick(1, 20)];
      const count = Math.max(1, samples - pick(0, 2));
      const shape = { rows: rowsOf(samples), features };
      const target = values(seed, samples * features).map((v) => (v + 1) / 2);
      // Away from the kinks of L1, at 0, and of Huber, at 0.7.
      const x = awayFromZero(seed + 50, target.length).map((v, k) => {
        const d = 2 * v;
        return target[k]! + (Math.abs(Math.abs(d) - 0.7) < 0.01 ? d * 1.1 : d);
      });
      const [loss, record] = await Promise.all([make(device, "loss", shape), lossRecord(device, "record", shape)]);
      const buffers = buffersOf(device, count, shape.rows);
      const predictionGradient = dirty(device, samples, features);
      run(device, [
        loss.on({
          ...buffers,
          prediction: { buffer: uploadActivation(device, "x", x, samples, features) },
          target: { buffer: uploadActivation(device, "t", target, samples, features) },
          predictionGradient,
        }),
        record.on(buffers),
      ]);
      const used = x.subarray(0, count * features);
      const f = (moved: ArrayLike<number>) => formula(moved, target);
      const got = await readActivation(device, predictionGradient.buffer, samples, features);
      expectTwin("dx", got.subarray(0, count * features), numericGradient(used, f), 1);
      expect(got.subarray(count * features).every((d) => d === 0)).toBe(true);
      const told = await recordOf(device, buffers.records);
      expectTwin("loss", [told.loss], [f(used)], count * features);
      expect([told.correct, told.count, told.topK]).toEqual([0, count, 0]);
    });
  });

  it("NaN stays NaN", async () => {
    const device = await testDevice();
    const loss = await make(device, "loss", { rows: 8, features: 1 });
    const buffers = buffersOf(device, 1, 8);
    const predictionGradient = dirty(device, 1, 1);
    const prediction = { buffer: uploadActivation(device, "x", [Number.NaN], 1, 1) };
    const target = { buffer: uploadActivation(device, "t", [0], 1, 1) };
    run(device, [loss.on({ ...buffers, prediction, target, predictionGradient })]);
    expect((await readActivation(device, predictionGradient.buffer, 1, 1))[0]).toBeNaN();
    expect(new Float32Array(await readWords(device, buffers.outcomes.buffer))[0]).toBeNaN();
  });
});
