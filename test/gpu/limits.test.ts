/**
 * Devices that allow little. Small limits are injected, so that many windows, several arenas, split state and grids that are
 * smaller than the number of chunks come about with a few thousand elements; results must not know of it.
 */
import { describe, expect, test } from "vitest";
import {
  adamw,
  createOptimizer,
  DeviceError,
  type Figures,
  type Optimizer,
  type OptimizerOptions,
  type ParamSpec,
  type Tuning,
} from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { type TestDeviceOptions, testDevice } from "../browser/device.ts";
import { failureOf, USAGE, values } from "./refusals.ts";
import { bitsOf } from "./twin-run.ts";

const CHUNK = 64;
// Around the chunk, and a few that no small window holds.
const SIZES = [1000, 7, 0, CHUNK, CHUNK + 1, 300, 2000, 3, 2 * CHUNK];
const names = SIZES.map((_, k) => `t${k}`);
const params: ParamSpec[] = SIZES.map((size, k) => ({ name: names[k]!, shape: [size], data: values(size, k) }));

/** Everything at once: four state slots, anchors in groups of both kinds, every kernel. */
const options = {
  rule: adamw({ amsgrad: true }),
  params,
  lr: 0.01,
  weightDecay: 0.1,
  cautious: true,
  toward: "initial",
  groups: [{ match: /t[126]/, toward: Object.fromEntries(SIZES.map((size, k) => [`t${k}`, values(size, 50 + k)])) }],
  clip: { globalNorm: 0.5, tensorNorm: 0.3, value: 0.01 },
  lossScale: { initial: 8, growthInterval: 2 },
  accumulate: 2,
  monitor: { every: 1 },
} satisfies OptimizerOptions;

/** Takes micro-batches `from` to `to`; the gradients of one step are not finite. */
function drive(optimizer: Optimizer, from: number, to: number): void {
  for (let i = from; i <= to; i++) {
    SIZES.forEach((size, k) => {
      const grad = values(size, 10 * i + k);
      if (i === 7 && k === 6) grad[1500] = Number.POSITIVE_INFINITY;
      optimizer.writeGrad(names[k]!, grad);
    });
    optimizer.step();
  }
}

/** What a run leaves behind: all bits of the state, and all figures. */
async function outcome(optimizer: Optimizer, from: number, to: number) {
  const figures: Figures[] = [];
  optimizer.on("figures", (f) => figures.push(f));
  // Of a run that the host is far ahead of, some figures would find no free buffer.
  for (let i = from; i <= to; i += 4) {
    drive(optimizer, i, Math.min(i + 3, to));
    await optimizer.flush();
  }
  return { state: bitsOf(await optimizer.stateDict()), figures };
}

async function run(device: GPUDevice, tuning: Tuning, more: Partial<OptimizerOptions> = {}) {
  const optimizer = await createOptimizer(device, { ...options, ...more }, tuning);
  const result = await outcome(optimizer, 1, 12);
  optimizer.destroy();
  return result;
}

/** How many windows and arenas the limits have brought about, and the largest buffer and binding of tensors and their state. */
async function layout(device: GPUDevice, tuning: Tuning) {
  const ours = /(params|grads|state|sums)$/;
  const sizes: number[] = [];
  const bindings: number[] = [];
  const { createBuffer, createBindGroup } = device;
  device.createBuffer = (descriptor) => {
    if (ours.test(descriptor.label ?? "")) sizes.push(descriptor.size);
    return createBuffer.call(device, descriptor);
  };
  device.createBindGroup = (descriptor) => {
    for (const { resource } of descriptor.entries) {
      const { buffer, size } = resource as GPUBufferBinding;
      if (ours.test(buffer.label)) bindings.push(size ?? buffer.size);
    }
    return createBindGroup.call(device, descriptor);
  };
  const counter = countCalls(device);
  const optimizer = await createOptimizer(device, options, tuning);
  const arenas = new Set(optimizer.tensors.map((t) => t.param.buffer)).size;
  drive(optimizer, 1, 1);
  counter.reset();
  drive(optimizer, 2, 2);
  // Accumulate, measure and update over the windows, control, summarize.
  const windows = (counter.stop().dispatches - 2) / 3;
  optimizer.destroy();
  Reflect.deleteProperty(device, "createBuffer");
  Reflect.deleteProperty(device, "createBindGroup");
  return { arenas, windows, buffer: Math.max(...sizes), binding: Math.max(...bindings) };
}

