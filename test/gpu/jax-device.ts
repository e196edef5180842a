/** jax-js on its WebGPU backend, and what tests of the adapter look at. */
import { defaultDevice, getWebGPUDevice, init, type Array as JaxArray, numpy as np } from "@jax-js/jax";
import { watchDevice } from "../browser/device.ts";

let opening: Promise<GPUDevice> | undefined;

/** jax-js's device, of which there is one a page. Arrays are made on it from now on. */
export async function jaxDevice(): Promise<GPUDevice> {
  opening ??= init("webgpu").then((backends) => {
    if (!backends.includes("webgpu")) throw new Error("jax-js found no WebGPU");
    const device = getWebGPUDevice();
    watchDevice(device);
    return device;
  });
  const device = await opening;
  defaultDevice("webgpu");
  return device;
}

/** A float32 array; without values, a ramp. */
export function array(shape: readonly number[], values?: ArrayLike<number>): JaxArray {
  const size = shape.reduce((n, d) => n * d, 1);
  if (size === 0) return np.zeros([...shape]);
  return np.array(values ? Float32Array.from(values) : ramp(size), { shape: [...shape] });
}

/** Numbers without pattern in [-1, 1). */
export function ramp(size: number, seed = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: size }, (_, i) => (Math.imul(i + 7 * seed, 0x9e3779b1) >>> 8) / 2 ** 23 - 1);
}

/** Values of an array, which stays. */
export async function valuesOf(given: JaxArray): Promise<Float32Array> {
  return (await given.ref.data()) as Float32Array;
}
