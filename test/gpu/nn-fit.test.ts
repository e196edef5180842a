import { describe, expect, it } from "vitest";
import { CheckpointError } from "../../src/checkpoint/index.ts";
import { adamw, OptionError, sgd } from "../../src/index.ts";
import {
  compile,
  conv2d,
  crossEntropy,
  type DataSet,
  type FitCheckpoint,
  type FitEvent,
  type FitOptions,
  flatten,
  linear,
  mse,
  sequential,
  type Training,
  fit as train,
} from "../../src/nn/index.ts";
import { testDevice } from "../browser/device.ts";
import { bars, CLASSES, convolution, options, SAMPLES, SIDE } from "./nn-fit-data.ts";

const recordsOf = (events: readonly FitEvent[]) =>
  events.flatMap((event) => (event.kind === "steps" ? event.records : []));

async function events(training: Training): Promise<FitEvent[]> {
  const seen: FitEvent[] = [];
  for await (const event of training) seen.push(event);
  return seen;
}

/** Runs to the end; what it told and what it left. */
async function run(given: FitOptions) {
  const training = await train(given);
  const seen = await events(training);
  const end = await training.checkpoint();
  const { stopReason } = training;
  training.destroy();
  return { seen, end, stopReason };
}

describe("fit", () => {
  it("goes through the epochs, learns, tests, and gives equal bits each time", async () => {
    const device = await testDevice();
    const first = await run({ ...options(device), epochs: 4 });
    const records = recordsOf(first.seen);
    expect(records.map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, k) => k + 1));
    expect(records.slice(8, 11).map(({ count }) => count)).toEqual([16, 6, 16]);
    const epochs = first.seen.flatMap((event) => (event.kind === "epoch" ? [event] : []));
    expect(epochs.map(({ epoch, step }) => [epoch, step])).toEqual([1, 2, 3, 4].map((epoch) => [epoch, 10 * epoch]));
    const [early, late] = [epochs[0]!, epochs[3]!];
    expect(early.train.count).toBe(SAMPLES);
    const mean = records.slice(0, 10).reduce((sum, { loss, count }) => sum + loss * count, 0) / SAMPLES;
    expect(early.train.loss).toBeCloseTo(mean, 12);
    // Guessing: log 4 = 1.39 and 0.25.
    expect(late.test!.loss).toBeLessThan(0.5);
    expect(late.test!.accuracy).toBeGreaterThan(0.9);
    expect(late.test!.count).toBe(70);
    expect(first.stopReason).toBe("epochs");
    expect(await run({ ...options(device), epochs: 4 })).toEqual(first);
  });

  it("tests with the averaged parameters, and trains on with its own", async () => {
    const device = await testDevice();
    const training = await train(options(device));
    await training.finish();
    const { optimizer } = training;
    const own = await optimizer.readParam("fc1.weight");
    const averaged = await training.evaluate();
    expect(await optimizer.readParam("fc1.weight")).toEqual(own);
    const { slots } = await optimizer.readState("fc1.weight");
    expect(Object.keys(slots)).toContain("average");
    for (const { name } of optimizer.tensors)
      optimizer.writeParam(name, (await optimizer.readState(name)).slots.average!);
    const plan = await compile(device, training.plan.model, {
      ...{ batchSize: 70, loss: crossEntropy(), bytes: { scale: 2, shift: -1 }, optimizer },
    });
    plan.writeBuffers(await training.plan.readBuffers());
    const { input, target } = bars(70, 2);
    plan.write(input, target);
    plan.evaluateBatch();
    const [record] = await plan.readRecords();
    expect(record!.correct).toBe(Math.round(averaged.accuracy * 70));
    // The same float32 losses, summed in another order.
    expect(record!.loss).toBeCloseTo(averaged.loss, 5);
    plan.destroy();
    training.destroy();
  });

  it("goes on after a break where it was", async () => {
    const device = await testDevice();
    const whole = await run(options(device));
    const training = await train(options(device));
    const told: FitEvent[] = [];
    for await (const event of training) {
      told.push(event);
      if (recordsOf(told).length >= 5) break;
    }
    expect(training.step).toBeLessThan(20);
    // The batches that were under way count too: nothing of what was submitted is lost.
    expect(recordsOf(told).length).toBeLessThan(training.step);
    expect([...recordsOf(told), ...recordsOf(await events(training))]).toEqual(recordsOf(whole.seen));
    expect(await training.checkpoint()).toEqual(whole.end);
    training.destroy();
  });

  it("ends on a signal, on onEpoch, on early stopping, after maxSteps", async () => {
    const device = await testDevice();
    const controller = new AbortController();
    const onSteps = () => controller.abort();
    const aborted = await run({ ...options(device), epochs: 20, signal: controller.signal, onSteps });
    expect(aborted.stopReason).toBe("signal");
    // Nothing of what was submitted is lost.
    expect(recordsOf(aborted.seen).at(-1)!.step).toBe(aborted.end.step);
    expect(aborted.end.step).toBeLessThan(30);
    const refused = await run({ ...options(device), epochs: 9, onEpoch: async ({ epoch }) => epoch < 2 });
    expect([refused.stopReason, refused.end.step]).toEqual(["onEpoch", 20]);
    const stopped = await run({
      ...options(device),
      ...{ epochs: 9, optimizer: { rule: sgd(), lr: 0 }, earlyStopping: { metric: "accuracy", patience: 1 } },
      // Running statistics would change at a learning rate of 0 too.
      model: sequential([1, SIDE, SIDE], [conv2d(2, { kernel: 3 }), flatten(), linear(CLASSES)]),
    });
    expect([stopped.stopReason, stopped.end.step]).toEqual(["earlyStopping", 30]);
    const short = await run({ ...options(device), maxSteps: 13 });
    expect([short.stopReason, short.end.step]).toEqual(["maxSteps", 13]);
  });

  it("accumulates gradients over micro-batches, across epochs", async () => {
    const device = await testDevice();
    const { optimizer } = options(device) as Extract<FitOptions, { device: GPUDevice }>;
    const training = await train({ ...options(device), optimizer: { ...optimizer, accumulate: 4 }, maxSteps: 18 });
    await training.finish();
    await expect(training.checkpoint()).rejects.toThrow(/last micro-batch/);
    expect((await training.optimizer.readState("fc1.weight")).step).toBe(4);
    training.destroy();
    await expect(
      train({ ...options(device), optimizer: { ...optimizer, accumulate: 4 }, checkpoints: { every: 6, save() {} } }),
    ).rejects.toThrow("fit: checkpoints.every must be a multiple of 4: sums of micro-batches are not saved, got 6");
  });
});

