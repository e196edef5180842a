/** TensorFlow.js on its WebGPU backend, and what tests of the adapter look at. */
import "@tensorflow/tfjs-backend-webgpu";
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops";
// For its gradients too.
import "@tensorflow/tfjs-layers";
import { watchDevice } from "../browser/device.ts";

let opening: Promise<WebGPUBackend> | undefined;

/** TF.js's WebGPU backend, which becomes the current one. */
export async function tfjsBackend(): Promise<WebGPUBackend> {
  opening ??= (async () => {
    if (!(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js has no WebGPU");
    await tf.ready();
    const backend = tf.backend() as WebGPUBackend;
    watchDevice(backend.device);
    return backend;
  })();
  const backend = await opening;
  await tf.setBackend("webgpu");
  return backend;
}

/** A variable with values on the GPU, sharing them with nobody, as training leaves it. */
export function variable(
  values: ArrayLike<number>,
  shape: readonly number[] = [values.length],
  name?: string,
): tf.Variable {
  return tf.tidy(() => {
    const made = tf.variable(tf.tensor(Float32Array.from(values), [...shape]), true, name);
    (tf.backend() as WebGPUBackend).uploadToGPU(made.dataId);
    return made;
  });
}

export async function valuesOf(tensor: tf.Tensor): Promise<number[]> {
  return [...(await tensor.data())];
}

/** Numbers without pattern in [-1, 1). */
export function ramp(size: number, seed = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: size }, (_, i) => (Math.imul(i + 7 * seed, 0x9e3779b1) >>> 8) / 2 ** 23 - 1);
}
