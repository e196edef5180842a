import { describe, expect, it } from "vitest";
import { quadsOf, rowsOf } from "../../src/nn/activation.ts";
import { type Activation, activationBackward, activationForward } from "../../src/nn/kernels/activations.ts";
import { dropout } from "../../src/nn/kernels/dropout.ts";
import { add, addRow, addRowGradient, addTo, copyFeatures } from "../../src/nn/kernels/elementwise.ts";
import { embeddingForward, embeddingWeightGradient } from "../../src/nn/kernels/embedding.ts";
import { softmaxBackward, softmaxForward } from "../../src/nn/kernels/softmax.ts";
import { moveTimes } from "../../src/nn/kernels/times.ts";
import { testDevice } from "../browser/device.ts";
import { ACTIVATIONS, softmax } from "../reference/nn/activations.ts";
import { words } from "../reference/prng.ts";
import { dirty, expectTwin, forShapes, inner, numericGradient, picker } from "./nn-kernel-checks.ts";
import { readActivation, run, upload, uploadActivation, uploadArena, values } from "./nn-matrices.ts";

const kinds = Object.keys(ACTIVATIONS) as Activation[];

describe("activations", () => {
  it("agree with float64 for random shapes", async () => {
    const device = await testDevice();
    await forShapes(async (seed) => {
      const pick = picker(6, seed);
      const [samples, features, kind] = [pick(1, 9), pick(1, 30), kinds[seed % kinds.length]!];
      const slope = 0.2;
      // Between -8 and 8, the kink at 0 kept away from.
      const x = values(seed, samples * features).map((v) => 8 * v + (v < 0 ? -0.01 : 0.01));
      const dy = values(seed + 50, samples * features);
      const shape = { rows: rowsOf(samples), features };
      const [forward, backward] = await Promise.all([
        activationForward(device, "forward", shape, { kind, slope }),
        activationBackward(device, "backward", shape, { kind, slope }),
      ]);
      const input = { buffer: uploadActivation(device, "x", x, samples, features) };
      const outputGradient = { buffer: uploadActivation(device, "dy", dy, samples, features) };
      const output = dirty(device, samples, features);
      const inputGradient = dirty(device, samples, features);
      run(device, [forward.on({ input, output }), backward.on({ outputGradient, input, inputGradient })]);
      const f = (v: number) => ACTIVATIONS[kind](v, slope);
      // Nothing is summed; WGSL grants exp(x) an error of 3 + 2 |x| roundings, here up to 19.
      const got = await readActivation(device, output.buffer, samples, features);
      expectTwin(kind, got, Float64Array.from(x, f), 4);
      const dx = numericGradient(x, (moved) => inner(moved.map(f), dy));
      expectTwin(`${kind} gradient`, await readActivation(device, inputGradient.buffer, samples, features), dx, 4);
    });
  });

  it.each(kinds)("%s: NaN stays, large numbers have their limits", async (kind) => {
    const device = await testDevice();
    const x = [Number.NaN, 1000, -1000, 0];
    const shape = { rows: 8, features: 4 };
    const input = { buffer: uploadActivation(device, "x", x, 1, 4) };
    const output = dirty(device, 1, 4);
    const inputGradient = dirty(device, 1, 4);
    const forward = await activationForward(device, "forward", shape, { kind });
    const backward = await activationBackward(device, "backward", shape, { kind });
    const outputGradient = { buffer: uploadActivation(device, "dy", [1, 1, 1, 1], 1, 4) };
    run(device, [forward.on({ input, output }), backward.on({ outputGradient, input, inputGradient })]);
    const y = await readActivation(device, output.buffer, 1, 4);
    const dx = await readActivation(device, inputGradient.buffer, 1, 4);
    const want = x.map((v) => ACTIVATIONS[kind](v, 0.01));
    expect(y[0]).toBeNaN();
    expectTwin("limits", y.slice(1), want.slice(1), 1);
    expect(dx.slice(1, 3).every(Number.isFinite)).toBe(true);
  });
});

