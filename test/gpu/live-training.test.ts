/** What the demo page trains with: an optimizer that is exchanged on the way, and predictions in between. */
import { expect, it } from "vitest";
import { hashParams } from "../../demo/hash-params.ts";
import { LiveTraining } from "../../demo/live-training.ts";
import { adamw, sgd } from "../../src/index.ts";
import { crossEntropy, type StepRecord } from "../../src/nn/index.ts";
import { testDevice } from "../browser/device.ts";
import { bars, CLASSES, convolution, SAMPLES } from "./nn-fit-data.ts";

const choice = { rule: adamw(), lr: 1e-2, ema: { decay: 0.9 } };

async function open(): Promise<LiveTraining> {
  const loss = crossEntropy();
  const recipe = {
    model: convolution(),
    loss,
    bytes: { scale: 2, shift: -1 },
    optimizer: choice,
    augment: { shift: 1 },
  };
  const loaded = { data: bars(SAMPLES, 1), test: bars(70, 2), count: SAMPLES };
  return LiveTraining.create({ device: await testDevice(), recipe, loaded, batchSize: 16, seed: 5 }, choice);
}

/** Trains for at least so many steps; `between` runs whenever records have come. */
async function run(network: LiveTraining, steps: number, between?: () => Promise<unknown>): Promise<StepRecord[]> {
  const seen: StepRecord[] = [];
  for await (const event of network.training) {
    if (event.kind === "steps") seen.push(...event.records);
    await between?.();
    if (seen.length >= steps) network.stop();
  }
  return seen;
}

it("goes on with another optimizer from the same weights, and begins again", async () => {
  const network = await open();
  const records = await run(network, 20);
  const at = network.training.step;
  expect(records.map(({ step }) => step)).toEqual(Array.from({ length: at }, (_, k) => k + 1));
  const before = await hashParams(network.training.optimizer);
  const statistics = await network.training.plan.readBuffers();
  await network.replaceOptimizer({ rule: sgd(), lr: 0.01 });
  expect([network.offset, network.training.step]).toEqual([at, at]);
  expect(await hashParams(network.training.optimizer)).toBe(before);
  expect(await network.training.plan.readBuffers()).toEqual(statistics);
  const [next] = await run(network, 1);
  expect(next!.step).toBe(at + 1);
  expect(await hashParams(network.training.optimizer)).not.toBe(before);
  await network.restart(choice);
  expect([network.offset, network.training.step]).toEqual([0, 0]);
  expect(await run(network, 20)).toEqual(records);
});

it("predicts as it tests, and leaves the training as it is", async () => {
  const [quiet, asked] = [await open(), await open()];
  const { input, target } = bars(70, 2);
  const records = await run(quiet, 24);
  let outputs = new Float32Array(0);
  const between = async () => {
    outputs = new Float32Array(await asked.predict(input as Uint8Array));
  };
  expect(await run(asked, 24, between)).toEqual(records);
  expect(await hashParams(asked.training.optimizer)).toBe(await hashParams(quiet.training.optimizer));
  await between();
  const right = Array.from(target, (label, k) => {
    const scores = outputs.subarray(k * CLASSES, (k + 1) * CLASSES);
    return scores.indexOf(Math.max(...scores)) === label;
  });
  expect(right.filter(Boolean).length / 70).toBe((await asked.training.evaluate()).accuracy);
});