describe("checkpoints", () => {
  it("saved at step 137 and resumed on a new device, losses and weights are equal bit for bit", async () => {
    const device = await testDevice();
    const long = (on: GPUDevice): FitOptions => ({ ...options(on), epochs: 16, evaluateEvery: 4 });
    let saved: FitCheckpoint | undefined;
    const save = (checkpoint: FitCheckpoint) => {
      saved ??= structuredClone(checkpoint);
    };
    const whole = await run({ ...long(device), checkpoints: { every: 137, save } });
    expect([whole.end.step, saved!.step]).toEqual([160, 137]);
    const other = await testDevice({ fresh: true });
    const resumed = await run({ ...long(other), resume: saved! });
    expect(recordsOf(resumed.seen)).toEqual(recordsOf(whole.seen).slice(137));
    expect(resumed.seen.filter(({ kind }) => kind === "epoch")).toEqual(
      whole.seen.filter((event) => event.kind === "epoch" && event.step > 137),
    );
    expect(resumed.end).toEqual(whole.end);
  });

  it("of other trainings are refused", async () => {
    const device = await testDevice();
    const { end } = await run({ ...options(device), maxSteps: 3 });
    const resume = (more: object) => train({ ...options(device), ...more, resume: end } as FitOptions);
    await expect(resume({ seed: 8 })).rejects.toThrow("fit: resume: seed is 7 in the checkpoint, and 8 here");
    await expect(resume({ batchSize: 15, seed: 9 })).rejects.toThrow(/seed is 7 .*; batchSize is 16/);
    await expect(resume({ seed: 8 })).rejects.toBeInstanceOf(CheckpointError);
    await expect(
      train({ ...options(device), resume: { ...end, version: 2 } as unknown as FitCheckpoint }),
    ).rejects.toThrow("version is 2 in the checkpoint, and 1 here");
  });
});

