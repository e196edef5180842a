/** Long runs of `fit` leave nothing behind. */
import { expect, it } from "vitest";
import { adamw } from "../../src/index.ts";
import { crossEntropy, linear, relu, sequential, fit as train } from "../../src/nn/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { words } from "../reference/prng.ts";

it("2000 steps with tests between them keep as many buffers and bytes as 500", async () => {
  const device = await testDevice({ fresh: true });
  const counter = countCalls(device);
  const samples = (count: number, stream: number) => {
    const target = Uint8Array.from({ length: count }, (_, k) => words(1, stream, 0, k).w1 % 3);
    const input = Uint8Array.from({ length: count * 8 }, (_, k) => {
      return (words(1, stream, 1, k).w1 % 128) + (k % 8 === target[Math.floor(k / 8)] ? 127 : 0);
    });
    return { input, target };
  };
  const training = await train({
    ...{ device, model: sequential([8], [linear(8), relu(), linear(3)]), loss: crossEntropy(), batchSize: 4 },
    bytes: { scale: 1, shift: 0 },
    optimizer: { rule: adamw(), lr: 0.01, clip: { globalNorm: 1 }, ema: { decay: 0.99 }, monitor: { every: 25 } },
    ...{ data: samples(1000, 1), test: samples(40, 2), epochs: 8 },
  });
  const alive = () => {
    const { liveBuffers, liveBytes } = counter.read();
    return { liveBuffers, liveBytes };
  };
  let early: ReturnType<typeof alive> | undefined;
  let losses = 0;
  let accuracy = 0;
  for await (const event of training) {
    if (event.kind === "steps") losses += event.records.length;
    else {
      if (event.step === 500) early = alive();
      accuracy = event.test!.accuracy;
    }
  }
  expect(losses).toBe(2000);
  expect(alive()).toEqual(early);
  expect(accuracy).toBeGreaterThan(0.85);
  training.destroy();
  await device.queue.onSubmittedWorkDone();
  counter.stop();
  expect(alive()).toEqual({ liveBuffers: 0, liveBytes: 0 });
});
