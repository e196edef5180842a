import { describe, expect, it } from "vitest";
import { rowsOf } from "../../src/nn/activation.ts";
import { linearForward, linearInputGradient, linearWeightGradient } from "../../src/nn/linear.ts";
import { testDevice } from "../browser/device.ts";
import * as twin from "../reference/mlp.ts";
import { words } from "../reference/prng.ts";
import { readActivation, run, upload, uploadActivation, uploadArena, values, worstExcess } from "./nn-matrices.ts";

const sizes = [
  { samples: 1, inFeatures: 1, outFeatures: 1 },
  { samples: 7, inFeatures: 13, outFeatures: 5 }, // nothing is a multiple of anything
  { samples: 8, inFeatures: 8, outFeatures: 8 }, // one tile of each kernel
  { samples: 9, inFeatures: 4, outFeatures: 9 }, // one more than a tile, one quad of inputs
  { samples: 16, inFeatures: 12, outFeatures: 12 }, // an odd number of quads
  { samples: 5, inFeatures: 3, outFeatures: 4 },
  { samples: 65, inFeatures: 255, outFeatures: 33 }, // across workgroups
  { samples: 128, inFeatures: 784, outFeatures: 128 },
  { samples: 96, inFeatures: 128, outFeatures: 10 },
];

/** Error of a float32 sum of `terms` products in any order, relative to the sum of their magnitudes (Higham, 3.1). */
const gamma = (terms: number) => ((terms + 1) * 2 ** -24) / (1 - (terms + 1) * 2 ** -24);
const magnitude = (m: Float32Array) => m.map(Math.abs);

describe.each(sizes)("$samples samples, $inFeatures -> $outFeatures", ({ samples, inFeatures, outFeatures }) => {
  const shape = { rows: rowsOf(samples), inFeatures, outFeatures };
  const logical = { rows: samples, inFeatures, outFeatures };
  const x = values(1, samples * inFeatures);
  const weight = values(2, outFeatures * inFeatures);
  const bias = values(3, outFeatures);
  const dy = values(4, samples * outFeatures);

  it.each([false, true])("forward, relu: %s", async (relu) => {
    const device = await testDevice();
    const params = uploadArena(device, "params", [weight, bias]);
    const y = uploadActivation(device, "y", values(9, samples * outFeatures), samples, outFeatures);
    const forward = await linearForward(device, "forward", shape, { relu });
    run(device, [
      forward.on({
        input: { buffer: uploadActivation(device, "x", x, samples, inFeatures) },
        weight: params.ranges[0]!,
        bias: params.ranges[1]!,
        output: { buffer: y },
      }),
    ]);
    const z = twin.linearForward(x, weight, bias, logical);
    const scale = twin.linearForward(magnitude(x), magnitude(weight), magnitude(bias), logical);
    const got = await readActivation(device, y, samples, outFeatures);
    expect(worstExcess(got, relu ? twin.relu(z) : z, (k) => gamma(inFeatures + 1) * scale[k]!)).toBeLessThanOrEqual(0);
  });

  it.each([false, true])("input gradient, inputRelu: %s", async (inputRelu) => {
    const device = await testDevice();
    const params = uploadArena(device, "params", [weight]);
    const dx = uploadActivation(device, "dx", values(9, samples * inFeatures), samples, inFeatures);
    const backward = await linearInputGradient(device, "input gradient", shape, { inputRelu });
    run(device, [
      backward.on({
        outputGradient: { buffer: uploadActivation(device, "dy", dy, samples, outFeatures) },
        weight: params.ranges[0]!,
        input: { buffer: uploadActivation(device, "x", x, samples, inFeatures) },
        inputGradient: { buffer: dx },
      }),
    ]);
    const want = twin.linearBackward(dy, x, weight, logical).dx;
    const scale = twin.linearBackward(magnitude(dy), x, magnitude(weight), logical).dx;
    const got = await readActivation(device, dx, samples, inFeatures);
    const bound = (k: number) => gamma(outFeatures) * scale[k]!;
    expect(worstExcess(got, inputRelu ? twin.reluBackward(want, x) : want, bound)).toBeLessThanOrEqual(0);
  });

  it("weight and bias gradient, nothing beside them, and equal bits each time", async () => {
    const device = await testDevice();
    const grads = uploadArena(device, "grads", [weight, bias]);
    const backward = await linearWeightGradient(device, "weight gradient", shape);
    const dispatch = backward.on({
      outputGradient: { buffer: uploadActivation(device, "dy", dy, samples, outFeatures) },
      input: { buffer: uploadActivation(device, "x", x, samples, inFeatures) },
      weightGradient: grads.ranges[0]!,
      biasGradient: grads.ranges[1]!,
    });
    run(device, [dispatch]);
    const [dWeight, dBias] = await grads.read();
    run(device, [dispatch]);
    expect(await grads.read()).toEqual([dWeight, dBias]);

    const want = twin.linearBackward(dy, x, weight, logical);
    const scale = twin.linearBackward(magnitude(dy), magnitude(x), weight, logical);
    const bound = (k: number) => gamma(samples) * scale.dWeight[k]!;
    expect(worstExcess(dWeight!, want.dWeight, bound)).toBeLessThanOrEqual(0);
    expect(worstExcess(dBias!, want.dBias, (k) => gamma(samples) * scale.dBias[k]!)).toBeLessThanOrEqual(0);
  });
});