describe("data", () => {
  it.each(["an array", "a source"])("streamed from %s gives the bits of data on the GPU", async (kind) => {
    const device = await testDevice();
    const resident = await run(options(device));
    const all = bars(SAMPLES, 1);
    const asked: number[] = [];
    const read = async (indices: Uint32Array): Promise<DataSet> => {
      asked.push(indices.length);
      const size = SIDE * SIDE;
      const input = new Uint8Array(indices.length * size);
      for (const [k, index] of indices.entries())
        input.set((all.input as Uint8Array).subarray(index * size, (index + 1) * size), k * size);
      return { input, target: Uint8Array.from(indices, (index) => all.target[index]!) };
    };
    const data = kind === "an array" ? all : { count: SAMPLES, read };
    const streamed = await run({ ...options(device), data, residentBytes: 0 });
    expect(streamed).toEqual(resident);
    if (kind === "a source") expect(asked.reduce((sum, n) => sum + n, 0)).toBe(2 * SAMPLES);
  });

  it("in several parts of 8 MiB, cut in the middle of one and resumed, gives the same bits", async () => {
    const device = await testDevice();
    const [side, count] = [240, 230];
    const input = new Uint8Array(count * side * side);
    for (let k = 0; k < input.length; k++) input[k] = Math.imul(k, 0x9e3779b1) >>> 24;
    const target = Uint8Array.from({ length: count }, (_, k) => k % CLASSES);
    const asked: number[] = [];
    const read = async (indices: Uint32Array): Promise<DataSet> => {
      asked.push(indices.length);
      const rows = new Uint8Array(indices.length * side * side);
      for (const [k, index] of indices.entries())
        rows.set(input.subarray(index * side * side, (index + 1) * side * side), k * side * side);
      return { input: rows, target: Uint8Array.from(indices, (index) => target[index]!) };
    };
    const large = { ...options(device), stored: [side, side] as const, test: { input, target } };
    const resident = await run({ ...large, data: { input, target } });
    let resume: FitCheckpoint | undefined;
    const save = (checkpoint: FitCheckpoint) => {
      resume ??= checkpoint;
    };
    const data = { count, read };
    const streamed = await run({ ...large, data, test: data, checkpoints: { every: 11, save } });
    // Losses come back in other bunches, as parts end.
    const told = ({ seen, end }: typeof resident) => [recordsOf(seen), seen.filter((e) => e.kind === "epoch"), end];
    expect(told(streamed)).toEqual(told(resident));
    // 9 batches of 16 to a part: two parts an epoch, and each is read as often as it is needed.
    expect(asked.filter((n) => n === 144)).toHaveLength(4);
    expect(asked.filter((n) => n === 86)).toHaveLength(4);
    const resumed = await run({ ...large, data, test: data, resume: resume! });
    expect(resumed.end).toEqual(resident.end);
    expect(recordsOf(resumed.seen)).toEqual(recordsOf(resident.seen).slice(11));
  });

  it("of bytes stand for values where the loss wants them, and the input may be the target", async () => {
    const device = await testDevice();
    const model = sequential([6], [linear(6, { bias: false })]);
    const input = Uint8Array.from({ length: 5 * 6 }, (_, k) => (k * 53) % 256);
    const common = { device, model, loss: mse(), batchSize: 3, epochs: 0, optimizer: { rule: sgd() } };
    const bytes = { scale: 1, shift: 0 };
    const test = { input, target: input };
    const training = await train({ ...common, bytes, data: test, test, targetBytes: { scale: 0.5, shift: 0.25 } });
    const { loss, accuracy } = await training.evaluate();
    const weight = await training.optimizer.readParam("fc1.weight");
    let sum = 0;
    for (let sample = 0; sample < 5; sample++) {
      for (let o = 0; o < 6; o++) {
        let y = 0;
        for (let i = 0; i < 6; i++) y += weight[o * 6 + i]! * (input[sample * 6 + i]! / 255);
        sum += (y - (0.5 * (input[sample * 6 + o]! / 255) + 0.25)) ** 2;
      }
    }
    // Float32 sums of 6 products.
    expect(loss).toBeCloseTo(sum / 30, 6);
    expect(accuracy).toBeNaN();
    training.destroy();
  });
});

