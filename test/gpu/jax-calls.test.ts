/** What an update costs in WebGPU calls, and what many of them leave behind: nothing. */
import { blockUntilReady, type Array as JaxArray, jit, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import { beforeAll, expect, test } from "vitest";
import { adamw, cosine } from "../../src/index.ts";
import { fused } from "../../src/jax/index.ts";
import { findSlots } from "../../src/jax/ownership.ts";
import { type CallCounts, countCalls } from "../browser/count-calls.ts";
import { array, jaxDevice, ramp, valuesOf } from "./jax-device.ts";

let device: GPUDevice;

beforeAll(async () => {
  device = await jaxDevice();
});

const shapes = Array.from({ length: 12 }, (_, k) => [1 + ((37 * k) % 90), 1 + (k % 3)]);
const treeOf = (make: (shape: number[], k: number) => JaxArray) =>
  Object.fromEntries(shapes.map((shape, k) => [`p${k}`, make(shape, k)]));

/** The largest count of each kind in one of `steps` updates whose gradients lie in other buffers each time. */
async function dearest(options: Parameters<typeof fused>[1], steps: number): Promise<CallCounts> {
  const solver = fused(adamw(), options);
  let params = treeOf((shape) => array(shape));
  const state = await solver.init(tree.ref(params));
  const most = {} as CallCounts;
  const counter = countCalls(device);
  // Gradients of several steps exist at once, so that jax-js's pool cannot give the same buffers again and again.
  const ahead: (typeof params)[] = [];
  const buffers = new Set<GPUBuffer>();
  for (let step = 0; step < steps; step++) {
    while (ahead.length < 3)
      ahead.push(treeOf(([rows = 0, columns = 0], k) => array([rows, columns], ramp(rows * columns, k + step))));
    const grads = ahead.shift()!;
    await blockUntilReady(grads);
    buffers.add(grads.p3!.ref.gpuBufferSync());
    counter.reset();
    [params] = solver.update(grads, state, params);
    const counts = counter.read();
    if (step < 4) continue;
    for (const name of Object.keys(counts) as (keyof CallCounts)[])
      most[name] = Math.max(most[name] ?? 0, counts[name]);
  }
  counter.stop();
  expect(buffers.size).toBeGreaterThan(2);
  expect(state.copies).toBe(0);
  await state.optimizer.flush();
  state.dispose();
  tree.dispose(params);
  return most;
}

test("an update with a schedule: one dispatch a tensor, one pass, one submission, nothing made", async () => {
  const counts = await dearest({ lr: cosine(0.1, 30), weightDecay: (step) => 0.01 * step }, 40);
  expect(counts).toMatchObject({
    dispatches: shapes.length,
    passes: 1,
    encoders: 1,
    submits: 1,
    createBuffer: 0,
    createComputePipeline: 0,
    createShaderModule: 0,
    copyBufferToBuffer: 0,
    mapAsync: 0,
  });
});

test("with clipping and figures the gradients are read once more: still one pass and one submission", async () => {
  const counts = await dearest({ lr: cosine(0.1, 30), clip: { globalNorm: 1 }, monitor: { every: 1 } }, 30);
  expect(counts).toMatchObject({
    dispatches: 2 * shapes.length + 2,
    passes: 1,
    submits: 1,
    createBuffer: 0,
    createComputePipeline: 0,
  });
});

test("2000 steps of training under jit leave no buffer and no array behind", async () => {
  interface Params {
    w: JaxArray;
    b: JaxArray;
  }
  const loss = (p: Params, x: JaxArray, y: JaxArray) => {
    const error = np.dot(x, p.w).add(p.b).sub(y);
    return np.mean(error.ref.mul(error));
  };
  const lossAndGrad = jit(valueAndGrad(loss));
  const x = array([16, 4]);
  // y = x w + b, so that the loss can vanish.
  const truth = { w: array([4, 2], ramp(8, 5)), b: array([2], [0.5, -0.25]) };
  const y = np.dot(x.ref, truth.w).add(truth.b);
  const solver = fused(adamw(), {
    lr: cosine(0.02, 2000),
    weightDecay: 0,
    clip: { globalNorm: 10 },
    monitor: { every: 50 },
  });
  let params: Params = { w: np.zeros([4, 2]), b: np.zeros([2]) };
  const state = await solver.init(tree.ref(params));

  const slots = await findSlots();
  expect(slots).toBeDefined();
  const counter = countCalls(device);
  let last: JaxArray | undefined;
  let early = { buffers: 0, arrays: 0 };
  const now = async () => {
    await state.optimizer.flush();
    await device.queue.onSubmittedWorkDone();
    return { buffers: counter.read().liveBuffers, arrays: slots!.size };
  };
  for (let step = 0; step < 2000; step++) {
    last?.dispose();
    const [value, grads] = lossAndGrad(tree.ref(params), x.ref, y.ref);
    last = value;
    [params] = solver.update(grads, state, params);
    if (step % 20 === 0) await blockUntilReady(params);
    if (step === 100) early = await now();
  }
  expect(await now()).toEqual(early);
  counter.stop();
  expect(state.copies).toBe(0);
  expect((await valuesOf(last!))[0]).toBeLessThan(1e-6);
  state.dispose();
});
