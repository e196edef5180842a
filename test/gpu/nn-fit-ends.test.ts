/** What can be asked of a training on the way, how it ends, and what is left: breaks, refusals, `destroy()` in the middle. */
import { describe, expect, it } from "vitest";
import { LifecycleError, StateDictError, sgd } from "../../src/index.ts";
import { crossEntropy, flatten, linear, sequential, fit as train } from "../../src/nn/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { bars, CLASSES, SAMPLES, SIDE } from "./nn-fit-data.ts";

/** Ten batches an epoch, and quickly compiled. */
const small = (device: GPUDevice) => ({
  ...{ device, model: sequential([1, SIDE, SIDE], [flatten(), linear(CLASSES)]), loss: crossEntropy() },
  ...{ batchSize: 16, bytes: { scale: 2, shift: -1 }, optimizer: { rule: sgd(), lr: 0.01 }, epochs: 3 },
  ...{ data: bars(SAMPLES, 1), test: bars(20, 2) },
});

it("takes bytes of a canvas as they are, and images through a flatten", async () => {
  const device = await testDevice();
  const { input, target } = bars(SAMPLES, 1);
  const lossesOf = async (data: typeof input) => {
    const training = await train({ ...small(device), data: { input: data, target }, augment: { shift: 1 } });
    const { epochs } = await training.finish();
    training.destroy();
    return epochs;
  };
  expect(await lossesOf(new Uint8ClampedArray(input))).toEqual(await lossesOf(input));
});

it("predicts for any number of samples at any time, as in tests, and the training is as if nobody had asked", async () => {
  const device = await testDevice();
  const averaged = { ...small(device), optimizer: { rule: sgd(), lr: 0.05, ema: { decay: 0.9 } } };
  const { target, ...rest } = bars(20, 2);
  const input = Uint8Array.from(rest.input);
  const asked = await train(averaged);
  for await (const _ of asked) await asked.predict(input.subarray(0, 100));
  const outputs = await asked.predict(input);
  expect(outputs).toHaveLength(20 * CLASSES);
  const right = target.filter((label, k) => {
    const logits = Array.from(outputs.subarray(k * CLASSES, (k + 1) * CLASSES));
    return logits.indexOf(Math.max(...logits)) === label;
  });
  expect(right.length / 20).toBe((await asked.evaluate()).accuracy);
  expect(await asked.predict(Array.from(input))).toEqual(outputs);
  await expect(asked.predict(input.subarray(1))).rejects.toThrow("plan: input.length must be 100 for each sample");
  // In the middle of a test the averages are in place already.
  const [evaluated, during] = await Promise.all([asked.evaluate(), asked.predict(input)]);
  expect(during).toEqual(outputs);
  expect(await asked.evaluate()).toEqual(evaluated);
  const alone = await train(averaged);
  await alone.finish();
  expect(await asked.checkpoint()).toEqual(await alone.checkpoint());
  alone.destroy();
  asked.destroy();
});

describe("whoever breaks off", () => {
  it("at the end of an epoch has had onEpoch called", async () => {
    const told: number[] = [];
    const onEpoch = ({ epoch }: { epoch: number }) => void told.push(epoch);
    const training = await train({ ...small(await testDevice()), onEpoch });
    for await (const event of training) if (event.kind === "epoch") break;
    expect(told).toEqual([1]);
    await training.finish();
    expect(told).toEqual([1, 2, 3]);
    training.destroy();
  });

  it("has every checkpoint that was due", async () => {
    const saved: number[] = [];
    const checkpoints = { every: 4, save: ({ step }: { step: number }) => void saved.push(step) };
    const training = await train({ ...small(await testDevice()), checkpoints });
    let turns = 0;
    while (training.stopReason === undefined) {
      for await (const _ of training) {
        turns += 1;
        expect(saved).toEqual(Array.from({ length: Math.floor(training.step / 4) }, (_, k) => 4 * (k + 1)));
        break;
      }
    }
    expect(turns).toBeGreaterThan(5);
    expect(saved).toEqual([4, 8, 12, 16, 20, 24, 28]);
    training.destroy();
  });
});

it("a training that early stopping has ended does not go on when resumed, but with more patience", async () => {
  const device = await testDevice();
  const still = { ...small(device), optimizer: { rule: sgd(), lr: 0 }, epochs: 9 };
  const ended = await train({ ...still, earlyStopping: { patience: 1 } });
  expect(await ended.finish()).toMatchObject({ steps: 30, stopReason: "earlyStopping" });
  const resume = await ended.checkpoint();
  ended.destroy();
  const again = await train({ ...still, earlyStopping: { patience: 1 }, resume });
  expect(await again.finish()).toMatchObject({ steps: 30, stopReason: "earlyStopping", epochs: [] });
  again.destroy();
  const patient = await train({ ...still, earlyStopping: { patience: 2 }, resume });
  expect(await patient.finish()).toMatchObject({ steps: 40, stopReason: "earlyStopping" });
  patient.destroy();
});

it("a checkpoint that is refused leaves no buffer behind", async () => {
  const device = await testDevice({ fresh: true });
  const given = await train(small(device));
  const resume = await given.checkpoint();
  given.destroy();
  await device.queue.onSubmittedWorkDone();
  const counter = countCalls(device);
  const other = sequential([1, SIDE, SIDE], [flatten(), linear(8), linear(CLASSES)]);
  await expect(train({ ...small(device), model: other, resume })).rejects.toBeInstanceOf(StateDictError);
  await expect(train({ ...small(device), seed: 3, resume })).rejects.toThrow("seed is 0 in the checkpoint");
  expect(counter.stop()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
});

it("a device that is lost in the middle ends it with a LifecycleError, and so does reading a plan on it", async () => {
  const device = await testDevice({ fresh: true });
  const training = await train({ ...small(device), epochs: 500 });
  const running = training.finish();
  running.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 20));
  device.destroy();
  await expect(running).rejects.toBeInstanceOf(LifecycleError);
  await expect(training.plan.readRecord()).rejects.toBeInstanceOf(LifecycleError);
  await expect(training.checkpoint()).rejects.toBeInstanceOf(LifecycleError);
  training.destroy();
});

describe("destroyed in the middle", () => {
  it("by its own loop, it ends with a LifecycleError", async () => {
    const training = await train({ ...small(await testDevice()), epochs: 50 });
    const loop = (async () => {
      for await (const _ of training) training.destroy();
    })();
    await expect(loop).rejects.toThrow("fit: it was destroyed in the middle of it");
    await expect(loop).rejects.toBeInstanceOf(LifecycleError);
  });

  it.each([0, 5, 20, 40])("by somebody else after %i ms, the same", async (milliseconds) => {
    const training = await train({ ...small(await testDevice()), epochs: 500 });
    const running = training.finish();
    // Nothing may be unheard until it is looked at.
    running.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    training.destroy();
    await expect(running).rejects.toBeInstanceOf(LifecycleError);
  });
});

it("needs options, and samples one after the other", async () => {
  await expect(train(undefined as never)).rejects.toThrow("fit: options must be an object, got undefined");
  const { bytes: _, ...floats } = small(await testDevice());
  const data = { input: Array(SIDE * SIDE).fill([1]), target: [0] };
  await expect(train({ ...floats, data })).rejects.toThrow(
    "fit: data.input[0] must be a number: samples lie one after the other, got [1]",
  );
});
