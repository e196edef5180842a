/** What a step costs in WebGPU calls, whatever the number of tensors, and what an optimizer leaves behind: nothing. */
import { describe, expect, test } from "vitest";
import { adamw, cosine, createOptimizer, type Optimizer, type OptimizerOptions, sgd } from "../../src/index.ts";
import { type CallCounts, countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { USAGE, values } from "./refusals.ts";

/** So that what the GPU has finished is delivered. */
const breathe = () => new Promise((resolve) => setTimeout(resolve));

const tensors = (count: number) =>
  Array.from({ length: count }, (_, k) => ({ name: `t${k}`, shape: [1 + ((37 * k) % 90)] }));

/** What may be made in no step. */
const NOTHING_MADE = {
  createBuffer: 0,
  destroyBuffer: 0,
  createBindGroup: 0,
  createComputePipeline: 0,
  createShaderModule: 0,
} as const;

/** The largest count of each kind in one of `steps` steps. */
async function dearest(device: GPUDevice, steps: number, step: (i: number) => void): Promise<CallCounts> {
  const most = { liveBuffers: Number.NEGATIVE_INFINITY, liveBytes: Number.NEGATIVE_INFINITY } as CallCounts;
  const counter = countCalls(device);
  for (let i = 0; i < steps; i++) {
    counter.reset();
    step(i);
    for (const [name, count] of Object.entries(counter.read()) as [keyof CallCounts, number][])
      most[name] = Math.max(most[name] ?? 0, count);
    if (i % 20 === 19) await breathe();
  }
  counter.stop();
  return most;
}

describe("a steady step", () => {
  test.each([1, 50, 500])("AdamW with %i tensors: one dispatch", async (count) => {
    const device = await testDevice();
    const optimizer = await createOptimizer(device, {
      rule: adamw({ amsgrad: true }),
      params: tensors(count),
      lr: cosine(1e-3, 300),
      groups: [{ match: "t1*", weightDecay: 0, lr: 1e-2 }],
    });
    optimizer.step();
    expect(await dearest(device, 300, () => optimizer.step())).toMatchObject({
      ...NOTHING_MADE,
      dispatches: 1,
      passes: 1,
      encoders: 1,
      submits: 1,
      copyBufferToBuffer: 0,
      mapAsync: 0,
      // The header, and the records of the groups.
      writeBuffer: 2,
      liveBuffers: 0,
    });
    optimizer.destroy();
  });

  test("clipping, skipping and figures: four dispatches in one pass, and one submission", async () => {
    const device = await testDevice();
    const optimizer = await createOptimizer(device, {
      rule: adamw(),
      params: tensors(50),
      clip: { globalNorm: 1, value: 0.1 },
      skipNonFinite: true,
      lossScale: {},
      monitor: {},
    });
    optimizer.step();
    await optimizer.flush();
    const counts = await dearest(device, 100, (i) => {
      if (i % 10 === 3) optimizer.writeGrad("t1", new Float32Array(38).fill(Number.NaN));
      if (i % 10 === 5) optimizer.writeGrad("t1", new Float32Array(38));
      optimizer.step();
    });
    expect(counts).toMatchObject({ ...NOTHING_MADE, dispatches: 4, passes: 1, encoders: 1, submits: 1, mapAsync: 1 });
    expect(counts.copyBufferToBuffer).toBe(1);
    // Of the test, one more.
    expect(counts.writeBuffer).toBe(3);
    optimizer.destroy();
  });

  test("clipping alone: three dispatches; a norm is read back now and then, without figures", async () => {
    const device = await testDevice();
    const optimizer = await createOptimizer(device, { rule: sgd(), params: tensors(50), clip: { globalNorm: 1 } });
    optimizer.step();
    const counts = await dearest(device, 100, () => optimizer.step());
    expect(counts).toMatchObject({
      ...NOTHING_MADE,
      dispatches: 3,
      passes: 1,
      submits: 1,
      writeBuffer: 2,
      mapAsync: 1,
    });
    optimizer.destroy();
  });

  test("a micro-batch that is only summed: one dispatch", async () => {
    const device = await testDevice();
    const optimizer = await createOptimizer(device, { rule: sgd(), params: tensors(50), accumulate: 4 });
    for (let i = 0; i < 4; i++) optimizer.step();
    const counter = countCalls(device);
    optimizer.step();
    expect(counter.read()).toMatchObject({ ...NOTHING_MADE, dispatches: 1, passes: 1, submits: 1, writeBuffer: 1 });
    counter.reset();
    for (let i = 1; i < 4; i++) optimizer.step();
    expect(counter.stop()).toMatchObject({ ...NOTHING_MADE, dispatches: 4, passes: 3, submits: 3, writeBuffer: 4 });
    optimizer.destroy();
  });

  test("tensors in the caller's buffers: one dispatch each, in one pass", async () => {
    const device = await testDevice();
    const buffers: GPUBuffer[] = [];
    const slice = () => {
      const buffer = device.createBuffer({ size: 512, usage: USAGE });
      buffers.push(buffer);
      return { buffer };
    };
    const params = tensors(20).map((t) => ({ ...t, param: slice(), grad: slice() }));
    const optimizer = await createOptimizer(device, { rule: adamw(), params });
    optimizer.step();
    const steady = { ...NOTHING_MADE, dispatches: 20, passes: 1, encoders: 1, submits: 1, writeBuffer: 2 };
    expect(await dearest(device, 50, () => optimizer.step())).toMatchObject(steady);

    // As allocators do that hand the same few buffers round.
    const rotating = params.map(({ grad }) => [grad, slice(), slice()]);
    const rotate = (i: number) => {
      params.forEach(({ name }, k) => {
        optimizer.attach(name, { grad: rotating[k]![i % 3]! });
      });
      optimizer.step();
    };
    for (let i = 0; i < 3; i++) rotate(i);
    expect(await dearest(device, 50, rotate)).toMatchObject(steady);
    optimizer.destroy();
    for (const buffer of buffers) buffer.destroy();
  });

  test("encoded into the caller's submission: none of its own", async () => {
    const device = await testDevice();
    const optimizer = await createOptimizer(device, { rule: adamw(), params: tensors(50), clip: { globalNorm: 1 } });
    optimizer.step();
    const counter = countCalls(device);
    const encoder = device.createCommandEncoder();
    for (let i = 0; i < 10; i++) optimizer.encode(encoder);
    expect(counter.read()).toMatchObject({ ...NOTHING_MADE, submits: 0, encoders: 1, passes: 10, dispatches: 30 });
    device.queue.submit([encoder.finish()]);
    await breathe();
    expect(counter.stop()).toMatchObject({ ...NOTHING_MADE, submits: 1, encoders: 1 });
    optimizer.destroy();
  });
});

describe("a change of options", () => {
  const changes: [string, (optimizer: Optimizer, i: number) => void][] = [
    ["lr", (o, i) => o.set({ lr: 1e-3 / (1 + i) })],
    ["lr of a group", (o, i) => o.setGroup("t1*", { lr: 1e-3 * i })],
    ["lr, to a schedule", (o) => o.set({ lr: cosine(1, 100) })],
    ["lr 0", (o) => o.set({ lr: 0 })],
    [
      "weight decay and its mode",
      (o, i) => o.set({ weightDecay: 0.1 * i, decayMode: i % 2 ? "decoupled" : "proximal" }),
    ],
    ["frozen", (o, i) => o.setGroup("t1*", { frozen: i % 2 === 0 })],
  ];

  test.each(changes)("%s: makes nothing", async (_, change) => {
    const device = await testDevice();
    const groups = [{ match: "t1*", lr: 0.1 }];
    const optimizer = await createOptimizer(device, { rule: adamw(), params: tensors(50), groups });
    optimizer.step();
    const counts = await dearest(device, 50, (i) => {
      change(optimizer, i);
      optimizer.step();
    });
    expect(counts).toMatchObject({ ...NOTHING_MADE, dispatches: 1, passes: 1, submits: 1 });
    expect(counts.writeBuffer).toBeLessThanOrEqual(3);
    optimizer.destroy();
  });

  test("betas and eps: no pipeline", async () => {
    const device = await testDevice();
    const optimizer = await createOptimizer(device, { rule: adamw(), params: tensors(50) });
    optimizer.step();
    const counts = await dearest(device, 20, (i) => {
      optimizer.set({ betas: [0.9, 0.999 - 0.01 * i], eps: 1e-8 * (1 + i) });
      optimizer.step();
    });
    expect(counts).toMatchObject({ createComputePipeline: 0, createShaderModule: 0, dispatches: 1, submits: 1 });
    optimizer.destroy();
  });
});

/** An optimizer with everything that makes buffers. */
const ample = (label: string) =>
  ({
    label,
    rule: adamw({ amsgrad: true }),
    params: tensors(20),
    clip: { globalNorm: 1, value: 1 },
    lossScale: {},
    accumulate: 2,
    monitor: { every: 1 },
    decayMode: "decoupled",
    cautious: true,
    toward: "initial",
  }) satisfies OptimizerOptions;

describe("memory", () => {
  test("does not grow over 2000 steps with figures", async () => {
    const device = await testDevice({ fresh: true });
    const optimizer = await createOptimizer(device, { ...ample("long"), accumulate: 1 });
    let delivered = 0;
    optimizer.on("figures", () => {
      delivered += 1;
    });
    const counter = countCalls(device);
    for (let i = 1; i <= 2000; i++) {
      optimizer.step();
      // A host that is hundreds of steps ahead needs more rows of records: it does not know yet which steps were skipped.
      if (i % 100 === 0) await optimizer.flush();
      else if (i % 10 === 0) await breathe();
      if (i % 400 === 0) {
        await optimizer.stateDict();
        expect(counter.read(), `after step ${i}`).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
      }
    }
    // One staging buffer for each state dict.
    expect(counter.stop()).toMatchObject({ createBuffer: 5, destroyBuffer: 5, submits: 2005 });
    expect(delivered + optimizer.figuresDropped).toBe(2000);
    expect(delivered).toBeGreaterThan(40);
    optimizer.destroy();
  });

  test("is all given back by destroy, and not more: the caller's buffers stay", async () => {
    const device = await testDevice({ fresh: true });
    const own = () => ({ buffer: device.createBuffer({ size: 400, usage: USAGE }) });
    const attached = { name: "mine", shape: [100], param: own(), grad: own() };
    const counter = countCalls(device);
    const optimizer = await createOptimizer(device, { ...ample("once"), params: [...tensors(20), attached] });
    optimizer.writeParam("mine", values(100, 0));
    optimizer.step();
    optimizer.step();
    await optimizer.addParams([{ name: "late", shape: [33] }]);
    optimizer.set({ betas: [0.8, 0.9] });
    optimizer.step();
    optimizer.step();
    const before = await optimizer.readParam("mine");
    expect(counter.read().liveBytes).toBeGreaterThan(10_000);
    optimizer.destroy();
    const { liveBuffers, liveBytes, createBuffer, destroyBuffer } = counter.read();
    expect({ liveBuffers, liveBytes }).toEqual({ liveBuffers: 0, liveBytes: 0 });
    expect(destroyBuffer).toBe(createBuffer);
    optimizer.destroy();
    expect(counter.stop().destroyBuffer).toBe(destroyBuffer);

    const next = await createOptimizer(device, { rule: sgd(), params: [attached], lr: 0 });
    next.step();
    expect(await next.readParam("mine")).toEqual(before);
    next.destroy();
  });

  test("is all given back by 50 optimizers, with figures on their way", async () => {
    const device = await testDevice({ fresh: true });
    const counter = countCalls(device);
    for (let i = 0; i < 50; i++) {
      const optimizer = await createOptimizer(device, ample(`number ${i}`));
      optimizer.step();
      optimizer.step();
      optimizer.destroy();
    }
    const { liveBuffers, liveBytes, createBuffer } = counter.stop();
    expect({ liveBuffers, liveBytes }).toEqual({ liveBuffers: 0, liveBytes: 0 });
    expect(createBuffer).toBeGreaterThan(500);
  });
});
