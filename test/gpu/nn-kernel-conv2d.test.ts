import { describe, expect, it } from "vitest";
import { rowsOf } from "../../src/nn/activation.ts";
import {
  type Conv2dShape,
  conv2dForward,
  conv2dInputGradient,
  conv2dOutput,
  conv2dWeightGradient,
} from "../../src/nn/kernels/conv2d.ts";
import { testDevice } from "../browser/device.ts";
import * as twin from "../reference/nn/conv2d.ts";
import { words } from "../reference/prng.ts";
import { expectDifferences, expectTwin, forShapes, inner, PARTS, picker } from "./nn-kernel-checks.ts";
import { readActivation, run, upload, uploadActivation, uploadArena, values } from "./nn-matrices.ts";

type Pair = readonly [number, number];

interface Case {
  samples: number;
  shape: Conv2dShape & { stride: Pair; padding: Pair; dilation: Pair; groups: number };
  sizes: twin.Conv2dSizes;
}

function caseOf(samples: number, shape: Omit<Case["shape"], "rows">): Case {
  const [outHeight, outWidth] = conv2dOutput(shape);
  return { samples, shape: { rows: rowsOf(samples), ...shape }, sizes: { samples, ...shape, outHeight, outWidth } };
}

/**
 * Shapes by turns for each of the kernels: 3 x 3 of stride 1, of stride 2, and of any stride and dilation; 1 x 1 of stride 1 and
 * of any; and whatever comes. A quarter of them has groups, half of these depthwise.
 */
function randomCase(seed: number): Case {
  const pick = picker(1, seed);
  const pair = (lo: number, hi: number): Pair => [pick(lo, hi), pick(lo, hi)];
  const kind = (["plain", "strided", "spread", "point", "strided point", "any"] as const)[seed % 6]!;
  const groups = pick(1, 4) === 1 ? pick(2, 3) : 1;
  const depthwise = groups > 1 && pick(0, 1) === 1;
  const point = kind.endsWith("point");
  const kernel = point ? ([1, 1] as const) : kind === "any" ? pair(1, 4) : ([3, 3] as const);
  const dilation = kind === "any" || kind === "spread" ? pair(1, 2) : ([1, 1] as const);
  const stride = { plain: [1, 1] as const, strided: [2, 2] as const, point: [1, 1] as const }[kind as "plain"];
  const padding = point ? ([0, 0] as const) : kind === "any" ? pair(0, 3) : pair(0, 2);
  const least = (i: 0 | 1) => Math.max(1, dilation[i] * (kernel[i] - 1) + 1 - 2 * padding[i]);
  return caseOf(pick(1, 4), {
    inChannels: groups * (depthwise ? 1 : pick(1, 9)),
    outChannels: groups * (depthwise ? 1 : pick(1, 9)),
    inHeight: least(0) + pick(0, 7),
    inWidth: least(1) + pick(0, 10),
    kernel,
    stride: stride ?? pair(1, 3),
    padding,
    dilation,
    groups,
  });
}

const named = [
  ["depthwise", caseOf(3, { ...square(6, 6, 9), kernel: [3, 3], stride: [2, 2], padding: [1, 1], groups: 6 })],
  ["the first layer of the CNN", caseOf(9, { ...square(1, 8, 28), kernel: [3, 3], padding: [1, 1] })],
  ["1 x 1", caseOf(8, { ...square(7, 5, 7), kernel: [1, 1] })],
] as const;

function square(inChannels: number, outChannels: number, size: number) {
  const ones = [1, 1] as const;
  const rest = { stride: ones, padding: [0, 0] as const, dilation: ones, groups: 1 };
  return { inChannels, outChannels, inHeight: size, inWidth: size, ...rest };
}