describe.each([
  { samples: 7, inFeatures: 13, outFeatures: 5 },
  { samples: 16, inFeatures: 784, outFeatures: 10 },
])("bytes for input, $samples samples, $inFeatures -> $outFeatures", ({ samples, inFeatures, outFeatures }) => {
  const bytes = { scale: 3.2, shift: -0.4 };
  const shape = { rows: rowsOf(samples), inFeatures, outFeatures, bytes };
  const logical = { rows: samples, inFeatures, outFeatures };
  const stride = Math.ceil(inFeatures / 4) * 4;
  // What lies behind the last feature and the last sample is not zero, and must not matter.
  const image = Uint8Array.from({ length: shape.rows * stride }, (_, k) => words(1, 2, 3, k).w1 & 255);
  const x = Float32Array.from({ length: samples * inFeatures }, (_, k) => {
    return (bytes.scale * image[Math.floor(k / inFeatures) * stride + (k % inFeatures)]!) / 255 + bytes.shift;
  });
  const weight = values(2, outFeatures * inFeatures);
  const bias = values(3, outFeatures);
  const dy = values(4, samples * outFeatures);
  // Making a number of a byte takes three roundings, the largest of a value of 3.2.
  const spread = 3 * 2 ** -23;

  it("forward", async () => {
    const device = await testDevice();
    const params = uploadArena(device, "params", [weight, bias]);
    const y = uploadActivation(device, "y", values(9, samples * outFeatures), samples, outFeatures);
    const forward = await linearForward(device, "forward", shape, { relu: false });
    run(device, [
      forward.on({
        input: { buffer: upload(device, "x", new Uint32Array(image.buffer)) },
        weight: params.ranges[0]!,
        bias: params.ranges[1]!,
        output: { buffer: y },
      }),
    ]);
    const want = twin.linearForward(x, weight, bias, logical);
    const scale = twin.linearForward(magnitude(x), magnitude(weight), magnitude(bias), logical);
    const got = await readActivation(device, y, samples, outFeatures);
    const bound = (k: number) => gamma(inFeatures + 1) * scale[k]! + spread * inFeatures;
    expect(worstExcess(got, want, bound)).toBeLessThanOrEqual(0);
  });

  it("weight gradient", async () => {
    const device = await testDevice();
    const grads = uploadArena(device, "grads", [weight, bias]);
    const backward = await linearWeightGradient(device, "weight gradient", shape);
    run(device, [
      backward.on({
        outputGradient: { buffer: uploadActivation(device, "dy", dy, samples, outFeatures) },
        input: { buffer: upload(device, "x", new Uint32Array(image.buffer)) },
        weightGradient: grads.ranges[0]!,
        biasGradient: grads.ranges[1]!,
      }),
    ]);
    const [dWeight] = await grads.read();
    const want = twin.linearBackward(dy, x, weight, logical).dWeight;
    const scale = twin.linearBackward(magnitude(dy), magnitude(x), weight, logical).dWeight;
    const bound = (k: number) => gamma(samples) * scale[k]! + spread * samples;
    expect(worstExcess(dWeight!, want, bound)).toBeLessThanOrEqual(0);
  });
});

it("a NaN goes through the ReLU: a broken network is not hidden", async () => {
  const device = await testDevice();
  const shape = { rows: 8, inFeatures: 4, outFeatures: 4 };
  const params = uploadArena(device, "params", [values(1, 16).fill(Number.NaN, 4, 5), values(2, 4)]);
  const y = uploadActivation(device, "y", [], 8, 4);
  const forward = await linearForward(device, "forward", shape, { relu: true });
  run(device, [
    forward.on({
      input: { buffer: uploadActivation(device, "x", values(3, 32), 8, 4) },
      weight: params.ranges[0]!,
      bias: params.ranges[1]!,
      output: { buffer: y },
    }),
  ]);
  const got = await readActivation(device, y, 8, 4);
  expect(Array.from(got, Number.isNaN)).toEqual(Array.from({ length: 32 }, (_, k) => k % 4 === 1));
});
