/** Creation that fails half way leaves nothing behind; and what the GPU objects of an optimizer are called. */
import { afterEach, describe, expect, test } from "vitest";
import { createLossScaler, createOptimizer, DeviceError, OptimError, ShaderError } from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { ample, failureOf, settled } from "./refusals.ts";

describe("when creation fails half way", () => {
  let restore = () => {};
  afterEach(() => restore());

  /** Lets the `n`-th call of a method go wrong, as `fail` says; answers whether it was reached. */
  function sabotage<K extends "createBuffer" | "createComputePipelineAsync" | "createBindGroup">(
    device: GPUDevice,
    method: K,
    n: number,
    fail: (call: (descriptor: never) => unknown, descriptor: never) => unknown,
  ): () => boolean {
    const original = device[method].bind(device) as (descriptor: never) => unknown;
    let calls = 0;
    device[method] = ((descriptor: never) =>
      ++calls === n ? fail(original, descriptor) : original(descriptor)) as GPUDevice[K];
    restore = () => {
      Reflect.deleteProperty(device, method);
    };
    return () => calls >= n;
  }

  /** Fails the first, second, ... call until creation succeeds; says how often it has failed. */
  async function everyCall(
    method: "createBuffer" | "createComputePipelineAsync" | "createBindGroup",
    fail: (call: (descriptor: never) => unknown, descriptor: never) => unknown,
    expected: (error: unknown) => void,
    make: (device: GPUDevice) => Promise<{ destroy(): void }>,
  ): Promise<number> {
    const device = await testDevice({ fresh: true });
    for (let n = 1; ; n++) {
      const counter = countCalls(device);
      const reached = sabotage(device, method, n, fail);
      const outcome = await settled(`creation with ${method} ${n} failing`, make(device));
      restore();
      if (outcome.status === "fulfilled") outcome.value.destroy();
      const { liveBuffers, liveBytes } = counter.stop();
      expect({ n, liveBuffers, liveBytes }).toEqual({ n, liveBuffers: 0, liveBytes: 0 });
      if (!reached()) {
        expect(outcome.status).toBe("fulfilled");
        return n - 1;
      }
      expect(outcome.status, `${method} ${n}`).toBe("rejected");
      expected((outcome as PromiseRejectedResult).reason);
    }
  }

  const create = (device: GPUDevice) => createOptimizer(device, ample);
  const tooLarge = (call: (descriptor: never) => unknown, descriptor: never) =>
    call({ ...(descriptor as object), size: 2 ** 40 } as never);
  const isDeviceError = (error: unknown) => {
    expect(error).toBeInstanceOf(DeviceError);
    expect((error as Error).message).toMatch(/^createOptimizer: (out of memory|the device refused a buffer)/);
  };

  test("the n-th buffer cannot be had", async () => {
    // Parameters, gradients, state and sums; loss scale; what a step needs; two rings of four.
    expect(await everyCall("createBuffer", tooLarge, isDeviceError, create)).toBeGreaterThan(15);
  });

  test("the n-th pipeline cannot be had", async () => {
    const fail = () => Promise.reject(new GPUPipelineError("no more", { reason: "internal" }));
    const isShaderError = (error: unknown) => {
      expect(error).toBeInstanceOf(ShaderError);
      expect((error as Error).message).toMatch(/^mine adamw .*no more/);
    };
    // Two of update and accumulate each, measure, control, summarize, begin.
    expect(await everyCall("createComputePipelineAsync", fail, isShaderError, create)).toBe(8);
  });

  test("the n-th bind group cannot be had", async () => {
    const fail = (call: (descriptor: never) => unknown, descriptor: never) =>
      call({ ...(descriptor as object), entries: [] } as never);
    expect(await everyCall("createBindGroup", fail, isDeviceError, create)).toBe(8);
  });

  test("a shared loss scaler", async () => {
    const scaler = (device: GPUDevice) => createLossScaler(device);
    const typed = (error: unknown) => expect(error).toBeInstanceOf(OptimError);
    expect(await everyCall("createBuffer", tooLarge, typed, scaler)).toBe(1);
    const fail = () => Promise.reject(new GPUPipelineError("no more", { reason: "internal" }));
    expect(await everyCall("createComputePipelineAsync", fail, typed, scaler)).toBe(1);
  });

  test("a reading that fails is a typed error, and the next one succeeds", async () => {
    const device = await testDevice({ fresh: true });
    const optimizer = await createOptimizer(device, ample);
    const before = await optimizer.readParam("w");
    for (const read of [
      () => optimizer.readParam("w"),
      () => optimizer.stateDict(),
      () => optimizer.readState("w"),
      () => optimizer.readLossScale(),
    ]) {
      sabotage(device, "createBuffer", 1, tooLarge);
      expect(await failureOf(read)).toBeInstanceOf(DeviceError);
      restore();
      await read();
    }
    expect(await optimizer.readParam("w")).toEqual(before);
    optimizer.destroy();
  });
});

test("every GPU object has a label, and those of an optimizer begin with its own", async () => {
  const device = await testDevice({ fresh: true });
  const labels = new Map<string, string[]>();
  const undo: (() => void)[] = [];
  const listen = (owner: object, method: string) => {
    const target = owner as Record<string, (...args: { label?: string }[]) => unknown>;
    const original = target[method]!;
    target[method] = function (this: object, ...args) {
      labels.set(method, [...(labels.get(method) ?? []), args[0]?.label ?? ""]);
      return original.apply(this, args);
    };
    undo.push(() => {
      target[method] = original;
    });
  };
  const methods = [
    ...["createBuffer", "createBindGroup", "createBindGroupLayout", "createPipelineLayout", "createShaderModule"],
    ...["createComputePipelineAsync", "createCommandEncoder"],
  ];
  for (const method of methods) listen(GPUDevice.prototype, method);
  listen(GPUCommandEncoder.prototype, "beginComputePass");
  try {
    const optimizer = await createOptimizer(device, ample);
    for (let i = 0; i < 4; i++) optimizer.step();
    await optimizer.flush();
    await optimizer.addParams([{ name: "late", shape: [3] }]);
    await optimizer.loadStateDict(await optimizer.stateDict());
    optimizer.destroy();
  } finally {
    for (const put of undo) put();
  }
  expect([...labels.keys()].sort()).toEqual([...methods, "beginComputePass"].sort());
  for (const [method, all] of labels)
    expect(
      all.filter((label) => !label.startsWith("mine adamw")),
      method,
    ).toEqual([]);
  // No two buffers of one optimizer are called the same, but for those that are made anew.
  expect(new Set(labels.get("createBuffer")).size).toBeGreaterThan(15);
  const scaler = await createLossScaler(device);
  expect(scaler.binding.buffer.label).not.toBe("");
  scaler.destroy();
});