async function check({ samples, shape, sizes }: Case, seed: number): Promise<void> {
  const device = await testDevice();
  const inFeatures = shape.inChannels * shape.inHeight * shape.inWidth;
  const outFeatures = shape.outChannels * sizes.outHeight * sizes.outWidth;
  const x = values(seed + 100, samples * inFeatures);
  const dy = values(seed + 200, samples * outFeatures);
  const taps = shape.kernel[0] * shape.kernel[1];
  const weight = values(seed + 300, (shape.outChannels * shape.inChannels * taps) / shape.groups);
  const bias = values(seed + 400, shape.outChannels);
  const [relu, inputRelu, accumulate] = [seed % 4 === 1, seed % 4 === 2, seed % 5 === 1];

  const [forward, inputGradient, weightGradient] = await Promise.all([
    conv2dForward(device, "forward", shape, { relu }),
    conv2dInputGradient(device, "input gradient", shape, { inputRelu }),
    conv2dWeightGradient(device, "weight gradient", shape, { accumulate }),
  ]);
  const params = uploadArena(device, "params", [weight, bias]);
  const grads = uploadArena(device, "grads", [weight, bias]);
  const input = { buffer: uploadActivation(device, "x", x, samples, inFeatures) };
  const outputGradient = { buffer: uploadActivation(device, "dy", dy, samples, outFeatures) };
  const output = { buffer: uploadActivation(device, "y", values(9, dy.length), samples, outFeatures) };
  const gradient = { buffer: uploadActivation(device, "dx", values(9, x.length), samples, inFeatures) };
  const scratch = { buffer: upload(device, "scratch", new Float32Array(weightGradient.scratchBytes / 4).fill(3)) };
  run(device, [
    forward.on({ input, weight: params.ranges[0]!, bias: params.ranges[1]!, output }),
    inputGradient.on({ outputGradient, weight: params.ranges[0]!, input, inputGradient: gradient }),
    ...weightGradient.on({
      outputGradient,
      input,
      weightGradient: grads.ranges[0]!,
      biasGradient: grads.ranges[1]!,
      scratch,
    }),
  ]);

  const insPerGroup = shape.inChannels / shape.groups;
  const outsPerGroup = shape.outChannels / shape.groups;
  const pixels = samples * sizes.outHeight * sizes.outWidth;
  const y = twin.conv2d(x, weight, bias, sizes);
  const want = twin.conv2dBackward(dy, x, weight, sizes);
  const mask = (d: number, k: number) => (inputRelu && x[k]! <= 0 ? 0 : d);
  const prior = (k: number, old: Float32Array) => (accumulate ? old[k]! : 0);
  const got = await readActivation(device, output.buffer, samples, outFeatures);
  expectTwin("y", got, relu ? y.map((v) => Math.max(v, 0)) : y, insPerGroup * taps);
  const dx = await readActivation(device, gradient.buffer, samples, inFeatures);
  expectTwin("dx", dx, want.dx.map(mask), outsPerGroup * taps);
  const [dWeight, dBias] = (await grads.read()) as [Float32Array, Float32Array];
  expectTwin(
    "dW",
    dWeight,
    want.dWeight.map((d, k) => d + prior(k, weight)),
    pixels,
  );
  expectTwin(
    "db",
    dBias,
    want.dBias.map((d, k) => d + prior(k, bias)),
    pixels,
  );

  if (relu || inputRelu || accumulate) return;
  const loss = (a: ArrayLike<number>, w: ArrayLike<number>, b: ArrayLike<number>) =>
    inner(twin.conv2d(a, w, b, sizes), dy);
  expectDifferences("dx", dx, x, (moved) => loss(moved, weight, bias), seed);
  expectDifferences("dW", dWeight, weight, (moved) => loss(x, moved, bias), seed);
  expectDifferences("db", dBias, bias, (moved) => loss(x, weight, moved), seed);
}

describe("conv2d", () => {
  it.each(PARTS)("agrees with float64 for ten random shapes from number %i", (part) =>
    forShapes((seed) => check(randomCase(seed), seed), part),
  );

  it.each(named)("agrees with float64: %s", async (_, one) => {
    await check(one, 0);
  });

  it("reads bytes, around which the padding is 0, and gives equal bits on every run", async () => {
    const device = await testDevice();
    const bytes = { scale: 2.5, shift: -0.75 };
    for (const kernel of [[3, 3] as const, [2, 3] as const]) {
      const { samples, shape, sizes } = caseOf(3, {
        ...square(2, 5, 5),
        kernel,
        padding: [1, 1],
        bytes,
      });
      const features = 2 * 5 * 5;
      const outFeatures = 5 * sizes.outHeight * sizes.outWidth;
      const quads = Math.ceil(features / 4);
      const raw = new Uint8Array(shape.rows * quads * 4);
      for (let r = 0; r < samples; r++)
        for (let i = 0; i < features; i++) raw[r * quads * 4 + i] = words(1, 2, 3, r * features + i).w1 & 255;
      const x = Float64Array.from({ length: samples * features }, (_, k) => {
        const byte = raw[Math.floor(k / features) * quads * 4 + (k % features)]!;
        return (bytes.scale * byte) / 255 + bytes.shift;
      });
      const weight = values(1, 5 * 2 * kernel[0] * kernel[1]);
      const bias = values(2, 5);
      const dy = values(3, samples * outFeatures);
      const forward = await conv2dForward(device, "forward", shape);
      const weightGradient = await conv2dWeightGradient(device, "weight gradient", shape);
      const params = uploadArena(device, "params", [weight, bias]);
      const input = { buffer: upload(device, "bytes", new Uint32Array(raw.buffer)) };
      const output = { buffer: uploadActivation(device, "y", dy, samples, outFeatures) };
      const outputGradient = { buffer: uploadActivation(device, "dy", dy, samples, outFeatures) };
      const scratch = { buffer: upload(device, "scratch", new Float32Array(weightGradient.scratchBytes / 4)) };
      const backward = async () => {
        const grads = uploadArena(device, "grads", [weight, bias]);
        const [gradient, biasGradient] = [grads.ranges[0]!, grads.ranges[1]!];
        run(device, weightGradient.on({ outputGradient, input, weightGradient: gradient, biasGradient, scratch }));
        return (await grads.read())[0]!;
      };
      run(device, [forward.on({ input, weight: params.ranges[0]!, bias: params.ranges[1]!, output })]);
      const got = await readActivation(device, output.buffer, samples, outFeatures);
      expectTwin("y", got, twin.conv2d(x, weight, bias, sizes), 2 * 9);
      const first = await backward();
      expectTwin("dW", first, twin.conv2dBackward(dy, x, weight, sizes).dWeight, samples * 25);
      expect(await backward()).toEqual(first);
    }
  });
});