it("softmax agrees with float64 for random shapes", async () => {
  const device = await testDevice();
  await forShapes(async (seed) => {
    const pick = picker(7, seed);
    const [samples, tokens, features] = [pick(1, 5), pick(1, 3), pick(1, 12)];
    const size = samples * tokens * features;
    const x = values(seed, size).map((v) => 5 * v);
    const dy = values(seed + 50, size);
    const shape = { rows: rowsOf(samples), tokens, features };
    const [forward, backward] = await Promise.all([
      softmaxForward(device, "forward", shape),
      softmaxBackward(device, "backward", shape),
    ]);
    const width = tokens * features;
    const input = { buffer: uploadActivation(device, "x", x, samples, width) };
    const outputGradient = { buffer: uploadActivation(device, "dy", dy, samples, width) };
    const output = dirty(device, samples, width);
    const inputGradient = dirty(device, samples, width);
    run(device, [forward.on({ input, output }), backward.on({ outputGradient, output, inputGradient })]);
    // The errors of exp, as above, and of a sum.
    expectTwin("y", await readActivation(device, output.buffer, samples, width), softmax(x, features), 4 * features);
    const dx = numericGradient(x, (moved) => inner(softmax(moved, features), dy));
    // Of a single feature it is 0, and nothing but differences' errors is left to compare with.
    if (features > 1)
      expectTwin("dx", await readActivation(device, inputGradient.buffer, samples, width), dx, 16 * features);
  });
});

describe("dropout", () => {
  const shape = { rows: 16, features: 102 };
  const apply = async (x: ArrayLike<number>, seed: number, step: number, stream: number, p = 0.3) => {
    const device = await testDevice();
    const operation = await dropout(device, "dropout", shape, { p, stream });
    const output = dirty(device, 16, 102);
    const random = { buffer: upload(device, "random", new Uint32Array([seed, step, 0, 0])) };
    run(device, [operation.on({ random, input: { buffer: uploadActivation(device, "x", x, 16, 102) }, output })]);
    return readActivation(device, output.buffer, 16, 102);
  };
  const x = values(1, 16 * 102);

  it("keeps what the hash of seed, stream, step and element says, scaled", async () => {
    const scale = Math.fround(1 / 0.7);
    const want = x.map((v, k) => (words(11, 5, 42, k).w1 >= 0.3 * 2 ** 32 ? v * scale : 0));
    expect(Array.from(await apply(x, 11, 42, 5))).toEqual(Array.from(want));
    const kept = want.filter((v) => v !== 0).length / want.length;
    // 1632 draws: a standard deviation of 0.011.
    expect(Math.abs(kept - 0.7)).toBeLessThan(0.05);
  });

  it("is another one at another step, in another layer, with another seed, and none with p = 0", async () => {
    const first = await apply(x, 11, 42, 5);
    for (const other of [await apply(x, 11, 43, 5), await apply(x, 11, 42, 6), await apply(x, 12, 42, 5)])
      expect(Array.from(other)).not.toEqual(Array.from(first));
    expect(Array.from(await apply(x, 11, 42, 5, 0))).toEqual(Array.from(x));
    expect((await apply(x, 11, 42, 5, 1)).every((v) => v === 0)).toBe(true);
  });
});

it("sums and copies of activations, for random shapes", async () => {
  const device = await testDevice();
  await forShapes(async (seed) => {
    const pick = picker(8, seed);
    const [samples, left, right] = [pick(1, 9), pick(1, 14), pick(1, 14)];
    const rows = rowsOf(samples);
    const both = left + right;
    const a = values(seed, samples * left);
    const b = values(seed + 50, samples * left);
    const c = values(seed + 100, samples * right);
    const row = values(seed + 150, left);
    const accumulate = seed % 2 === 1;
    const [sum, into, first, second, back, shifted, shiftGradient] = await Promise.all([
      add(device, "add", { rows, features: left }, { relu: accumulate }),
      addTo(device, "addTo", { rows, features: left }),
      copyFeatures(device, "first", copy(left, left, 0, both, 0)),
      copyFeatures(device, "second", copy(right, right, 0, both, left)),
      copyFeatures(device, "back", copy(right, both, left, right, 0), { accumulate }),
      addRow(device, "addRow", { rows, features: left }),
      addRowGradient(device, "addRowGradient", { rows, features: left }, { accumulate }),
    ]);
    function copy(
      features: number,
      sourceFeatures: number,
      sourceOffset: number,
      targetFeatures: number,
      targetOffset: number,
    ) {
      return { rows, features, sourceFeatures, sourceOffset, targetFeatures, targetOffset };
    }
    const of = (matrix: ArrayLike<number>, features: number) => ({
      buffer: uploadActivation(device, "matrix", matrix, samples, features),
    });
    const [bufferA, bufferB, bufferC, target, returned] = [
      of(a, left),
      of(b, left),
      of(c, right),
      of(b, left),
      of(c, right),
    ];
    const [output, joined, moved] = [
      dirty(device, samples, left),
      dirty(device, samples, both),
      dirty(device, samples, left),
    ];
    const params = uploadArena(device, "params", [row]);
    const grads = uploadArena(device, "grads", [row]);
    run(device, [
      sum.on({ a: bufferA, b: bufferB, output }),
      into.on({ source: bufferA, target }),
      first.on({ source: bufferA, target: joined }),
      second.on({ source: bufferC, target: joined }),
      back.on({ source: joined, target: returned }),
      shifted.on({ input: bufferA, row: params.ranges[0]!, output: moved }),
      shiftGradient.on({ outputGradient: bufferA, rowGradient: grads.ranges[0]! }),
    ]);
    const read = async ({ buffer }: { buffer: GPUBuffer }, features: number) =>
      Array.from(await readActivation(device, buffer, samples, features));
    const plus = a.map((v, k) => v + b[k]!);
    expect(await read(output, left)).toEqual(Array.from(accumulate ? plus.map((v) => Math.max(v, 0)) : plus));
    expect(await read(target, left)).toEqual(Array.from(plus));
    const concatenated = Array.from({ length: samples * both }, (_, k) => {
      const [r, i] = [Math.floor(k / both), k % both];
      return i < left ? a[r * left + i]! : c[r * right + i - left]!;
    });
    expect(await read(joined, both)).toEqual(concatenated);
    expect(await read(returned, right)).toEqual(Array.from(c, (v) => (accumulate ? 2 * v : v)));
    expect(await read(moved, left)).toEqual(Array.from(a.map((v, k) => v + row[k % left]!)));
    const sums = Float64Array.from(row, (v, i) => {
      let total = accumulate ? v : 0;
      for (let r = 0; r < samples; r++) total += a[r * left + i]!;
      return total;
    });
    expectTwin("row gradient", (await grads.read())[0]!, sums, samples);
  });
});

