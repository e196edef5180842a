import { describe, expect, it } from "vitest";
import { rowsOf } from "../../src/nn/activation.ts";
import {
  averagePool2dBackward,
  averagePool2dForward,
  globalAveragePoolBackward,
  globalAveragePoolForward,
  maxPool2dBackward,
  maxPool2dForward,
  pool2dOutput,
} from "../../src/nn/kernels/pool2d.ts";
import { testDevice } from "../browser/device.ts";
import * as twin from "../reference/nn/pool2d.ts";
import { dirty, distinct, expectTwin, forShapes, inner, numericGradient, picker } from "./nn-kernel-checks.ts";
import { readActivation, run, uploadActivation, values } from "./nn-matrices.ts";

type Pair = readonly [number, number];

function randomShape(seed: number) {
  const pick = picker(2, seed);
  if (seed % 5 === 4) {
    // Even planes and windows of 2 x 2, which have kernels of their own.
    const planes = { channels: pick(1, 3), inHeight: 2 * pick(1, 5), inWidth: 2 * pick(1, 6) };
    return { samples: pick(1, 3), ...planes, kernel: [2, 2] as Pair, stride: [2, 2] as Pair, padding: [0, 0] as Pair };
  }
  const kernel: Pair = [pick(1, 4), pick(1, 4)];
  const padding: Pair = [pick(0, kernel[0] >> 1), pick(0, kernel[1] >> 1)];
  // Half of the windows do not overlap: they have a kernel of their own.
  const stride: Pair = seed % 2 === 0 ? [kernel[0] + pick(0, 1), kernel[1]] : [pick(1, 3), pick(1, 3)];
  const extent = (i: 0 | 1) => Math.max(1, kernel[i] - 2 * padding[i]) + pick(0, 6);
  const planes = { channels: pick(1, 3), inHeight: extent(0), inWidth: extent(1) };
  return { samples: pick(1, 3), ...planes, kernel, stride, padding };
}

describe.each([
  { name: "max", forward: maxPool2dForward, backward: maxPool2dBackward, formula: twin.maxPool2d },
  { name: "average", forward: averagePool2dForward, backward: averagePool2dBackward, formula: twin.averagePool2d },
])("$name pooling", ({ forward, backward, formula }) => {
  it("agrees with float64 for random shapes", async () => {
    const device = await testDevice();
    await forShapes(async (seed) => {
      const { samples, ...planes } = randomShape(seed);
      const [outHeight, outWidth] = pool2dOutput(planes);
      const shape = { rows: rowsOf(samples), ...planes };
      const sizes = { samples, ...planes, outHeight, outWidth };
      const inFeatures = planes.channels * planes.inHeight * planes.inWidth;
      const outFeatures = planes.channels * outHeight * outWidth;
      const x = distinct(seed, samples * inFeatures);
      const dy = values(seed + 50, samples * outFeatures);
      const inputRelu = seed % 3 === 0;
      const [there, back] = await Promise.all([
        forward(device, "forward", shape),
        backward(device, "backward", shape, { inputRelu }),
      ]);
      const input = { buffer: uploadActivation(device, "x", x, samples, inFeatures) };
      const outputGradient = { buffer: uploadActivation(device, "dy", dy, samples, outFeatures) };
      const output = dirty(device, samples, outFeatures);
      const inputGradient = dirty(device, samples, inFeatures);
      run(device, [there.on({ input, output }), back.on({ outputGradient, input, inputGradient })]);
      const window = planes.kernel[0] * planes.kernel[1];
      expectTwin("y", await readActivation(device, output.buffer, samples, outFeatures), formula(x, sizes), window);
      const dx = numericGradient(x, (moved) => inner(formula(moved, sizes), dy));
      const want = dx.map((d, k) => (inputRelu && x[k]! <= 0 ? 0 : d));
      // The differences' own error, about 1e-9, would be all that there is where the gradient is 0 everywhere.
      if (want.some((d) => Math.abs(d) > 1e-6))
        expectTwin("dx", await readActivation(device, inputGradient.buffer, samples, inFeatures), want, window);
    });
  });
});

// The second has a line more, which is in no window.
it.each([2, 3])("the first of equal values gets the gradient, and NaN is the largest; %i lines", async (inHeight) => {
  const device = await testDevice();
  const shape = { rows: 8, channels: 1, inHeight, inWidth: 4, kernel: [2, 2] as const };
  const size = 4 * inHeight;
  const input = {
    buffer: uploadActivation(device, "x", [1, 1, 5, Number.NaN, 1, 1, 7, 6, 9, 9, 9, 9].slice(0, size), 1, size),
  };
  const outputGradient = { buffer: uploadActivation(device, "dy", [2, 3], 1, 2) };
  const output = dirty(device, 1, 2);
  const inputGradient = dirty(device, 1, size);
  const forward = await maxPool2dForward(device, "forward", shape);
  const backward = await maxPool2dBackward(device, "backward", shape);
  run(device, [forward.on({ input, output }), backward.on({ outputGradient, input, inputGradient })]);
  expect(Array.from(await readActivation(device, output.buffer, 1, 2))).toEqual([1, Number.NaN]);
  expect(Array.from(await readActivation(device, inputGradient.buffer, 1, size))).toEqual(
    [2, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0].slice(0, size),
  );
});

it.each([false, true])("global average pooling, inputRelu: %s", async (inputRelu) => {
  const device = await testDevice();
  const [samples, channels, plane] = [5, 3, 49];
  const shape = { rows: rowsOf(samples), channels, plane };
  const x = values(1, samples * channels * plane);
  const dy = values(2, samples * channels);
  const input = { buffer: uploadActivation(device, "x", x, samples, channels * plane) };
  const outputGradient = { buffer: uploadActivation(device, "dy", dy, samples, channels) };
  const output = dirty(device, samples, channels);
  const inputGradient = dirty(device, samples, channels * plane);
  const forward = await globalAveragePoolForward(device, "forward", shape);
  const backward = await globalAveragePoolBackward(device, "backward", shape, { inputRelu });
  run(device, [forward.on({ input, output }), backward.on({ outputGradient, input, inputGradient })]);
  const y = dy.map((_, k) => x.slice(k * plane, (k + 1) * plane).reduce((sum, v) => sum + v, 0) / plane);
  expectTwin("y", await readActivation(device, output.buffer, samples, channels), y, plane);
  const dx = x.map((v, k) => (inputRelu && v <= 0 ? 0 : dy[Math.floor(k / plane)]! / plane));
  expectTwin("dx", await readActivation(device, inputGradient.buffer, samples, channels * plane), dx, 1);
});
