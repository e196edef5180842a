import { describe, expect, it } from "vitest";
import { encodeDispatches } from "../../src/nn/dispatch.ts";
import { createMlp, mlpParams } from "../../src/nn/mlp.ts";
import { testDevice } from "../browser/device.ts";
import { type Mlp, type MlpSizes, mlpLossAndGradients } from "../reference/mlp.ts";
import { elementCount, words } from "../reference/prng.ts";
import { readFloats, uploadActivation, uploadArena, values, worstExcess } from "./nn-matrices.ts";

const cases = [
  { batch: 7, inFeatures: 13, hidden: 9, classes: 5 },
  { batch: 32, inFeatures: 784, hidden: 128, classes: 10 },
];

function problem({ batch, inFeatures, hidden, classes }: MlpSizes & { batch: number }) {
  const sizes = { inFeatures, hidden, classes };
  const bound = (fan: number, stream: number, size: number) => values(stream, size).map((v) => v / Math.sqrt(fan));
  const mlp: Mlp = {
    weight1: bound(inFeatures, 1, hidden * inFeatures),
    bias1: bound(inFeatures, 2, hidden),
    weight2: bound(hidden, 3, classes * hidden),
    bias2: bound(hidden, 4, classes),
  };
  const x = values(5, batch * inFeatures);
  const labels = Array.from({ length: batch }, (_, r) => words(1, 1, 1, r).w1 % classes);
  return { sizes, mlp, x, labels };
}

it("the twin's gradients are the slopes of its loss", () => {
  const { sizes, mlp, x, labels } = problem(cases[0]!);
  const { gradients } = mlpLossAndGradients(x, labels, mlp, sizes);
  for (const name of Object.keys(gradients) as (keyof Mlp)[]) {
    for (let sample = 0; sample < 12; sample++) {
      const k = words(3, 3, 3, sample).w1 % gradients[name].length;
      const lossAt = (shift: number) => {
        const moved = Float64Array.from(mlp[name]);
        moved[k]! += shift;
        return mlpLossAndGradients(x, labels, { ...mlp, [name]: moved }, sizes).loss;
      };
      const h = 1e-5;
      const slope = (lossAt(h) - lossAt(-h)) / (2 * h);
      // Central differences in float64: truncation of about h^2 and rounding of about 1e-16 / h.
      expect(Math.abs(slope - gradients[name][k]!), `${name}[${k}]`).toBeLessThan(1e-9);
    }
  }
});

describe.each(cases)("$inFeatures-$hidden-$classes, $batch samples", (options) => {
  const { sizes, mlp, x, labels } = problem(options);

  it("loss and gradients agree with the twin", async () => {
    const device = await testDevice();
    const names = mlpParams([options.inFeatures, options.hidden, options.classes]);
    const initial = [mlp.weight1, mlp.bias1, mlp.weight2, mlp.bias2];
    expect(names.map(({ shape }) => elementCount(shape))).toEqual(initial.map((tensor) => tensor.length));
    const params = uploadArena(device, "params", initial);
    const grads = uploadArena(device, "grads", initial);
    const network = await createMlp(device, {
      sizes: [options.inFeatures, options.hidden, options.classes],
      batchSize: options.batch,
      slots: 1,
      tensor: (name) => {
        const k = names.findIndex((param) => param.name === name);
        return { param: params.ranges[k]!, grad: grads.ranges[k]! };
      },
    });
    device.queue.writeBuffer(network.batch, 0, new Uint32Array([0, options.batch, 0, 0]));
    device.queue.writeBuffer(network.labels, 0, new Uint32Array(labels));
    const input = uploadActivation(device, "x", x, options.batch, options.inFeatures);
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(input, 0, network.input, 0, input.size);
    encodeDispatches(encoder, "test", [...network.forward, ...network.loss, ...network.backward]);
    device.queue.submit([encoder.finish()]);

    const want = mlpLossAndGradients(x, labels, mlp, sizes);
    const record = await readFloats(device, network.records);
    // float32 sums of up to 784 products of both signs: errors grow with the root of their number, some 30 * 2^-24, and pass
    // through the softmax. A hidden unit within that of 0 may open or close its ReLU: none here is.
    expect(Math.abs(record[0]! - want.loss)).toBeLessThan(5e-6);
    const got = await grads.read();
    Object.values(want.gradients).forEach((gradient, k) => {
      const largest = Math.max(...Array.from(gradient, Math.abs));
      expect(
        worstExcess(got[k]!, gradient, () => 2e-6 * largest + 1e-8),
        names[k]!.name,
      ).toBeLessThanOrEqual(0);
    });
    network.destroy();
  });
});
