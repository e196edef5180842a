/** What the optimizer's part of a training step asks of WebGPU, and that it leaves nothing behind. */
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, expect, test } from "vitest";
import { adamw, sgd } from "../../src/index.ts";
import { type FusedOptimizer, type FusedOptions, fused } from "../../src/tfjs/index.ts";
import { type CallCounts, countCalls } from "../browser/count-calls.ts";
import { tfjsBackend, variable } from "./tfjs-backend.ts";
import { BATCH, cnn, LOSS, quarters } from "./tfjs-cnn.ts";

let backend: WebGPUBackend;

beforeAll(async () => {
  backend = await tfjsBackend();
});

afterEach(() => {
  tf.disposeVariables();
});

/** Counts the calls within `applyGradients`, TF.js's own submission of what it held back included. */
function countApplied(optimizer: FusedOptimizer): CallCounts[] {
  const counted: CallCounts[] = [];
  const apply = optimizer.applyGradients;
  optimizer.applyGradients = (gradients) => {
    const counter = countCalls(backend.device);
    try {
      apply.call(optimizer, gradients);
    } finally {
      counted.push(counter.stop());
    }
  };
  return counted;
}

const STEPS = 16;

test.each<[string, FusedOptions, number]>([
  ["plain", {}, 6],
  ["with a schedule and groups", { lr: (k) => 1e-3 / (k + 1), groups: [{ match: "*bias*", weightDecay: 0 }] }, 6],
  // Each gradient is read once more before, and one dispatch decides.
  ["with clipping by the global norm", { clip: { globalNorm: 1 } }, 6 + 6 + 1],
])("a step of the CNN, %s", async (_, options, dispatches) => {
  const data = quarters(STEPS);
  const model = cnn();
  const optimizer = await fused(adamw(), options);
  const counted = countApplied(optimizer);
  model.compile({ optimizer, ...LOSS });
  await model.fit(data.x, data.y, { batchSize: BATCH, epochs: 1, shuffle: false, yieldEvery: "never" });
  expect(model.trainableWeights.length).toBe(6);
  expect(counted.length).toBe(STEPS);
  // TF.js's pool of buffers comes to rest within some steps, and with it the bind groups.
  for (const { dispatches: d, passes, submits, createBuffer, createComputePipeline, mapAsync } of counted.slice(
    STEPS / 2,
  )) {
    expect({ d, passes, submits, createBuffer, createComputePipeline, mapAsync }).toEqual({
      d: dispatches,
      passes: 1,
      submits: 1,
      createBuffer: 0,
      createComputePipeline: 0,
      mapAsync: 0,
    });
  }
  for (const thing of [optimizer, model, data]) thing.dispose();
});

test("2000 steps leave no tensor and no buffer behind", async () => {
  const w = variable(new Float32Array(12).fill(1), [3, 4]);
  const b = variable([1, 2, 3]);
  const optimizer = await fused(sgd({ momentum: 0.9 }), {
    lr: (k) => 1e-4 / (k + 1),
    clip: { globalNorm: 1 },
    monitor: { every: 50 },
  });
  const whole = tf.ones([3, 4]);
  const part = tf.ones([3]);
  const step = (k: number) => {
    // A gradient that is made anew, and every seventh time none for the other variable.
    const gradient = tf.mul(whole, 0.5);
    optimizer.applyGradients({ [w.name]: gradient, ...(k % 7 === 0 ? {} : { [b.name]: part }) });
    gradient.dispose();
  };
  const settle = async () => {
    await optimizer.flush();
    await backend.device.queue.onSubmittedWorkDone();
  };
  for (let k = 0; k < 200; k++) step(k);
  await settle();
  const before = tf.memory();
  const counter = countCalls(backend.device);
  for (let k = 0; k < 2000; k++) {
    step(k);
    if (k % 50 === 0) await settle();
  }
  await settle();
  const { liveBuffers } = counter.stop();
  const { numTensors, numDataBuffers, numBytes } = tf.memory();
  expect({ numTensors, numDataBuffers, numBytes }).toEqual({
    numTensors: before.numTensors,
    numDataBuffers: before.numDataBuffers,
    numBytes: before.numBytes,
  });
  expect(liveBuffers).toBe(0);
  expect(optimizer.iterations).toBe(2200);
  tf.dispose([whole, part]);
  optimizer.dispose();
});