const slots = 4;
const bytes = (elements: number, copies = 1) => elements * 4 * copies;

describe("injected limits change nothing but the layout", () => {
  const unlimited = { chunk: CHUNK };
  const rows: [string, Tuning["limits"] & object, { arenas: number; windows: number }][] = [
    ["none", {}, { arenas: 1, windows: 1 }],
    ["a window of 16 chunks", { maxStorageBufferBindingSize: bytes(16 * CHUNK, slots) }, { arenas: 1, windows: 4 }],
    ["a window of 1 chunk", { maxStorageBufferBindingSize: bytes(CHUNK, slots) }, { arenas: 1, windows: 60 }],
    [
      "a window of 5 chunks and a bit",
      { maxStorageBufferBindingSize: bytes(5 * CHUNK + 17, slots) },
      { arenas: 1, windows: 12 },
    ],
    ["buffers of 2048 elements", { maxBufferSize: bytes(2048) }, { arenas: 3, windows: 9 }],
    [
      "buffers of 2048 elements, windows of 6 chunks",
      { maxBufferSize: bytes(2048), maxStorageBufferBindingSize: bytes(6 * CHUNK, slots) },
      { arenas: 3, windows: 12 },
    ],
    ["1 workgroup", { maxComputeWorkgroupsPerDimension: 1 }, { arenas: 1, windows: 1 }],
    ["7 workgroups", { maxComputeWorkgroupsPerDimension: 7 }, { arenas: 1, windows: 1 }],
    [
      "all of them",
      {
        maxComputeWorkgroupsPerDimension: 3,
        maxBufferSize: bytes(2048),
        maxStorageBufferBindingSize: bytes(10 * CHUNK, slots),
      },
      { arenas: 3, windows: 9 },
    ],
  ];

  test.each(rows)("%s", async (_, limits, expected) => {
    const device = await testDevice();
    const tuning = { chunk: CHUNK, limits };
    const { buffer, binding, ...counts } = await layout(device, tuning);
    expect(counts).toEqual(expected);
    expect(buffer).toBeLessThanOrEqual(limits.maxBufferSize ?? device.limits.maxBufferSize);
    expect(binding).toBeLessThanOrEqual(
      limits.maxStorageBufferBindingSize ?? device.limits.maxStorageBufferBindingSize,
    );
    const [got, plain] = [await run(device, tuning), await run(device, unlimited)];
    expect(plain.figures).toHaveLength(6);
    expect(plain.figures.map((f) => f.skipped)).toEqual([false, false, false, true, false, false]);
    // Of equal chunks the sums are the same sums in the same order: not even norms differ in a bit.
    expect(got).toEqual(plain);
  });

  test("neither does the chunk size, but for the rounding of norms", async () => {
    const device = await testDevice();
    const clip = { value: 0.01 };
    const more = { clip, lossScale: 4, skipNonFinite: true };
    const [small, large] = [await run(device, { chunk: 64 }, more), await run(device, { chunk: 1024 }, more)];
    // No norm takes part in the update here, so it is the same to the last bit.
    expect(small.state).toEqual(large.state);
    small.figures.forEach((f, i) => {
      const g = large.figures[i]!;
      // Sums of up to 2000 squares in another order: each rounding is 2^-24 relative, and there are few in a row.
      for (const what of ["gradNorm", "gradNormClipped", "paramNorm", "updateNorm"] as const)
        expect(Math.abs(f[what] / g[what] - 1) || 0, `${what} of step ${f.step}`).toBeLessThan(1e-6);
      expect(f.nonFinite).toBe(g.nonFinite);
      expect(f.maxGrad).toBe(g.maxGrad);
    });
  });

  test("a state dict goes from one layout to another, and the run on, bit for bit", async () => {
    const device = await testDevice();
    const narrow = { chunk: CHUNK, limits: { maxStorageBufferBindingSize: bytes(3 * CHUNK, slots) } };
    const expected = await run(device, unlimited);
    for (const [from, to] of [
      [narrow, unlimited],
      [unlimited, narrow],
      [narrow, narrow],
    ] as const) {
      const first = await createOptimizer(device, options, from);
      drive(first, 1, 6);
      const saved = await first.stateDict();
      first.destroy();
      const empty = params.map(({ name, shape }) => ({ name, shape }));
      const second = await createOptimizer(device, { ...options, params: empty }, to);
      await second.loadStateDict(structuredClone(saved));
      expect(await second.readState("t6")).toEqual(saved.tensors.t6);
      const { state, figures } = await outcome(second, 7, 12);
      expect(state).toEqual(expected.state);
      expect(figures.map((f) => f.updateNorm)).toEqual(expected.figures.slice(3).map((f) => f.updateNorm));
      second.destroy();
    }
  });

  test("tensors in buffers of the caller's span windows too", async () => {
    const device = await testDevice();
    const buffers: GPUBuffer[] = [];
    const slice = (size: number) => {
      const buffer = device.createBuffer({ size: Math.max(4, size * 4), usage: USAGE });
      buffers.push(buffer);
      return { buffer };
    };
    const bitsWith = async (tuning: Tuning) => {
      const attached = SIZES.map((size, k) => ({
        name: names[k]!,
        shape: [size],
        param: slice(size),
        grad: slice(size),
      }));
      const toward = options.groups[0]!.toward;
      const made = await createOptimizer(device, { ...options, params: attached, toward, groups: [] }, tuning);
      for (const [k, size] of SIZES.entries()) made.writeParam(names[k]!, values(size, k));
      const result = await outcome(made, 1, 8);
      made.destroy();
      return result;
    };
    const limits = { maxStorageBufferBindingSize: bytes(3 * CHUNK, slots), maxComputeWorkgroupsPerDimension: 2 };
    expect(await bitsWith({ chunk: CHUNK, limits })).toEqual(await bitsWith(unlimited));
    for (const buffer of buffers) buffer.destroy();
  });

  test("and so do tensors that are added later", async () => {
    const device = await testDevice();
    const bitsWith = async (tuning: Tuning) => {
      const made = await createOptimizer(device, { ...options, params: params.slice(0, 4) }, tuning);
      await made.addParams(params.slice(4));
      const result = await outcome(made, 1, 6);
      made.destroy();
      return result;
    };
    const limits = { maxStorageBufferBindingSize: bytes(3 * CHUNK, slots), maxBufferSize: bytes(2048) };
    expect(await bitsWith({ chunk: CHUNK, limits })).toEqual(await bitsWith(unlimited));
  });
});

