import { describe, expect, it } from "vitest";
import { rowsOf } from "../../src/nn/activation.ts";
import { BATCH_BYTES } from "../../src/nn/batch.ts";
import { batchNormBackward, batchNormEvaluate, batchNormForward } from "../../src/nn/kernels/batch-norm.ts";
import * as norm from "../../src/nn/kernels/segment-norm.ts";
import { testDevice } from "../browser/device.ts";
import { normalize } from "../reference/nn/norms.ts";
import {
  awayFromZero,
  dirty,
  expectTwin,
  forShapes,
  inner,
  numericGradient,
  PARTS,
  picker,
} from "./nn-kernel-checks.ts";
import { readActivation, run, upload, uploadActivation, uploadArena, values } from "./nn-matrices.ts";

/**
 * What differs from 2e-6: the gradient of the input is a difference of numbers that can be much larger than it (it is what remains of
 * dy after its mean and its part along x are taken away), and a deviation carries the error of the differences x - mean.
 */
const CANCELLATION = 8;

const batchOf = (device: GPUDevice, count: number) => ({
  buffer: upload(
    device,
    "batch",
    Uint32Array.from({ length: BATCH_BYTES / 4 }, (_, k) => (k === 1 ? count : 0)),
  ),
});

describe("batch normalization", () => {
  it.each(PARTS)("agrees with float64 from shape %i on, rows behind the batch taking no part", async (part) => {
    const device = await testDevice();
    await forShapes(async (seed) => {
      const pick = picker(3, seed);
      const [samples, channels, plane] = [
        pick(1, 10),
        pick(1, 4),
        [1, 4 * pick(1, 5), pick(1, 20), pick(1, 20)][seed % 4]!,
      ];
      // Some of the rows are behind the batch. A plane of a single value would have no variance.
      const count = Math.max(1, samples - pick(0, 2));
      if (count * plane < 3) return;
      const features = channels * plane;
      const shape = { rows: rowsOf(samples), channels, plane };
      const [relu, accumulate] = [seed % 3 === 1, seed % 5 === 1];
      const x = values(seed, samples * features).map((v) => 2 * v + 1);
      const dy = values(seed + 50, samples * features).map((v, k) => (k < count * features ? v : 0));
      const weight = awayFromZero(seed + 100, channels);
      const bias = values(seed + 150, channels);
      const runningMean = values(seed + 200, channels);
      const runningVar = values(seed + 250, channels).map((v) => v + 1.5);
      const [forward, evaluate, backward] = await Promise.all([
        batchNormForward(device, "forward", shape, { relu, momentum: 0.3 }),
        batchNormEvaluate(device, "evaluate", shape, { relu }),
        batchNormBackward(device, "backward", shape, { outputRelu: relu, accumulate }),
      ]);
      const params = uploadArena(device, "params", [weight, bias]);
      const running = uploadArena(device, "running", [runningMean, runningVar]);
      const fixed = uploadArena(device, "fixed", [runningMean, runningVar]);
      const grads = uploadArena(device, "grads", [weight, bias]);
      const saved = { buffer: upload(device, "saved", new Float32Array(2 * channels)) };
      const batch = batchOf(device, count);
      const input = { buffer: uploadActivation(device, "x", x, samples, features) };
      const outputGradient = { buffer: uploadActivation(device, "dy", dy, samples, features) };
      const [output, evaluated, inputGradient] = [0, 1, 2].map(() => dirty(device, samples, features)) as never as [
        { buffer: GPUBuffer },
        { buffer: GPUBuffer },
        { buffer: GPUBuffer },
      ];
      const own = { input, weight: params.ranges[0]!, bias: params.ranges[1]! };
      run(device, [
        forward.on({
          ...own,
          batch,
          runningMean: running.ranges[0]!,
          runningVar: running.ranges[1]!,
          saved,
          output,
        }),
        evaluate.on({ ...own, runningMean: fixed.ranges[0]!, runningVar: fixed.ranges[1]!, output: evaluated }),
        backward.on({
          ...own,
          batch,
          outputGradient,
          saved,
          output,
          inputGradient,
          weightGradient: grads.ranges[0]!,
          biasGradient: grads.ranges[1]!,
        }),
      ]);

      const channelOf = (k: number) => Math.floor(k / plane) % channels;
      const options = { eps: 1e-5, groupOf: channelOf, weightOf: channelOf };
      const used = x.subarray(0, count * features);
      const rectified = (y: Float64Array) => (relu ? y.map((v) => Math.max(v, 0)) : y);
      const whole = normalize(used, weight, bias, options);
      const n = count * plane;
      const got = await readActivation(device, output.buffer, samples, features);
      expectTwin("y", got.subarray(0, count * features), rectified(whole.y), n);
      const [mean, variance] = (await running.read()) as [Float32Array, Float32Array];
      expectTwin(
        "running mean",
        mean,
        runningMean.map((m, c) => m + 0.3 * (whole.means.get(c)! - m)),
        n,
      );
      const unbiased = (c: number) => (whole.variances.get(c)! * n) / (n - 1);
      expectTwin(
        "running var",
        variance,
        runningVar.map((v, c) => v + 0.3 * (unbiased(c) - v)),
        n,
      );
      const stretched = Float64Array.from(x, (v, k) => {
        const c = channelOf(k);
        return ((v - runningMean[c]!) / Math.sqrt(runningVar[c]! + 1e-5)) * weight[c]! + bias[c]!;
      });
      expectTwin(
        "evaluated",
        await readActivation(device, evaluated.buffer, samples, features),
        rectified(stretched),
        1,
      );

      // A ReLU's kink must not lie between two differences: its mask is taken from the result.
      const masked = Float64Array.from(dy.subarray(0, count * features), (d, k) => (relu && whole.y[k]! <= 0 ? 0 : d));
      const loss = (a: ArrayLike<number>, w: ArrayLike<number>, b: ArrayLike<number>) =>
        inner(normalize(a, w, b, options).y, masked);
      const dx = await readActivation(device, inputGradient.buffer, samples, features);
      const scale = Math.sqrt(n) * CANCELLATION;
      expectTwin(
        "dx",
        dx.subarray(0, count * features),
        numericGradient(used, (m) => loss(m, weight, bias)),
        scale ** 2,
      );
      expect(dx.subarray(count * features).every((d) => d === 0)).toBe(true);
      const prior = (k: number, old: Float32Array) => (accumulate ? old[k]! : 0);
      const [dw, db] = (await grads.read()) as [Float32Array, Float32Array];
      const wantDw = numericGradient(weight, (m) => loss(used, m, bias)).map((d, k) => d + prior(k, weight));
      const wantDb = numericGradient(bias, (m) => loss(used, weight, m)).map((d, k) => d + prior(k, bias));
      expectTwin("dw", dw, wantDw, scale ** 2);
      expectTwin("db", db, wantDb, scale ** 2);
    }, part);
  });
});