describe("bad options", () => {
  it.each<[object, string]>([
    [{ epochs: -1 }, "fit: epochs must be a whole number in [0, 1048576], got -1"],
    [{ epochs: 1.5 }, "fit: epochs"],
    [{ epoch: 3 }, "fit: epoch is no option"],
    [{ plan: 3 }, "fit: device is no option"],
    [{ data: undefined }, "fit: data must be samples"],
    [
      { data: { input: new Uint8Array(99), target: [1] } },
      "fit: data.input.length must be 100 for each sample, got 99",
    ],
    [
      { data: { input: new Float32Array(100), target: [1] } },
      "fit: data.input must be a Uint8Array: the plan takes bytes",
    ],
    [
      { data: { input: new Uint8Array(200), target: [1] } },
      "fit: data.target.length must be 1 for each of 2 samples, a class each, got 1",
    ],
    [
      { data: { input: new Uint8Array(300), target: [0, 4, 1] } },
      "fit: data.target[1] must be a whole number in [0, 3], got 4",
    ],
    [{ test: { input: new Uint8Array(100), target: [-1] } }, "fit: test.target[0] must be a whole number in [0, 3]"],
    [
      { data: { input: new Uint8Array(300), target: new Float32Array(12) } },
      "fit: data.target.length must be 1 for each of 3 samples, a class each, got 12",
    ],
    [{ test: { count: 0, read: () => {} } }, "fit: test.count must be a whole number from 1 on, got 0"],
    [{ augment: { shift: 11 } }, "fit: augment.shift[0] must be a whole number in [0, 10], got 11"],
    [{ augment: { rotate: 1 } }, "fit: augment.rotate is no option"],
    [{ stored: [8, 12] }, "fit: stored[0]"],
    [{ earlyStopping: { metric: "f1" } }, 'fit: earlyStopping.metric must be "loss" or "accuracy", got "f1"'],
    [{ checkpoints: { every: 2 } }, "fit: checkpoints.save must be a function"],
    [{ signal: {} }, "fit: signal must be an AbortSignal"],
    [{ microBatches: 2, optimizer: { rule: adamw(), accumulate: 3 } }, "fit: microBatches must be 3"],
    [{ dropLast: true, batchSize: 200 }, "fit: data must fill a batch of 200 with dropLast, got 150"],
  ])("%#: refused", async (bad, message) => {
    const device = await testDevice();
    const failed = await train({ ...options(device), ...bad } as FitOptions).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failed).toBeInstanceOf(OptionError);
    expect((failed as Error).message).toContain(message);
  });
});

it("one loop at a time; nothing after destroy()", async () => {
  const device = await testDevice();
  const training = await train({ ...options(device), model: convolution() });
  const loop = training[Symbol.asyncIterator]();
  await loop.next();
  await expect(training.finish()).rejects.toThrow(/iterated already/);
  await expect(training.evaluate()).rejects.toThrow(/not iterated/);
  await loop.return();
  training.destroy();
  await expect(training.finish()).rejects.toThrow(/destroyed/);
});
