/** Whole runs: they repeat bit for bit, leave nothing behind, and refuse what makes no sense. */
import { describe, expect, it } from "vitest";
import { adamw, LifecycleError, OptionError, sgd } from "../../src/index.ts";
import { compile, crossEntropy, linear, type OptimizerChoice, relu, sequential } from "../../src/nn/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { words } from "../reference/prng.ts";
import { values } from "./nn-matrices.ts";

const tiny = () => sequential([6], [linear(8), relu(), linear(3)]);
const labels = (count: number, step: number) => Array.from({ length: count }, (_, r) => words(1, 1, step, r).w1 % 3);
const optimizer: OptimizerChoice = { rule: adamw(), lr: 0.01, clip: { globalNorm: 1 }, monitor: { every: 10 } };

/** Bytes in use once what is garbage has gone. The browser is started with what this needs, see vitest.config.mts. */
function collectedHeap(): number {
  const { gc, performance } = globalThis as unknown as {
    gc: () => void;
    performance: { memory: { usedJSHeapSize: number } };
  };
  // What a finalizer frees goes with the next collection.
  for (let i = 0; i < 3; i++) gc();
  return performance.memory.usedJSHeapSize;
}

/** Losses and weights of a run, with a short batch now and then. */
async function train(device: GPUDevice, seed: number) {
  const plan = await compile(device, tiny(), { batchSize: 10, loss: crossEntropy(), optimizer, seed, slots: 40 });
  for (let step = 0; step < 40; step++) {
    const count = step % 7 === 3 ? 3 : 10;
    plan.write(values(step, count * 6), labels(count, step));
    plan.step({ count, slot: step, step });
  }
  const records = await plan.readRecords(0, 40);
  const { tensors } = await plan.optimizer.stateDict();
  plan.destroy();
  return { records, params: Object.values(tensors).map(({ param }) => [...param]) };
}

