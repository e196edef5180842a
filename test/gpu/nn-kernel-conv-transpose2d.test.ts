import { it } from "vitest";
import { rowsOf } from "../../src/nn/activation.ts";
import {
  convTranspose2dForward,
  convTranspose2dInputGradient,
  convTranspose2dOutput,
  convTranspose2dWeightGradient,
} from "../../src/nn/kernels/conv-transpose2d.ts";
import { testDevice } from "../browser/device.ts";
import * as twin from "../reference/nn/conv2d.ts";
import { dirty, expectDifferences, expectTwin, forShapes, inner, PARTS, picker } from "./nn-kernel-checks.ts";
import { readActivation, run, upload, uploadActivation, uploadArena, values } from "./nn-matrices.ts";

type Pair = readonly [number, number];

it.each(PARTS)("transposed convolution agrees with float64 for ten random shapes from number %i", async (part) => {
  const device = await testDevice();
  await forShapes(async (seed) => {
    const pick = picker(5, seed);
    const pair = (lo: number, hi: number): Pair => [pick(lo, hi), pick(lo, hi)];
    // Every seventh shape has a 3 x 3 kernel of stride 1, and one of stride 2: these have kernels of their own.
    const plain = seed % 7 === 0;
    const strided = seed % 7 === 3;
    const groups = pick(1, 4) === 1 ? 2 : 1;
    const kernel: Pair = plain || strided ? [3, 3] : pair(1, 4);
    const stride: Pair = plain ? [1, 1] : strided ? [2, 2] : pair(1, 3);
    const dilation: Pair = plain || strided ? [1, 1] : pair(1, 2);
    const samples = pick(1, 4);
    const shape = {
      rows: rowsOf(samples),
      inChannels: groups * pick(1, 5),
      outChannels: groups * pick(1, 5),
      inHeight: pick(2, 5),
      inWidth: pick(2, 5),
      kernel,
      stride,
      padding: [pick(0, kernel[0] >> 1), pick(0, kernel[1] >> 1)] as const,
      dilation,
      // As large as the stride and larger, the mirrored convolution would have one more line than the input has.
      outputPadding: [
        pick(0, Math.max(stride[0], dilation[0]) - 1),
        pick(0, Math.max(stride[1], dilation[1]) - 1),
      ] as const,
      groups,
    };
    const [height, width] = convTranspose2dOutput(shape);
    if (height < 1 || width < 1) return;
    // The convolution that this is the transpose of.
    const sizes = {
      samples,
      ...shape,
      inChannels: shape.outChannels,
      inHeight: height,
      inWidth: width,
      outChannels: shape.inChannels,
      outHeight: shape.inHeight,
      outWidth: shape.inWidth,
    };
    const inFeatures = shape.inChannels * shape.inHeight * shape.inWidth;
    const outFeatures = shape.outChannels * height * width;
    const x = values(seed + 100, samples * inFeatures);
    const dy = values(seed + 200, samples * outFeatures);
    const taps = kernel[0] * kernel[1];
    const weight = values(seed + 300, (shape.inChannels * shape.outChannels * taps) / groups);
    const bias = values(seed + 400, shape.outChannels);
    const [relu, inputRelu, accumulate] = [seed % 3 === 1, seed % 3 === 2, seed % 5 === 1];
    const [forward, inputGradient, weightGradient] = await Promise.all([
      convTranspose2dForward(device, "forward", shape, { relu }),
      convTranspose2dInputGradient(device, "input gradient", shape, { inputRelu }),
      convTranspose2dWeightGradient(device, "weight gradient", shape, { accumulate }),
    ]);
    const params = uploadArena(device, "params", [weight, bias]);
    const grads = uploadArena(device, "grads", [weight, bias]);
    const input = { buffer: uploadActivation(device, "x", x, samples, inFeatures) };
    const outputGradient = { buffer: uploadActivation(device, "dy", dy, samples, outFeatures) };
    const output = dirty(device, samples, outFeatures);
    const gradient = dirty(device, samples, inFeatures);
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
    const y = twin.convTranspose2d(x, weight, bias, sizes);
    const want = twin.convTranspose2dBackward(dy, x, weight, sizes);
    const got = await readActivation(device, output.buffer, samples, outFeatures);
    expectTwin("y", got, relu ? y.map((v) => Math.max(v, 0)) : y, (shape.inChannels / groups) * taps);
    const dx = await readActivation(device, gradient.buffer, samples, inFeatures);
    const mask = (d: number, k: number) => (inputRelu && x[k]! <= 0 ? 0 : d);
    expectTwin("dx", dx, want.dx.map(mask), (shape.outChannels / groups) * taps);
    const prior = (k: number, old: Float32Array) => (accumulate ? old[k]! : 0);
    const [dWeight, dBias] = (await grads.read()) as [Float32Array, Float32Array];
    const pixels = samples * shape.inHeight * shape.inWidth;
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
      samples * height * width,
    );
    if (relu || inputRelu || accumulate) return;
    const loss = (a: ArrayLike<number>, w: ArrayLike<number>) => inner(twin.convTranspose2d(a, w, bias, sizes), dy);
    expectDifferences("dx", dx, x, (moved) => loss(moved, weight), seed);
    expectDifferences("dW", dWeight, weight, (moved) => loss(x, moved), seed);
  }, part);
});
