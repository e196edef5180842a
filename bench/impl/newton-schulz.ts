/** Newton-Schulz orthogonalization of one matrix, five steps: ours, and the same in jax-js with its own products under `jit`. */
import * as jax from "@jax-js/jax";
import { getWebGPUDevice, init, type Array as JaxArray, jit, numpy as np } from "@jax-js/jax";
import { resolveLimits } from "../../src/host/limits.ts";
import { createNewtonSchulz } from "../../src/host/newton-schulz.ts";
import { newtonSchulz, QUINTIC } from "../../test/reference/newton-schulz.ts";
import type { Timed } from "../implementation.ts";

const polynomials = Array.from({ length: 5 }, () => QUINTIC);
const eps = 1e-7;

/** What is orthogonalized. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float32Array<ArrayBuffer>;
}

/** The first step is what is checked; later ones of ours, which work in place, find an orthogonalized matrix. */
export interface OnMatrix extends Timed {
  read(): Promise<Float32Array>;
  destroy(): void;
}

/** What the first step must give, in float64. */
export const orthogonalized = ({ values, ...shape }: Matrix): Float64Array =>
  newtonSchulz(values, { ...shape, polynomials, eps, normalization: "add" });

export async function oursOnMatrix(device: GPUDevice, { rows, cols, values }: Matrix): Promise<OnMatrix> {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ label: "bench newton-schulz", size: values.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, values);
  const iteration = await createNewtonSchulz(device, {
    label: "bench",
    limits: resolveLimits(device),
    buffer,
    matrices: [{ offset: 0, rows, cols, polynomials, eps, normalization: "add" }],
  });
  return {
    name: "ours",
    step() {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      iteration.encode(pass);
      pass.end();
      device.queue.submit([encoder.finish()]);
    },
    done: () => device.queue.onSubmittedWorkDone(),
    async read() {
      const staging = device.createBuffer({
        size: values.byteLength,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      });
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, values.byteLength);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const read = new Float32Array(staging.getMappedRange().slice(0));
      staging.destroy();
      return read;
    },
    destroy() {
      iteration.destroy();
      buffer.destroy();
    },
  };
}

/** On the transpose where there are more rows than columns, as the published code does; jax-js transposes without moving. */
function orthogonalize(u: JaxArray): JaxArray {
  const [rows, cols] = u.shape as [number, number];
  let x = rows > cols ? np.transpose(u) : u;
  const norm = np.sqrt(np.sum(x.ref.mul(x.ref))).add(eps);
  x = x.div(norm);
  for (const [a, b, c] of polynomials) {
    const gram = np.matmul(x.ref, np.transpose(x.ref));
    const polynomial = gram.ref.mul(b).add(np.matmul(gram.ref, gram).mul(c));
    x = x.ref.mul(a).add(np.matmul(polynomial, x));
  }
  return rows > cols ? np.transpose(x) : x;
}

export async function jaxOnMatrix({ rows, cols, values }: Matrix): Promise<OnMatrix> {
  if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js has no WebGPU");
  jax.defaultDevice("webgpu");
  const device = getWebGPUDevice();
  const run = jit(orthogonalize as never) as unknown as typeof orthogonalize & { dispose(): void };
  const u = np.array(values, { shape: [rows, cols] });
  await jax.blockUntilReady([u.ref]);
  let result: JaxArray | undefined;
  return {
    name: "jax-js",
    step() {
      result?.dispose();
      result = run(u.ref);
      // Submits what jit has recorded.
      result.ref.gpuBufferSync();
    },
    done: () => device.queue.onSubmittedWorkDone(),
    read: async () => (await result!.ref.data()) as Float32Array,
    destroy() {
      result?.dispose();
      u.dispose();
      run.dispose();
    },
  };
}