describe("a run", () => {
  it("repeats bit for bit with the same seed, and not with another", async () => {
    const device = await testDevice();
    const [first, second, other] = [await train(device, 1), await train(device, 1), await train(device, 2)];
    expect(second).toEqual(first);
    expect(other.records[0]!.loss).not.toBe(first.records[0]!.loss);
    expect(first.records.map(({ count }) => count).slice(0, 4)).toEqual([10, 10, 10, 3]);
    expect(first.records.every(({ loss }) => loss > 0 && loss < 10)).toBe(true);
  });

  it("of 5000 steps leaves nothing behind", async () => {
    const device = await testDevice({ fresh: true });
    const plan = await compile(device, tiny(), { batchSize: 8, loss: crossEntropy(), optimizer });
    plan.write(values(1, 48), labels(8, 0));
    plan.step();
    await plan.optimizer.flush();
    const counter = countCalls(device);
    let middle = 0;
    for (let step = 1; step <= 5000; step++) {
      plan.step({ step });
      // Without a pause the engine would keep more and more of its schedule at hand, for steps it has not heard of.
      if (step % 50 === 0) await plan.optimizer.flush();
      if (step === 2000) middle = collectedHeap();
    }
    await plan.optimizer.flush();
    const grown = collectedHeap() - middle;
    const { liveBuffers, liveBytes, createBuffer, createBindGroup, submits, writeBuffer } = counter.stop();
    expect({ liveBuffers, liveBytes, createBuffer, createBindGroup }).toEqual({
      liveBuffers: 0,
      liveBytes: 0,
      createBuffer: 0,
      createBindGroup: 0,
    });
    expect(submits).toBe(5000);
    expect(writeBuffer).toBeLessThanOrEqual(3 * 5000);
    // 350 bytes for each of the last 3000 steps would be more.
    expect(grown).toBeLessThan(1e6);
    const [record] = await plan.readRecords();
    // One batch of 8 samples, seen 5000 times.
    expect(record!.loss).toBeLessThan(0.05);
    plan.destroy();
  });

  it("frees all it made, also where compile fails", async () => {
    const device = await testDevice({ fresh: true });
    const counter = countCalls(device);
    const plan = await compile(device, tiny(), { batchSize: 8, loss: crossEntropy(), optimizer });
    expect(counter.read().liveBytes).toBeGreaterThan(1000);
    plan.destroy();
    plan.destroy();
    expect(counter.read()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
    const wrong = { rule: sgd(), groups: [{ match: "*", lr: -1 }] };
    await expect(compile(device, tiny(), { batchSize: 8, loss: crossEntropy(), optimizer: wrong })).rejects.toThrow(
      "lr",
    );
    expect(counter.stop()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
  });
});

describe("a plan", () => {
  const options = { batchSize: 8, loss: crossEntropy(), optimizer };

  it("works on an optimizer that exists, and leaves it alone", async () => {
    const device = await testDevice();
    const first = await compile(device, tiny(), options);
    const second = await compile(device, tiny(), { ...options, batchSize: 3, optimizer: first.optimizer });
    const before = await first.optimizer.readParam("fc1.weight");
    second.write(values(1, 18), [0, 1, 2]);
    second.step();
    expect(await first.optimizer.readParam("fc1.weight")).not.toEqual(before);
    second.destroy();
    first.write(values(1, 48), labels(8, 0));
    first.step();
    expect((await first.readRecords())[0]!.count).toBe(8);
    first.destroy();
  });

  it("evaluates without changing anything", async () => {
    const device = await testDevice();
    const plan = await compile(device, tiny(), options);
    const before = await plan.optimizer.readParam("fc1.weight");
    plan.write(values(1, 48), labels(8, 0));
    plan.evaluateBatch();
    const [evaluated] = await plan.readRecords();
    const output = await plan.readOutput(8);
    expect(output).toHaveLength(24);
    expect(await plan.optimizer.readParam("fc1.weight")).toEqual(before);
    plan.step();
    const [trained] = await plan.readRecords();
    expect(trained).toEqual(evaluated);
    // -log softmax of what came out.
    const loss = labels(8, 0).reduce((sum, label, r) => {
      const z = Array.from(output.subarray(3 * r, 3 * r + 3));
      return sum + Math.log(z.reduce((s, v) => s + Math.exp(v), 0)) - z[label]!;
    }, 0);
    expect(Math.abs(loss / 8 - trained!.loss)).toBeLessThan(1e-6);
    plan.destroy();
  });

  it.each([
    ["a batch size of 0", { batchSize: 0 }, "compile: batchSize must be a whole number in [1, 65536], got 0"],
    ["no loss", { loss: "mse" }, 'compile: loss must be a loss such as mse(), got "mse"'],
    [
      "no optimizer",
      { optimizer: null },
      "compile: optimizer must be options of an optimizer, or an optimizer, got null",
    ],
    ["an option misspelt", { batchsize: 3 }, "compile: batchsize is no option"],
    ["half slots", { slots: 0.5 }, "compile: slots must be a whole number"],
    ["bytes of nothing", { bytes: { scale: 1 } }, "compile: bytes.shift must be a finite number"],
  ])("is refused with %s", async (_, wrong, message) => {
    const made = compile(await testDevice(), tiny(), { ...options, ...wrong } as never);
    await expect(made).rejects.toThrow(message);
    await expect(made).rejects.toBeInstanceOf(OptionError);
  });

  it("refuses an optimizer of other tensors, and memory that would be read and written at once", async () => {
    const device = await testDevice();
    const other = await compile(device, sequential([6], [linear(4), linear(3)]), options);
    await expect(compile(device, tiny(), { ...options, optimizer: other.optimizer })).rejects.toThrow(
      'compile: tensor("fc1.weight").param must have 192 bytes, got 96',
    );
    other.destroy();
    const named = await compile(device, sequential([6], [linear(3, { name: "head" })]), options);
    await expect(compile(device, tiny(), { ...options, optimizer: named.optimizer })).rejects.toThrow("fc1.weight");
    named.destroy();
    const buffer = device.createBuffer({ label: "one", size: 4096, usage: GPUBufferUsage.STORAGE });
    const source = { tensor: () => ({ param: { buffer }, grad: { buffer, offset: 2048 } }) };
    await expect(compile(device, tiny(), { ...options, optimizer: source })).rejects.toThrow(
      'compile: tensor("fc1.weight").param must not share a buffer with gradients, got "one"',
    );
    buffer.destroy();
  });

  it("refuses bytes into a layer that cannot read them, and batches that do not fit", async () => {
    const device = await testDevice();
    const bytes = { scale: 1, shift: 0 };
    const first = sequential([6], [relu(), linear(3)]);
    await expect(compile(device, first, { ...options, bytes })).rejects.toThrow("relu1: input cannot be bytes");
    const plan = await compile(device, tiny(), options);
    expect(() => plan.select({ count: 9 })).toThrow("plan: count must be a whole number in [1, 8], got 9");
    expect(() => plan.write(values(1, 7))).toThrow("plan: input.length must be 6 for each of 1 to 8 samples, got 7");
    plan.destroy();
    expect(() => plan.step()).toThrow(LifecycleError);
  });
});
