/** In place on TF.js's buffers: what TF.js shares, remembers and holds back must not suffer from it. */
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sgd } from "../../src/index.ts";
import { type FusedOptimizer, fused } from "../../src/tfjs/index.ts";
import { tfjsBackend, valuesOf, variable } from "./tfjs-backend.ts";

let backend: WebGPUBackend;
let optimizer: FusedOptimizer;
let tensorsBefore: number;

beforeEach(async () => {
  backend = await tfjsBackend();
  tensorsBefore = tf.memory().numTensors;
  optimizer = await fused(sgd(), { lr: 0.5 });
});

afterEach(() => {
  optimizer.dispose();
  tf.disposeVariables();
  expect(tf.memory().numTensors, "tensors left behind").toBe(tensorsBefore);
});

const bufferOf = (tensor: tf.Tensor) => backend.tensorMap.get(tensor.dataId).resource as GPUBuffer;
/** A step against a gradient of these values. */
function step(...pairs: [tf.Variable, number[]][]): void {
  const gradients = pairs.map(([{ name, shape }, values]) => ({ name, tensor: tf.tensor(values, shape) }));
  optimizer.applyGradients(gradients);
  tf.dispose(gradients.map((g) => g.tensor));
}

test("the update is written into the buffer that the variable has", async () => {
  const w = variable([1, 2, 3, 4]);
  const buffer = bufferOf(w);
  for (let i = 0; i < 3; i++) step([w, [1, 1, 1, 2]]);
  expect(bufferOf(w)).toBe(buffer);
  expect(await valuesOf(w)).toEqual([-0.5, 0.5, 1.5, 1]);
});

test("what TF.js has not submitted yet runs before the step: operations that read the old values, and the gradient", async () => {
  const w = variable([1, 2, 3, 4]);
  // A first step submits more than others do.
  step([w, [0, 0, 0, 0]]);
  const before = w.mul(10);
  const gradient = tf.tidy(() => w.add(1).mul(2));
  optimizer.applyGradients({ [w.name]: gradient });
  const after = w.mul(10);
  expect(await valuesOf(before)).toEqual([10, 20, 30, 40]);
  expect(await valuesOf(w)).toEqual([-1, -1, -1, -1]);
  expect(await valuesOf(after)).toEqual([-10, -10, -10, -10]);
  tf.dispose([before, gradient, after]);
});

test("values that TF.js has read before are read again", async () => {
  const w = variable([1, 2]);
  expect(await valuesOf(w)).toEqual([1, 2]);
  step([w, [1, 1]]);
  expect(await valuesOf(w)).toEqual([0.5, 1.5]);
  step([w, [1, 1]]);
  expect(await w.array()).toEqual([0, 1]);
});

test("a read that is under way gives the old values, and leaves nothing stale behind", async () => {
  const w = variable([1, 2]);
  const reading = w.data();
  step([w, [1, 1]]);
  expect([...(await reading)]).toEqual([1, 2]);
  expect(await valuesOf(w)).toEqual([0.5, 1.5]);
});

test("tensors that share a variable's memory keep their values", async () => {
  const source = tf.tensor1d([1, 2]);
  const w = tf.variable(source);
  const alias = w.clone();
  const [rows] = [w.reshape([2, 1])];
  step([w, [1, 1]]);
  expect(await valuesOf(w)).toEqual([0.5, 1.5]);
  for (const other of [source, alias, rows]) expect(await valuesOf(other)).toEqual([1, 2]);
  // Now alone, it is written in place.
  const buffer = bufferOf(w);
  step([w, [1, 1]]);
  expect(bufferOf(w)).toBe(buffer);
  expect(await valuesOf(w)).toEqual([0, 1]);
  tf.dispose([source, alias, rows]);
});

test("two variables of one memory, and a variable whose memory is another's gradient", async () => {
  const source = variable([1, 2]);
  const a = tf.variable(source);
  const b = tf.variable(source);
  const shared = a.clone();
  optimizer.applyGradients({ [a.name]: b, [b.name]: shared });
  expect(await valuesOf(a)).toEqual([0.5, 1]);
  expect(await valuesOf(b)).toEqual([0.5, 1]);
  expect(await valuesOf(source)).toEqual([1, 2]);
  shared.dispose();
});

test("one gradient for two variables, as of a sum", async () => {
  const a = variable([1, 2]);
  const b = variable([3, 4]);
  optimizer.minimize(() => a.add(b).square().sum() as tf.Scalar, false, [a, b]);
  expect(await valuesOf(a)).toEqual([1 - 4, 2 - 6]);
  expect(await valuesOf(b)).toEqual([3 - 4, 4 - 6]);
});

test("the buffer of somebody else is not written", async () => {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = backend.device.createBuffer({ size: 8, usage });
  backend.queue.writeBuffer(buffer, 0, Float32Array.of(1, 2));
  const theirs = tf.tensor({ buffer, zeroCopy: true }, [2], "float32");
  const w = tf.variable(theirs);
  theirs.dispose();
  step([w, [1, 1]]);
  expect(await valuesOf(w)).toEqual([0.5, 1.5]);
  const again = tf.tensor({ buffer, zeroCopy: true }, [2], "float32");
  expect(await valuesOf(again)).toEqual([1, 2]);
  again.dispose();
  buffer.destroy();
});

test("variables and gradients that are still on the CPU are uploaded", async () => {
  const w = tf.tidy(() => tf.variable(tf.tensor1d([1, 2, 3])));
  expect(backend.tensorMap.get(w.dataId).resource ?? undefined).toBeUndefined();
  optimizer.minimize(() => w.square().sum() as tf.Scalar);
  expect(await valuesOf(w)).toEqual([0, 0, 0]);
  expect(bufferOf(w)).toBeInstanceOf(GPUBuffer);
});

test("gradients may lie in another buffer at each step", async () => {
  const w = variable([0, 0]);
  const kept = [1, 2, 3].map((x) => {
    const gradient = tf.tensor1d([x, 10 * x]);
    optimizer.applyGradients([{ name: w.name, tensor: gradient }]);
    return gradient;
  });
  expect(new Set(kept.map(bufferOf)).size).toBe(3);
  expect(await valuesOf(w)).toEqual([-3, -30]);
  tf.dispose(kept);
});

test("a new value that is assigned between steps is what the next step begins with", async () => {
  const w = variable([1, 2]);
  step([w, [1, 1]]);
  tf.tidy(() => w.assign(tf.tensor1d([7, 8])));
  step([w, [1, 1]]);
  expect(await valuesOf(w)).toEqual([6.5, 7.5]);
});

test("TF.js's own optimizer may take a step in between", async () => {
  const w = variable([4, 8]);
  const own = tf.train.sgd(0.25);
  const loss = () => w.square().sum() as tf.Scalar;
  step([w, [2, 2]]);
  own.minimize(loss);
  step([w, [2, 2]]);
  own.dispose();
  expect(await valuesOf(w)).toEqual([0.5, 2.5]);
});

test("scalars, odd sizes, and variables without elements", async () => {
  const odd = variable([1, 2, 3, 4, 5, 6, 7]);
  const one = variable([1], []);
  const none = tf.tidy(() => tf.variable(tf.zeros([0, 3])));
  const gradients = { [odd.name]: tf.ones([7]), [one.name]: tf.scalar(2), [none.name]: tf.zeros([0, 3]) };
  optimizer.applyGradients(gradients);
  expect(await valuesOf(odd)).toEqual([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5]);
  expect(await valuesOf(one)).toEqual([0]);
  tf.dispose(gradients);
});
