import { describe, expect, test } from "vitest";
import { countCalls } from "../browser/count-calls.ts";
import { takeGpuErrors, testDevice } from "../browser/device.ts";

const STORAGE = { size: 64, usage: 128 | 8 /* STORAGE, COPY_DST */ } satisfies GPUBufferDescriptor;

describe("testDevice", () => {
  test("equal options give the same device, fresh ones another", async () => {
    const device = await testDevice();
    expect(await testDevice({})).toBe(device);
    const fresh = await testDevice({ fresh: true });
    expect(fresh).not.toBe(device);
    expect(await testDevice({ featureLevel: "compatibility" })).not.toBe(device);
  });

  test("a compatibility device has the lowest limits", async () => {
    const { limits } = await testDevice({ featureLevel: "compatibility" });
    expect(limits.maxComputeInvocationsPerWorkgroup).toBe(128);
  });

  test("an error without a scope is collected before the test ends", async () => {
    const device = await testDevice({ label: "faulty" });
    device.createBuffer({ size: 16, usage: 0xffff });
    // Taken here, or it would fail this very test.
    expect(await takeGpuErrors()).toEqual([expect.stringContaining('GPUValidationError on device "faulty"')]);
    expect(await takeGpuErrors()).toEqual([]);
  });

  test("an error inside a scope is the scope's", async () => {
    const device = await testDevice();
    device.pushErrorScope("validation");
    device.createBuffer({ size: 16, usage: 0xffff });
    expect(await device.popErrorScope()).toBeInstanceOf(GPUValidationError);
    expect(await takeGpuErrors()).toEqual([]);
  });
});

describe("countCalls", () => {
  test("counts a step and the memory it leaves, on its device alone", async () => {
    const device = await testDevice({ fresh: true });
    const other = await testDevice();
    const before = GPUDevice.prototype.createBuffer;
    const mine = countCalls(device);
    const all = countCalls();

    const buffer = device.createBuffer(STORAGE);
    device.createBuffer({ ...STORAGE, size: 256 });
    other.createBuffer(STORAGE).destroy();
    device.queue.writeBuffer(buffer, 0, new Uint32Array(16));
    const module = device.createShaderModule({ code: "@compute @workgroup_size(1) fn main() {}" });
    const pipeline = await device.createComputePipelineAsync({
      layout: "auto",
      compute: { module, entryPoint: "main" },
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.dispatchWorkgroups(1);
    pass.dispatchWorkgroups(2);
    pass.end();
    device.queue.submit([encoder.finish()]);
    buffer.destroy();
    buffer.destroy();

    expect(mine.read()).toEqual({
      dispatches: 2,
      passes: 1,
      encoders: 1,
      submits: 1,
      createBuffer: 2,
      destroyBuffer: 2,
      createBindGroup: 0,
      createComputePipeline: 1,
      createShaderModule: 1,
      writeBuffer: 1,
      mapAsync: 0,
      copyBufferToBuffer: 0,
      liveBuffers: 1,
      liveBytes: 256,
    });
    expect(all.stop()).toMatchObject({ createBuffer: 3, destroyBuffer: 3, liveBuffers: 1, liveBytes: 256 });

    mine.reset();
    device.createBuffer(STORAGE);
    expect(mine.stop()).toMatchObject({ createBuffer: 1, submits: 0 });
    device.createBuffer(STORAGE);
    expect(mine.read().createBuffer).toBe(1);
    expect(GPUDevice.prototype.createBuffer).toBe(before);
  });
});