/** Layer, RMS and group normalization take turns. */
function randomNorm(seed: number) {
  const pick = picker(4, seed);
  const samples = pick(1, 9);
  const rows = rowsOf(samples);
  if (seed % 3 === 2) {
    const groups = pick(1, 3);
    const shape = { rows, channels: groups * pick(1, 3), plane: pick(3, 12), groups };
    const features = shape.channels * shape.plane;
    const size = features / groups;
    return {
      samples,
      features,
      size,
      weights: shape.channels,
      centered: true,
      eps: 1e-5,
      groupOf: (k: number) => Math.floor(k / size),
      weightOf: (k: number) => Math.floor(k / shape.plane) % shape.channels,
      bytes: norm.normSavedBytes(shape),
      forward: (device: GPUDevice) => norm.groupNormForward(device, "forward", shape),
      input: (device: GPUDevice) => norm.groupNormInputGradient(device, "input", shape),
      weight: (device: GPUDevice, accumulate: boolean) =>
        norm.groupNormWeightGradient(device, "weight", shape, { accumulate }),
    };
  }
  const centered = seed % 3 === 0;
  const shape = { rows, tokens: pick(1, 4), features: pick(3, 17) };
  return {
    samples,
    features: shape.tokens * shape.features,
    size: shape.features,
    weights: shape.features,
    centered,
    eps: centered ? 1e-5 : 2 ** -23,
    groupOf: (k: number) => Math.floor(k / shape.features),
    weightOf: (k: number) => k % shape.features,
    bytes: norm.normSavedBytes(shape),
    forward: (device: GPUDevice) =>
      centered ? norm.layerNormForward(device, "forward", shape) : norm.rmsNormForward(device, "forward", shape),
    input: (device: GPUDevice) =>
      centered
        ? norm.layerNormInputGradient(device, "input", shape)
        : norm.rmsNormInputGradient(device, "input", shape),
    weight: (device: GPUDevice, accumulate: boolean) =>
      centered
        ? norm.layerNormWeightGradient(device, "weight", shape, { accumulate })
        : norm.rmsNormWeightGradient(device, "weight", shape, { accumulate }),
  };
}

