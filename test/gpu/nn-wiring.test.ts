/**
 * Whether plans pass the right things to the right kernels: values that several layers read, shared tensors, ReLUs that are
 * part of other kernels, memory that is used again. What the kernels compute is the matter of nn-kernel-*.test.ts.
 */
import { describe, expect, it } from "vitest";
import { sgd } from "../../src/index.ts";
import {
  add,
  avgPool2d,
  batchNorm,
  checkGradients,
  compile,
  concat,
  conv2d,
  convTranspose2d,
  crossEntropy,
  dropout,
  embedding,
  flatten,
  gelu,
  graph,
  groupNorm,
  type Layer,
  layerNorm,
  linear,
  maxPool2d,
  mse,
  type Part,
  positionalEmbedding,
  relu,
  residual,
  rmsNorm,
  type Shape,
  sequential,
  silu,
  softmax,
  tanh,
  type Value,
} from "../../src/nn/index.ts";
import { testDevice } from "../browser/device.ts";
import { values } from "./nn-matrices.ts";

const shared = linear(8);
const odd = linear(3);
const smooth: readonly [string, Shape, Part][] = [
  [
    "blocks, and a value added to itself",
    [6],
    [residual([linear(6), tanh(), linear(6)]), residual([linear(5), tanh()], linear(5)), (x: Value) => add(x, x)],
  ],
  [
    "a value that three layers read",
    [6],
    [(x: Value) => concat([x.pipe(linear(5)), x, x.pipe(linear(3), tanh())]), linear(4)],
  ],
  ["a layer that stands three times", [8], [shared, tanh(), shared, tanh(), shared]],
  ["a tied weight of 9 elements, with a bias of its own", [3], [odd, tanh(), linear(3, { tied: odd })]],
  ["a tied weight, with a bias of its own", [8], [shared, tanh(), linear(8, { tied: shared })]],
  [
    "times of odd widths",
    [5, 3],
    [linear(7), layerNorm(), gelu(), rmsNorm(), linear(4), tanh(), linear(5), softmax(), linear(2, { bias: false })],
  ],
  [
    "times",
    [5, 8],
    [positionalEmbedding(), linear(12), layerNorm(), gelu(), linear(4), softmax(), flatten(), linear(3)],
  ],
  ["dropout", [6], [linear(16), silu(), dropout(0.4), linear(4)]],
  [
    "norms without bias",
    [8],
    [linear(12, { bias: false }), layerNorm({ bias: false }), linear(8), rmsNorm(), groupNorm(2)],
  ],
  [
    "images up and down",
    [2, 4, 4],
    [
      convTranspose2d(3, { kernel: 2, stride: 2, bias: false }),
      tanh(),
      avgPool2d(2),
      conv2d(2, { kernel: 3, padding: 1, bias: false }),
      batchNorm(),
    ],
  ],
];

describe("gradients through", () => {
  // Differences of float32 kernels are good to some 1e-3, less where norms bend; a gradient that goes the wrong way is off by 1.
  it.each(smooth)("%s", async (_, input, part) => {
    const { passed, errors } = await checkGradients(await testDevice(), part, { input, elements: 12 });
    expect(passed, JSON.stringify(errors)).toBe(true);
  });
});

/** ReLU that no plan knows as such: it runs its own kernels, both ways. */
const apart = (): Layer => ({ ...relu(), kind: "apart" });

const bent: readonly [string, Shape, (relu: () => Layer) => Part][] = [
  ["dense layers", [6], (r) => [linear(9), r(), linear(7), r(), linear(3)]],
  [
    "pools and flattened images",
    [2, 6, 6],
    (r) => [
      conv2d(4, { kernel: 3, padding: 1 }),
      r(),
      maxPool2d(2),
      conv2d(3, { kernel: 2 }),
      r(),
      flatten(),
      linear(3),
    ],
  ],
  [
    "batch norm",
    [2, 5, 5],
    (r) => [
      conv2d(4, { kernel: 3, bias: false }),
      batchNorm(),
      r(),
      conv2d(3, { kernel: 2, bias: false }),
      batchNorm(),
      r(),
      residual([conv2d(3, { kernel: 1 }), r()]),
    ],
  ],
  [
    "residual blocks",
    [6],
    (r) => [linear(6), r(), residual([linear(6), r(), linear(6)]), r(), residual(linear(6)), r()],
  ],
  [
    "a value of several layers, all of which mask",
    [6],
    (r) => [linear(6), r(), (x: Value) => add(x.pipe(linear(4)), x.pipe(linear(4)))],
  ],
  [
    "a value of several layers, one of which does not",
    [6],
    (r) => [linear(4), r(), (x: Value) => add(x.pipe(linear(4)), x)],
  ],
  ["the input and the output", [6], (r) => [r(), linear(4), r()]],
  ["two in a row", [6], (r) => [linear(4), r(), r(), linear(3)]],
];

describe("a ReLU in other kernels gives what one of its own gives:", () => {
  it.each(bent)("%s", async (_, input, build) => {
    const device = await testDevice();
    const run = async (bend: () => Layer) => {
      const model = sequential(input, [build(bend)]);
      const optimizer = { rule: sgd(), lr: 0 };
      const plan = await compile(device, model, { batchSize: 5, loss: mse(), optimizer, seed: 1, inputGradient: true });
      const size = (shape: Shape) => shape.reduce((n, d) => n * d, 5);
      plan.write(values(1, size(input)), values(2, size(model.output)));
      plan.step();
      const [record] = await plan.readRecords();
      const gradients = [];
      for (const { name } of model.params) gradients.push(await plan.readGradient(name));
      const dispatches = plan.train.dispatches.length;
      plan.destroy();
      return { loss: record!.loss, gradients, dispatches };
    };
    const fused = await run(relu);
    const separate = await run(apart);
    expect(fused.loss).toBeCloseTo(separate.loss, 6);
    fused.gradients.forEach((gradient, k) => {
      const want = separate.gradients[k]!;
      const largest = Math.max(...want.map(Math.abs));
      expect(largest).toBeGreaterThan(1e-4);
      const off = Math.max(...gradient.map((g, i) => Math.abs(g - want[i]!)));
      // Other kernels may sum in another order.
      expect(off / largest).toBeLessThan(1e-5);
    });
    expect(fused.dispatches).toBeLessThan(separate.dispatches);
  });
});

describe("tokens", () => {
  it("go through a tied embedding, and the loss falls", async () => {
    const device = await testDevice();
    const [time, vocabulary] = [6, 12];
    const table = embedding(vocabulary, 8);
    const model = graph([time], (x) => {
      const h = x.pipe(table, positionalEmbedding(), residual([layerNorm(), linear(8), relu(), linear(8)]));
      return h.pipe(linear(vocabulary, { tied: table, bias: false }));
    });
    expect(model.inputKind).toBe("tokens");
    const plan = await compile(device, model, {
      batchSize: 4,
      loss: crossEntropy(),
      optimizer: { rule: sgd(), lr: 0.3, clip: { globalNorm: 1 } },
    });
    // What comes next in a sequence that counts in threes.
    const sequences = Array.from({ length: 4 * time }, (_, k) => (3 * (k % time) + Math.floor(k / time)) % vocabulary);
    plan.write(
      sequences,
      sequences.map((token) => (token + 3) % vocabulary),
    );
    for (let step = 0; step < 60; step++) plan.step({ step });
    const [record] = await plan.readRecords();
    expect(record!.count).toBe(4 * time);
    expect(record!.loss).toBeLessThan(0.5);
    expect(record!.correct).toBeGreaterThan(20);
    plan.destroy();
  });
});