describe("what does not fit is a DeviceError", () => {
  const plain = { rule: adamw(), params: [{ name: "big", shape: [100, 100] }] };

  test("a tensor larger than a buffer", async () => {
    const device = await testDevice();
    const counter = countCalls(device);
    const error = await failureOf(() => createOptimizer(device, plain, { limits: { maxBufferSize: 39_999 } }));
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.message).toBe("createOptimizer: big has 40000 bytes, a buffer of this device at most 39999");
    expect(counter.stop()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
    const fits = await createOptimizer(device, plain, { chunk: 64, limits: { maxBufferSize: 40_192 } });
    fits.destroy();
  });

  test("a tensor larger than a buffer of this very device", async () => {
    const device = await testDevice();
    const shape = [device.limits.maxBufferSize / 4 + 1];
    const error = await failureOf(() => createOptimizer(device, { ...plain, params: [{ name: "big", shape }] }));
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.message).toMatch(/^createOptimizer: big has \d+ bytes, a buffer of this device at most 268435456$/);
  });

  test("a binding that does not hold a chunk of every slot", async () => {
    const device = await testDevice();
    const limits = { maxStorageBufferBindingSize: 64 * 4 * 2 - 4 };
    const error = await failureOf(() => createOptimizer(device, plain, { chunk: 64, limits }));
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.message).toContain(
      "a binding of 508 bytes, the most of this device, cannot hold a chunk of 64 elements in 2 slots",
    );
  });

  test("a device with 7 storage buffers per stage", async () => {
    const device = await testDevice();
    const few = Object.create(device, {
      limits: { value: { ...limitsOf(device), maxStorageBuffersPerShaderStage: 7 } },
    }) as GPUDevice;
    const error = await failureOf(() => createOptimizer(few, plain));
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.message).toContain("binds 8 storage buffers, the device allows 7");
  });

  test("more than there is memory for; what was made by then is freed, and the device goes on", async () => {
    const GiB = 2 ** 30;
    const device = await testDevice({
      fresh: true,
      requiredLimits: { maxBufferSize: GiB, maxStorageBufferBindingSize: GiB },
    });
    const counter = countCalls(device);
    const huge = { ...plain, params: [{ name: "huge", shape: [2 ** 28 - 1024] }] };
    const error = await failureOf(() => createOptimizer(device, huge));
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.message).toMatch(/^createOptimizer: out of memory: /);
    expect(counter.read().createBuffer).toBeGreaterThan(1);
    expect(counter.stop()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
    const optimizer = await createOptimizer(device, plain);
    optimizer.writeGrad("big", values(10_000, 1));
    optimizer.step();
    expect((await optimizer.readParam("big"))[0]).not.toBe(0);
    optimizer.destroy();
  });
});

