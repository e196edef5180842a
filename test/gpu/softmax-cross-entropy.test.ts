import { describe, expect, it } from "vitest";
import { quadsOf, rowsOf } from "../../src/nn/activation.ts";
import { BATCH_BYTES, batchRecord, OUTCOME_BYTES, RECORD_BYTES } from "../../src/nn/batch.ts";
import { softmaxCrossEntropy } from "../../src/nn/softmax-cross-entropy.ts";
import { testDevice } from "../browser/device.ts";
import * as twin from "../reference/mlp.ts";
import { words } from "../reference/prng.ts";
import { readActivation, readWords, run, upload, uploadActivation, values, worstExcess } from "./nn-matrices.ts";

const SLOT = 3;

/** Runs loss and record over `samples` rows of `logits`, of which the first `count` are the batch. */
async function classify(logits: Float32Array, labels: Uint32Array, classes: number, count = labels.length) {
  const device = await testDevice();
  const samples = labels.length;
  const rows = rowsOf(samples);
  const paddedLabels = new Uint32Array(rows);
  paddedLabels.set(labels);
  const labelsBuffer = upload(device, "labels", paddedLabels);
  const batch = upload(
    device,
    "batch",
    new Uint32Array(BATCH_BYTES / 4).fill(0).map((_, k) => [0, count, SLOT, 0][k]!),
  );
  const outcomes = upload(device, "outcomes", new Uint32Array((rows * OUTCOME_BYTES) / 4));
  const records = upload(device, "records", new Uint32Array(((SLOT + 2) * RECORD_BYTES) / 4));
  const gradient = upload(device, "gradient", values(9, rows * quadsOf(classes) * 4));
  const loss = await softmaxCrossEntropy(device, "loss", { rows, classes });
  const record = await batchRecord(device, "record");
  run(device, [
    loss.on({
      batch: { buffer: batch },
      logits: { buffer: uploadActivation(device, "logits", logits, samples, classes) },
      labels: { buffer: labelsBuffer },
      logitsGradient: { buffer: gradient },
      outcomes: { buffer: outcomes },
    }),
    record.on({
      batch: { buffer: batch },
      outcomes: { buffer: outcomes },
      labels: { buffer: labelsBuffer },
      records: { buffer: records },
    }),
  ]);
  const outcomeWords = await readWords(device, outcomes);
  const recordWords = await readWords(device, records);
  return {
    gradient: await readActivation(device, gradient, samples, classes),
    losses: Array.from({ length: count }, (_, r) => new Float32Array(outcomeWords)[2 * r]!),
    predicted: Array.from({ length: count }, (_, r) => new Uint32Array(outcomeWords)[2 * r + 1]!),
    loss: new Float32Array(recordWords)[SLOT * 4]!,
    correct: new Uint32Array(recordWords)[SLOT * 4 + 1]!,
    count: new Uint32Array(recordWords)[SLOT * 4 + 2]!,
    otherRecords: Array.from(new Uint32Array(recordWords)).filter((_, k) => Math.floor(k / 4) !== SLOT),
  };
}

const randomLabels = (samples: number, classes: number) =>
  Uint32Array.from({ length: samples }, (_, r) => words(5, 1, 0, r).w1 % classes);

describe.each([
  { samples: 1, classes: 1 },
  { samples: 7, classes: 5 },
  { samples: 64, classes: 4 },
  { samples: 65, classes: 13 },
  { samples: 128, classes: 10 },
  { samples: 300, classes: 3 }, // more rows than the record's workgroup has invocations, several times
])("$samples samples, $classes classes", ({ samples, classes }) => {
  it("agrees with the float64 twin", async () => {
    const logits = values(1, samples * classes).map((z) => 10 * z);
    const labels = randomLabels(samples, classes);
    const want = twin.softmaxCrossEntropy(logits, labels, classes);
    const got = await classify(logits, labels, classes);
    // WGSL grants exp(x) an error of 3 + 2 |x| ulp, |x| <= 20 here; the sum and the quotient add a few more.
    const relative = (3 + 2 * 20 + 8) * 2 ** -23;
    const bound = (k: number) => (2 * relative) / samples + 2 ** -23 * Math.abs(want.gradient[k]!);
    expect(worstExcess(got.gradient, want.gradient, bound)).toBeLessThanOrEqual(0);
    // The logarithm of such a sum, the error of log itself (2^-21 near 1, else 3 ulp of at most 3), rounding of z (up to 20).
    const lossBound = relative + 2 ** -21 + 9 * 2 ** -23 + 40 * 2 ** -23;
    expect(worstExcess(got.losses, want.losses, () => lossBound)).toBeLessThanOrEqual(0);
    expect(got.predicted).toEqual(want.predicted);
    const mean = want.losses.reduce((sum, l) => sum + l, 0) / samples;
    expect(Math.abs(got.loss - mean)).toBeLessThanOrEqual(lossBound + samples * 2 ** -24 * mean);
    expect(got.correct).toBe(want.predicted.filter((p, r) => p === labels[r]).length);
    expect(got.count).toBe(samples);
    expect(got.otherRecords.every((word) => word === 0)).toBe(true);
  });
});

it("rows behind a short batch have no gradient and do not count", async () => {
  const classes = 10;
  const logits = values(2, 128 * classes);
  const labels = randomLabels(128, classes);
  const whole = await classify(logits, labels, classes, 96);
  const short = await classify(logits.slice(0, 96 * classes), labels.slice(0, 96), classes);
  expect(whole.gradient.slice(0, 96 * classes)).toEqual(short.gradient);
  expect(whole.gradient.slice(96 * classes).every((g) => g === 0)).toBe(true);
  expect([whole.loss, whole.correct, whole.count]).toEqual([short.loss, short.correct, 96]);
});

it("huge logits neither overflow nor give the logarithm of 0", async () => {
  const got = await classify(new Float32Array([10000, 0, -10000, -10000, 0, 10000]), new Uint32Array([0, 0]), 3);
  expect(got.losses).toEqual([0, 20000]);
  expect(Array.from(got.gradient, (g) => g * 2)).toEqual([0, 0, 0, -1, 0, 1]);
});

it("of equal logits the first one is predicted", async () => {
  const got = await classify(new Float32Array([1, 2, 2, 3, 3, 3]), new Uint32Array([1, 0]), 3);
  expect(got.predicted).toEqual([1, 0]);
  expect(got.correct).toBe(2);
});
