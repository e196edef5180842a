/** Where the adapter runs: in a worker, on a device of ours, and not on other backends. */
import { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { adam, createOptimizer, OptionError, sgd } from "../../src/index.ts";
import { fused } from "../../src/tfjs/index.ts";
import { testDevice } from "../browser/device.ts";
import { tfjsBackend, valuesOf, variable } from "./tfjs-backend.ts";

beforeEach(async () => {
  await tfjsBackend();
});

afterEach(async () => {
  await tf.setBackend("webgpu");
  tf.disposeVariables();
});

/** A backend without kernels: enough to be the current one. */
class NoBackend extends tf.KernelBackend {
  override numDataIds = () => 0;
  override floatPrecision = () => 32 as const;
  override dispose = () => {};
}

test("another backend is refused by name, at creation and at each step", async () => {
  const w = variable([1, 2]);
  const gradient = tf.tensor1d([1, 1]);
  const optimizer = await fused(sgd(), { lr: 1 });
  tf.registerBackend("nothing", () => new NoBackend());
  await tf.setBackend("nothing");
  await expect(fused(sgd())).rejects.toThrow(OptionError);
  await expect(fused(sgd())).rejects.toThrow(
    /fused: backend must be TensorFlow.js's WebGPU backend .*tfjs-backend-webgpu.*setBackend\("webgpu"\).*"nothing"/,
  );
  expect(() => optimizer.applyGradients({ [w.name]: gradient })).toThrow(/applyGradients: backend must be .*"nothing"/);
  await tf.setBackend("webgpu");
  tf.removeBackend("nothing");
  optimizer.applyGradients({ [w.name]: gradient });
  expect(await valuesOf(w)).toEqual([0, 1]);
  optimizer.dispose();
  gradient.dispose();
});

test("a backend that was given our device: its variables and the engine's own parameters, on one device", async () => {
  const device = await testDevice({ label: "shared", fresh: true });
  tf.copyRegisteredKernels("webgpu", "ours");
  tf.registerBackend("ours", () => new WebGPUBackend(device, device.adapterInfo));
  await tf.setBackend("ours");
  const w = tf.tidy(() => tf.variable(tf.tensor1d([4, 8])));
  const optimizer = await fused(adam(), { lr: 0.1 });
  optimizer.minimize(() => w.square().sum() as tf.Scalar);
  const engine = await createOptimizer(device, {
    rule: adam(),
    lr: 0.1,
    params: [{ name: "w", shape: [2], data: Float32Array.of(4, 8) }],
  });
  engine.writeGrad("w", Float32Array.of(8, 16));
  engine.step();
  expect(await valuesOf(w)).toEqual([...(await engine.readParam("w"))]);
  optimizer.dispose();
  engine.destroy();
  w.dispose();
  await tf.setBackend("webgpu");
  tf.removeBackend("ours");
});

test("in a worker", async () => {
  const worker = new Worker(new URL("./tfjs-worker.ts", import.meta.url), { type: "module" });
  const answer = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
  });
  worker.terminate();
  expect(answer).toEqual({ weights: [0.5, 1.5], figures: [Math.fround(Math.SQRT2)] });
});
