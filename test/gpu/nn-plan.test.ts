/** A whole model against its float64 twin, and what a step of it costs. */
import { describe, expect, it } from "vitest";
import { adamw, sgd } from "../../src/index.ts";
import { compile, crossEntropy, linear, relu, sequential } from "../../src/nn/index.ts";
import { readSlices } from "../../src/nn/read-slices.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { type Mlp, mlpLossAndGradients } from "../reference/mlp.ts";
import { words } from "../reference/prng.ts";
import { values, worstExcess } from "./nn-matrices.ts";

const mlp = (inFeatures: number, hidden: number, classes: number) =>
  sequential([inFeatures], [linear(hidden), relu(), linear(classes)]);

const labelsOf = (count: number, classes: number) =>
  Array.from({ length: count }, (_, r) => words(1, 1, 1, r).w1 % classes);

it("the twin's gradients are the slopes of its loss", () => {
  const sizes = { inFeatures: 13, hidden: 9, classes: 5 };
  const tensors = mlp(13, 9, 5)
    .init(3)
    .map(({ data }) => data);
  const [weight1, bias1, weight2, bias2] = tensors as [Float32Array, Float32Array, Float32Array, Float32Array];
  const network: Mlp = { weight1, bias1, weight2, bias2 };
  const x = values(5, 7 * 13);
  const labels = labelsOf(7, 5);
  const { gradients } = mlpLossAndGradients(x, labels, network, sizes);
  for (const name of Object.keys(gradients) as (keyof Mlp)[]) {
    for (let sample = 0; sample < 12; sample++) {
      const k = words(3, 3, 3, sample).w1 % gradients[name].length;
      const lossAt = (shift: number) => {
        const moved = Float64Array.from(network[name]);
        moved[k]! += shift;
        return mlpLossAndGradients(x, labels, { ...network, [name]: moved }, sizes).loss;
      };
      const h = 1e-5;
      const slope = (lossAt(h) - lossAt(-h)) / (2 * h);
      // Central differences in float64: truncation of about h^2 and rounding of about 1e-16 / h.
      expect(Math.abs(slope - gradients[name][k]!), `${name}[${k}]`).toBeLessThan(1e-9);
    }
  }
});

describe.each([
  { batch: 7, inFeatures: 13, hidden: 9, classes: 5 },
  { batch: 32, inFeatures: 784, hidden: 128, classes: 10 },
])("perceptron $inFeatures-$hidden-$classes, $batch samples", ({ batch, inFeatures, hidden, classes }) => {
  it("loss and gradients agree with the twin", async () => {
    const device = await testDevice();
    const model = mlp(inFeatures, hidden, classes);
    const plan = await compile(device, model, {
      batchSize: batch,
      loss: crossEntropy(),
      optimizer: { rule: sgd(), lr: 0 },
      seed: 3,
    });
    const [weight1, bias1, weight2, bias2] = model.init(3).map(({ data }) => data);
    const network = { weight1, bias1, weight2, bias2 } as Mlp;
    const x = values(5, batch * inFeatures);
    const labels = labelsOf(batch, classes);
    const want = mlpLossAndGradients(x, labels, network, { inFeatures, hidden, classes });
    plan.write(x, labels);
    plan.step();
    const [record] = await plan.readRecords();
    // float32 sums of up to 784 products of both signs: errors grow with the root of their number, some 30 * 2^-24, and pass
    // through the softmax. A hidden unit within that of 0 may open or close its ReLU: none here is.
    expect(Math.abs(record!.loss - want.loss)).toBeLessThan(5e-6);
    expect(record!.count).toBe(batch);
    for (const [k, gradient] of Object.values(want.gradients).entries()) {
      const { name } = model.params[k]!;
      const [got] = await readSlices(device, [plan.optimizer.tensor(name).grad]);
      const largest = Math.max(...Array.from(gradient, Math.abs));
      const excess = worstExcess(new Float32Array(got!), gradient, () => 2e-6 * largest + 1e-8);
      expect(excess, name).toBeLessThanOrEqual(0);
    }
    plan.destroy();
  });
});

describe("a training step of 784-128-10 with clipping and figures", () => {
  it("is one submission of at most 16 dispatches, and makes nothing", async () => {
    const device = await testDevice({ fresh: true });
    const plan = await compile(device, mlp(784, 128, 10), {
      batchSize: 64,
      loss: crossEntropy(),
      optimizer: { rule: adamw(), clip: { globalNorm: 1 }, monitor: { every: 1 } },
    });
    plan.write(values(5, 64 * 784), labelsOf(64, 10));
    for (let i = 0; i < 3; i++) plan.step();
    await plan.optimizer.flush();
    const counter = countCalls(device);
    for (let i = 0; i < 20; i++) {
      counter.reset();
      plan.step({ step: i });
      const calls = counter.read();
      expect(calls.dispatches).toBeLessThanOrEqual(16);
      expect(calls.writeBuffer).toBeLessThanOrEqual(3);
      expect(calls).toMatchObject({ submits: 1, createBuffer: 0, createBindGroup: 0, createComputePipeline: 0 });
      await new Promise((resolve) => setTimeout(resolve));
    }
    counter.stop();
    plan.destroy();
  });
});
