/** `monitor.timing`: how long the device took for a step, beside its figures. */
import { expect, test } from "vitest";
import { adamw, createOptimizer, type Figures, OptionError, type ParamSpec } from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";

const SMALL = 1000;
const LARGE = 4_000_000;

const timedDevice = () => testDevice({ requiredFeatures: ["timestamp-query"] });
const params = (...sizes: number[]): ParamSpec[] => sizes.map((size, k) => ({ name: `t${k}`, shape: [size] }));

test("grows with the work and is no longer than the host had to wait", async () => {
  const device = await timedDevice();
  const best: number[] = [];
  for (const size of [SMALL, LARGE]) {
    const optimizer = await createOptimizer(device, {
      rule: adamw(),
      params: params(size),
      monitor: { timing: true },
    });
    const seen: Figures[] = [];
    let share = 0;
    optimizer.on("figures", (figures) => seen.push(figures));
    for (let step = 1; step <= 4; step++) {
      await device.queue.onSubmittedWorkDone();
      const begin = performance.now();
      optimizer.step();
      await device.queue.onSubmittedWorkDone();
      const waited = performance.now() - begin;
      await optimizer.flush();
      const { gpuTime } = seen.at(-1)!;
      expect(gpuTime).toBeGreaterThan(0);
      expect(gpuTime).toBeLessThanOrEqual(waited);
      share = Math.max(share, gpuTime! / waited);
    }
    // A large step is what the host waits for: in seconds or in nanoseconds it would be another share.
    if (size === LARGE) expect(share).toBeGreaterThan(0.1);
    best.push(Math.min(...seen.map((f) => f.gpuTime!)));
    optimizer.destroy();
  }
  // 4000 times the work; a busy machine may slow the small one down, but hardly in four steps of four.
  expect(best[1]).toBeGreaterThan(3 * best[0]!);
});

test("comes with the figures of every monitored step, whoever submits, also of tensors added later", async () => {
  const device = await timedDevice();
  const problem = { rule: adamw(), params: params(70, 5), clip: { globalNorm: 1 } };
  const optimizer = await createOptimizer(device, { ...problem, monitor: { every: 2, timing: true } });
  const plain = await createOptimizer(device, { ...problem, monitor: { every: 2 } });
  const seen: Figures[][] = [[], []];
  optimizer.on("figures", (figures) => seen[0]!.push(figures));
  plain.on("figures", (figures) => seen[1]!.push(figures));
  const grads = [Float32Array.from({ length: 70 }, (_, i) => i - 30), Float32Array.of(1, -2, 3, -4, 5)];
  const counter = countCalls(device);
  for (let step = 1; step <= 8; step++) {
    for (const each of [optimizer, plain]) {
      if (step === 5) await each.addParams([{ name: "late", shape: [300] }]);
      if (step === 6) counter.reset();
      for (const [k, grad] of grads.entries()) each.writeGrad(`t${k}`, grad);
      if (step < 7) each.step();
      else {
        const encoder = device.createCommandEncoder();
        each.encode(encoder);
        device.queue.submit([encoder.finish()]);
      }
      await each.flush();
    }
  }
  expect(counter.stop()).toMatchObject({ createBuffer: 0, createBindGroup: 0 });
  expect(seen[0]!.map((f) => [f.step, Object.keys(f.tensors).length])).toEqual([
    [2, 2],
    [4, 2],
    [6, 3],
    [8, 3],
  ]);
  for (const { gpuTime } of seen[0]!) expect(gpuTime).toBeGreaterThan(0);
  for (const { gpuTime } of seen[1]!) expect(gpuTime).toBeNull();
  // Timing changes no other figure.
  expect(seen[0]!.map((f) => ({ ...f, gpuTime: null }))).toEqual(seen[1]);
  optimizer.destroy();
  plain.destroy();
});

test("is refused by name where the device has no timestamps, before anything is made", async () => {
  const device = await testDevice();
  const counter = countCalls(device);
  const made = createOptimizer(device, { rule: adamw(), params: params(4), monitor: { timing: true } });
  await expect(made).rejects.toThrow(
    new OptionError("createOptimizer", "monitor.timing", "needs a device with the feature timestamp-query", true),
  );
  expect(counter.stop()).toMatchObject({ createBuffer: 0, createShaderModule: 0 });
});
