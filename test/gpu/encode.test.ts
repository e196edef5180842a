/** Steps in the caller's own encoders: with other passes, several in one submission, and with options that change between. */

import { describe, expect, test } from "vitest";
import {
  adamw,
  cosine,
  createOptimizer,
  type Figures,
  type Optimizer,
  type OptimizerOptions,
  sgd,
} from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { bitsOf, someValues } from "./twin-run.ts";

const SHAPES = { a: [70], b: [5], c: [64] };

async function make(options: Partial<OptimizerOptions>): Promise<Optimizer> {
  const params = Object.entries(SHAPES).map(([name, shape], k) => ({ name, shape, data: someValues(k, shape[0]!) }));
  const optimizer = await createOptimizer(await testDevice(), { rule: adamw(), params, lr: 0.1, ...options });
  params.forEach(({ name, shape }, k) => {
    optimizer.writeGrad(name, someValues(10 + k, shape[0]!));
  });
  return optimizer;
}

async function finish(optimizer: Optimizer) {
  const state = await optimizer.stateDict();
  optimizer.destroy();
  return bitsOf(state);
}

/** Encodes `steps` steps into one command buffer; `before` is called before each. */
function encodeSteps(optimizer: Optimizer, steps: number, before: (step: number) => void = () => {}): GPUCommandBuffer {
  const encoder = optimizer.device.createCommandEncoder();
  for (let step = 1; step <= steps; step++) {
    before(step);
    optimizer.encode(encoder);
  }
  return encoder.finish();
}

/** The same steps with one submission each, and all in one submission. */
async function expectSame(
  options: Partial<OptimizerOptions>,
  steps: number,
  before: (o: Optimizer, step: number) => void,
) {
  const apart = await make(options);
  for (let step = 1; step <= steps; step++) {
    before(apart, step);
    apart.step();
  }
  const together = await make(options);
  together.device.queue.submit([encodeSteps(together, steps, (step) => before(together, step))]);
  const bits = await finish(together);
  expect(bits).toEqual(await finish(apart));
  expect(bits.stepsApplied).toBe(steps);
}

test("encode and submit is step, and makes nothing", async () => {
  const optimizer = await make({});
  optimizer.step();
  const counter = countCalls(optimizer.device);
  optimizer.device.queue.submit([encodeSteps(optimizer, 1)]);
  expect(counter.stop()).toMatchObject({ submits: 1, encoders: 1, createBuffer: 0, createBindGroup: 0, passes: 1 });
  const steps = await make({});
  steps.step();
  steps.step();
  expect(await finish(optimizer)).toEqual(await finish(steps));
});

test("step takes the caller's passes into its submission, before the update", async () => {
  const optimizer = await make({ rule: sgd(), lr: 1 });
  const { param, grad } = optimizer.tensor("c");
  const before = await optimizer.readParam("c");
  const source = optimizer.device.createBuffer({ size: 256, usage: 0x4 | 0x8 /* COPY_SRC, COPY_DST */ });
  const values = someValues(20, 64);
  optimizer.device.queue.writeBuffer(source, 0, values as Float32Array<ArrayBuffer>);
  const counter = countCalls(optimizer.device);
  optimizer.step((encoder) => encoder.copyBufferToBuffer(source, 0, grad.buffer, grad.offset, grad.size));
  expect(counter.stop().submits).toBe(1);
  expect(param.size).toBe(256);
  expect(await optimizer.readParam("c")).toEqual(before.map((x, i) => Math.fround(x - values[i]!)));
  optimizer.destroy();
  source.destroy();
});

describe.each([
  ["", {}],
  [", where steps may be skipped", { skipNonFinite: true }],
  [", with clipping and loss scaling", { clip: { globalNorm: 1 }, lossScale: { initial: 4, growthInterval: 2 } }],
] as [string, Partial<OptimizerOptions>][])("several steps in one submission%s", (_, options) => {
  test("with another lr each", async () => {
    await expectSame(options, 4, (optimizer, step) => optimizer.set({ lr: 0.1 * step }));
  });

  test("with another group of tensors without a gradient each, and frozen ones", async () => {
    await expectSame(options, 5, (optimizer, step) => {
      if (step % 2 === 1) optimizer.withoutGrad("a");
      if (step === 2) optimizer.withoutGrad("*");
      if (step === 3) optimizer.freeze("b");
      if (step === 5) optimizer.unfreeze("b");
    });
  });

  test("with another beta each", async () => {
    await expectSame(options, 4, (optimizer, step) => optimizer.set({ betas: [0.9 - 0.1 * step, 0.9] }));
  });

  test("up to 64, by a schedule", async () => {
    await expectSame({ ...options, lr: cosine(0.1, 64) }, 64, () => {});
  });

  test("when the tables on the device have to grow meanwhile", async () => {
    const grow = (optimizer: Optimizer, step: number): void => {
      // So many steps of which the host knows nothing yet.
      if (step === 1) for (let i = 0; i < 230; i++) optimizer.step();
      if (step === 40) optimizer.setGroup("second", { betas: [0.5, 0.99999] });
    };
    const groups = [{ match: "c", name: "second" }];
    const apart = await make({ ...options, groups });
    const together = await make({ ...options, groups });
    for (let step = 1; step <= 60; step++) {
      grow(apart, step);
      apart.step();
    }
    together.device.queue.submit([encodeSteps(together, 60, (step) => grow(together, step))]);
    expect(await finish(together)).toEqual(await finish(apart));
  });
});

test("what changed options leave behind is freed: by the next step of one's own, or after 64 steps", async () => {
  const optimizer = await make({ skipNonFinite: true });
  const counter = countCalls(optimizer.device);
  for (let i = 1; i <= 200; i++) {
    optimizer.device.queue.submit([
      encodeSteps(optimizer, 1, () => optimizer.set({ lr: 1 / i, betas: [0.9, 1 - 1 / i] })),
    ]);
  }
  // Records and rows by step count, each at most 64 times.
  expect(counter.read().liveBuffers).toBeLessThanOrEqual(128);
  optimizer.step();
  expect(counter.stop().liveBuffers).toBeLessThanOrEqual(0);
  optimizer.destroy();
});

describe("figures of encoded steps", () => {
  test("arrive after the caller's submission: the newest of each", async () => {
    const optimizer = await make({ monitor: {}, skipNonFinite: true });
    const seen: Figures[] = [];
    optimizer.on("figures", (figures) => seen.push(figures));
    for (const steps of [1, 3, 1]) {
      optimizer.device.queue.submit([encodeSteps(optimizer, steps)]);
      await optimizer.flush();
    }
    expect(seen.map((f) => [f.step, f.stepsApplied])).toEqual([
      [1, 1],
      [4, 4],
      [5, 5],
    ]);
    optimizer.destroy();
  });

  test("arrive by themselves", async () => {
    const optimizer = await make({ monitor: {} });
    const next = optimizer.figures().next();
    optimizer.device.queue.submit([encodeSteps(optimizer, 2)]);
    expect((await next).value).toMatchObject({ step: 2 });
    optimizer.destroy();
  });

  test("arrive however late the caller submits", async () => {
    const optimizer = await make({ monitor: {} });
    const seen: number[] = [];
    optimizer.on("figures", ({ step }) => seen.push(step));
    const commands = encodeSteps(optimizer, 1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await optimizer.flush();
    expect(seen).toEqual([]);
    optimizer.device.queue.submit([commands]);
    await optimizer.flush();
    expect(seen).toEqual([1]);
    optimizer.destroy();
  });
});
