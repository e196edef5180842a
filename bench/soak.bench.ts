/**
 * Many steps with clipping and figures: neither GPU buffers nor the JavaScript heap may grow. First of an optimizer by itself, then
 * a quarter as many of a training with tests in between.
 */
import { adamw, createOptimizer, type Optimizer } from "../src/index.ts";
import { crossEntropy, linear, relu, sequential, fit as train } from "../src/nn/index.ts";
import { type CallCounter, countCalls } from "../test/browser/count-calls.ts";
import { hyper } from "./adamw-float64.ts";
import type { Suite } from "./suite.ts";

/** Chrome only, with --expose-gc and --enable-precise-memory-info. */
declare const gc: (() => void) | undefined;
type MemoryPerformance = Performance & { memory?: { usedJSHeapSize: number } };

/** Small tensors: the point is the number of steps. */
const shapes = [[32, 16], [32], [64, 32], [64], [10, 64], [10]];

export const soak: Suite = async (context) => {
  await soakOptimizer(context);
  await soakTraining(context);
};

const soakOptimizer: Suite = async ({ request: { soakSteps }, device, row, progress }) => {
  const counter = countCalls(device);
  const optimizer = await createOptimizer(device, {
    rule: adamw({ betas: [hyper.beta1, hyper.beta2] }),
    params: shapes.map((shape, i) => ({ name: `t${i}`, shape })),
    lr: (step) => hyper.lr * (1 + Math.cos((Math.PI * step) / soakSteps)),
    clip: { globalNorm: 1 },
    monitor: { every: 1 },
    label: "bench soak",
  });
  shapes.forEach((shape, i) => {
    const size = shape.reduce((a, b) => a * b, 1);
    optimizer.writeGrad(
      `t${i}`,
      Float32Array.from({ length: size }, (_, k) => Math.sin(k + i)),
    );
  });
  let delivered = 0;
  optimizer.on("figures", () => {
    delivered += 1;
  });

  // The first half fills pools and inline caches and has the code compiled: the heap comes to rest within 10 000 steps
  // (a run of 60 000 showed it). What still grows in the second half grows without end.
  const early = Math.ceil(soakSteps / 2);
  let before: Measured | undefined;
  for (let step = 1; step <= soakSteps; step++) {
    optimizer.step();
    // The page stays responsive, and the readback ring free: nearly all figures are delivered.
    if (step % 4 === 0) await device.queue.onSubmittedWorkDone();
    if (step % 2000 === 0) await progress(`soak: ${step} of ${soakSteps} steps`);
    if (step === early) before = await measure(optimizer, counter);
  }
  const after = await measure(optimizer, counter);
  counter.stop();
  optimizer.destroy();
  await row({
    suite: "soak",
    steps: soakSteps,
    buffers: { early: before!.buffers, late: after.buffers },
    heap_bytes: { early: before!.heap, late: after.heap },
    figures_delivered: delivered,
  });
};

/** Two layers on 1000 samples: an epoch is 125 steps. */
const soakTraining: Suite = async ({ request: { soakSteps }, device, row, progress }) => {
  const counter = countCalls(device);
  const input = Uint8Array.from({ length: 1000 * 16 }, (_, k) => (Math.imul(k + 1, 0x9e3779b1) >>> 24) & 255);
  const target = Uint8Array.from({ length: 1000 }, (_, k) => k % 10);
  const epochs = Math.ceil(soakSteps / 4 / 125);
  const training = await train({
    ...{ device, model: sequential([16], [linear(32), relu(), linear(10)]), loss: crossEntropy(), batchSize: 8 },
    bytes: { scale: 1, shift: 0 },
    optimizer: { rule: adamw(), lr: 1e-3, clip: { globalNorm: 1 }, ema: { decay: 0.99 }, monitor: { every: 4 } },
    ...{ data: { input, target }, test: { input, target }, epochs },
    label: "bench soak",
  });
  let delivered = 0;
  training.optimizer.on("figures", () => {
    delivered += 1;
  });
  let before: Measured | undefined;
  for await (const event of training) {
    if (event.kind !== "epoch") continue;
    if (event.epoch === Math.ceil(epochs / 2)) before = await measure(training.optimizer, counter);
    if (event.step % 1000 === 0) await progress(`soak of a training: ${event.step} of ${training.totalSteps} steps`);
  }
  const after = await measure(training.optimizer, counter);
  counter.stop();
  const { step: steps } = training;
  training.destroy();
  await row({
    suite: "soak",
    steps,
    buffers: { early: before!.buffers, late: after.buffers },
    heap_bytes: { early: before!.heap, late: after.heap },
    figures_delivered: delivered,
  });
};

interface Measured {
  readonly buffers: number;
  readonly heap: number;
}

async function measure(optimizer: Optimizer, counter: CallCounter): Promise<Measured> {
  await optimizer.flush();
  if (!gc) throw new Error("soak: the browser must run with --js-flags=--expose-gc");
  // What the first collection finalizes, the second one frees.
  for (let i = 0; i < 2; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    buffers: counter.read().liveBuffers,
    heap: (performance as MemoryPerformance).memory?.usedJSHeapSize ?? Number.NaN,
  };
}