it("embedding agrees with float64 for random shapes", async () => {
  const device = await testDevice();
  await forShapes(async (seed) => {
    const pick = picker(9, seed);
    const [samples, tokens, vocabulary, features] = [pick(1, 5), pick(1, 6), pick(1, 9), pick(1, 9)];
    const accumulate = seed % 3 === 1;
    const shape = { rows: rowsOf(samples), tokens, vocabulary, features };
    const stride = 4 * quadsOf(tokens);
    const ids = new Uint32Array(shape.rows * stride);
    for (let r = 0; r < samples; r++) for (let t = 0; t < tokens; t++) ids[r * stride + t] = pick(0, vocabulary - 1);
    const weight = values(seed, vocabulary * features);
    const dy = values(seed + 50, samples * tokens * features);
    const [forward, backward] = await Promise.all([
      embeddingForward(device, "forward", shape),
      embeddingWeightGradient(device, "backward", shape, { accumulate }),
    ]);
    const params = uploadArena(device, "params", [weight]);
    const grads = uploadArena(device, "grads", [weight]);
    const width = tokens * features;
    const tokenIds = { buffer: upload(device, "tokens", ids) };
    const output = dirty(device, samples, width);
    const outputGradient = { buffer: uploadActivation(device, "dy", dy, samples, width) };
    run(device, [
      forward.on({ tokens: tokenIds, weight: params.ranges[0]!, output }),
      backward.on({ tokens: tokenIds, outputGradient, weightGradient: grads.ranges[0]! }),
    ]);
    const wordOf = (k: number) => ids[Math.floor(k / width) * stride + Math.floor((k % width) / features)]!;
    const looked = dy.map((_, k) => weight[wordOf(k) * features + (k % features)]!);
    expect(Array.from(await readActivation(device, output.buffer, samples, width))).toEqual(Array.from(looked));
    const want = Float64Array.from(weight, (v) => (accumulate ? v : 0));
    dy.forEach((d, k) => {
      want[wordOf(k) * features + (k % features)]! += d;
    });
    expectTwin("dW", (await grads.read())[0]!, want, samples * tokens);
  });
});

it.each([
  [3, 2, 5],
  [9, 7, 3],
  [1, 5, 1],
  [5, 3, 4],
])("times of %i samples, %i of width %i, get rows of their own and come back", async (samples, times, features) => {
  const device = await testDevice();
  const x = values(1, samples * times * features);
  const size = { rows: rowsOf(samples), times, features };
  const apart = await moveTimes(device, "apart", size, { apart: true });
  const together = await moveTimes(device, "together", size, { apart: false });
  const source = { buffer: uploadActivation(device, "x", x, samples, times * features) };
  const rows = dirty(device, size.rows * times, features);
  const back = dirty(device, samples, times * features);
  run(device, [apart.on({ source, moved: rows }), together.on({ source: rows, moved: back })]);
  // Rows and features in one sequence are the same numbers in either form, and readActivation sees to the padding.
  expect(await readActivation(device, rows.buffer, samples * times, features)).toEqual(x);
  expect(await readActivation(device, back.buffer, samples, times * features)).toEqual(x);
});