describe("layer, RMS and group normalization", () => {
  it.each(PARTS)("agree with float64 for ten random shapes from number %i", async (part) => {
    const device = await testDevice();
    await forShapes(async (seed) => {
      const one = randomNorm(seed);
      const { samples, features, weights, centered } = one;
      const accumulate = seed % 5 === 1;
      const x = values(seed, samples * features).map((v) => 2 * v + 1);
      const dy = values(seed + 50, samples * features);
      const weight = awayFromZero(seed + 100, weights);
      const bias = values(seed + 150, weights);
      const [forward, backward, parameters] = await Promise.all([
        one.forward(device),
        one.input(device),
        one.weight(device, accumulate),
      ]);
      const params = uploadArena(device, "params", [weight, bias]);
      const grads = uploadArena(device, "grads", [weight, bias]);
      const saved = { buffer: upload(device, "saved", new Float32Array(one.bytes / 4)) };
      const input = { buffer: uploadActivation(device, "x", x, samples, features) };
      const outputGradient = { buffer: uploadActivation(device, "dy", dy, samples, features) };
      const output = dirty(device, samples, features);
      const inputGradient = dirty(device, samples, features);
      const own = { input, saved, weight: params.ranges[0]!, bias: params.ranges[1]! };
      run(device, [
        forward.on({ ...own, output }),
        backward.on({ ...own, outputGradient, inputGradient }),
        parameters.on({
          ...own,
          outputGradient,
          weightGradient: grads.ranges[0]!,
          biasGradient: grads.ranges[1]!,
        }),
      ]);
      const shift = centered ? bias : new Float32Array(weights);
      const y = (a: ArrayLike<number>, w: ArrayLike<number>, b: ArrayLike<number>) => normalize(a, w, b, one).y;
      expectTwin("y", await readActivation(device, output.buffer, samples, features), y(x, weight, shift), one.size);
      const dx = numericGradient(x, (m) => inner(y(m, weight, shift), dy));
      const reduction = one.size * CANCELLATION ** 2;
      expectTwin("dx", await readActivation(device, inputGradient.buffer, samples, features), dx, reduction);
      const prior = (k: number, old: Float32Array) => (accumulate ? old[k]! : 0);
      const [dw, db] = (await grads.read()) as [Float32Array, Float32Array];
      const terms = ((samples * features) / weights) * CANCELLATION ** 2;
      const wantDw = numericGradient(weight, (m) => inner(y(x, m, shift), dy)).map((d, k) => d + prior(k, weight));
      expectTwin("dw", dw, wantDw, terms);
      // RMS normalization has no bias: whatever is bound stays as it was.
      const sums = numericGradient(bias, (m) => inner(y(x, weight, m), dy)).map((d, k) => d + prior(k, bias));
      expectTwin("db", db, centered ? sums : bias, terms);
    }, part);
  });
});