function limitsOf(device: GPUDevice): Record<string, number> {
  const all: Record<string, number> = {};
  for (const name in device.limits) all[name] = device.limits[name as "maxBufferSize"];
  return all;
}

describe("devices with the least they may have", () => {
  const least: [string, TestDeviceOptions, (device: GPUDevice) => void][] = [
    [
      "default limits",
      {},
      ({ limits }) => {
        expect(limits.maxStorageBuffersPerShaderStage).toBe(8);
        expect(limits.maxStorageBufferBindingSize).toBe(2 ** 27);
      },
    ],
    [
      "compatibility mode",
      { featureLevel: "compatibility" },
      ({ limits }) => {
        expect(limits.maxComputeInvocationsPerWorkgroup).toBe(128);
        expect(limits.maxUniformBufferBindingSize).toBe(16384);
      },
    ],
  ];

  test.each(least)("%s, without optional features", async (_, wishes, check) => {
    const device = await testDevice(wishes);
    check(device);
    expect([...device.features].filter((name) => name !== ("core-features-and-limits" as GPUFeatureName))).toEqual([]);
    // What the test asks for is the workgroup of a GPU, so that its kernels are those that are compiled.
    const tuning = { chunk: CHUNK, workgroup: 64 };
    const optimizer = await createOptimizer(device, options, tuning);
    const got = await outcome(optimizer, 1, 12);
    optimizer.destroy();

    const adapter = await navigator.gpu.requestAdapter();
    const { features, limits } = adapter!;
    const rich = await testDevice({
      fresh: true,
      requiredFeatures: [...features].filter((f) => /^(shader-f16|subgroups)$/.test(f)) as GPUFeatureName[],
      requiredLimits: { maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage },
    });
    expect(got).toEqual(await run(rich, tuning));
  });
});
