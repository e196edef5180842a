/**
 * The floors: how fast this device moves the bytes of an AdamW step. All tensors of a case lie in one run of memory here,
 * so a floor takes one dispatch however many tensors there are.
 */

import { checkedSteps } from "../adamw-float64.ts";
import type { CaseTensor } from "../cases.ts";
import { type Implementation, scaled } from "../implementation.ts";
import { median } from "../rounds.ts";
import { streamRuns } from "./stream-kernel.ts";

/** Values of all tensors one after the other, filled up with zeros to whole vec4. */
function flat(tensors: readonly CaseTensor[], field: "param" | "grad"): Float32Array<ArrayBuffer> {
  const size = tensors.reduce((sum, t) => sum + t[field].length, 0);
  const values = new Float32Array(Math.ceil(size / 4) * 4);
  let offset = 0;
  for (const t of tensors) {
    values.set(t[field], offset);
    offset += t[field].length;
  }
  return values;
}

/** The reverse of {@link flat}. */
function split(tensors: readonly CaseTensor[], values: Float32Array): Float32Array[] {
  let offset = 0;
  return tensors.map((t) => {
    const start = offset;
    offset += t.param.length;
    return values.subarray(start, offset);
  });
}

class Memory {
  readonly device: GPUDevice;
  readonly size: number;
  /** State has two slots. */
  readonly buffers: Record<"param" | "grad" | "state", GPUBuffer>;

  constructor(device: GPUDevice, values: { param: Float32Array<ArrayBuffer>; grad: Float32Array<ArrayBuffer> }) {
    this.device = device;
    this.size = values.param.byteLength;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = (label: string, copies = 1) =>
      device.createBuffer({ label: `bench.floor ${label}`, size: this.size * copies, usage });
    this.buffers = { param: buffer("param"), grad: buffer("grad"), state: buffer("state", 2) };
    device.queue.writeBuffer(this.buffers.param, 0, values.param);
    device.queue.writeBuffer(this.buffers.grad, 0, values.grad);
  }

  async read(buffer: GPUBuffer): Promise<Float32Array> {
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const staging = this.device.createBuffer({ label: "bench.floor readback", size: this.size, usage });
    const encoder = this.device.createCommandEncoder({ label: "bench.floor readback" });
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, this.size);
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const values = new Float32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return values;
  }

  destroy(): void {
    for (const buffer of Object.values(this.buffers)) buffer.destroy();
  }
}

/** How the stream kernel is cut up. All combinations are tried; the fastest one on this device and case is the floor. */
const shapes = [64, 128, 256].flatMap((workgroup) => [8, 32, 128, 512, 2048].map((grid) => ({ workgroup, grid })));
const tuningRounds = 7;

/** The stream kernel (stream.wgsl), tuned for this device and case. */
export async function stream(device: GPUDevice, tensors: readonly CaseTensor[]): Promise<Implementation> {
  const values = { param: flat(tensors, "param"), grad: flat(tensors, "grad") };
  const memory = new Memory(device, values);
  const { param, grad } = memory.buffers;
  const done = () => device.queue.onSubmittedWorkDone();
  const runs = await streamRuns(device, memory.buffers, ["both", "both"], shapes);
  const times = runs.map(() => [] as number[]);
  for (let round = 0; round < tuningRounds; round++) {
    for (const [i, run] of runs.entries()) {
      const start = performance.now();
      run();
      await done();
      times[i]!.push(performance.now() - start);
    }
  }
  const medians = times.map(median);
  const fastest = runs[medians.indexOf(Math.min(...medians))]!;
  device.queue.writeBuffer(param, 0, values.param);

  return {
    name: "stream",
    step: fastest,
    done,
    scaleGradients: (factor) => device.queue.writeBuffer(grad, 0, scaled(values.grad, factor)),
    readParams: async () => split(tensors, await memory.read(param)),
    expectedParams() {
      const sum = checkedSteps.reduce((a, b) => a + b, 0);
      return tensors.map((t) => Float64Array.from(t.param, (p, i) => p + sum * t.grad[i]!));
    },
    destroy: () => memory.destroy(),
  };
}

/**
 * `copyBufferToBuffer` of as many bytes. An update reads p, g, m, v and writes p, m, v: 7 n floats. A copy of n floats
 * reads and writes 2 n, so 3.5 n floats are copied: p, m, v and half of g, each to a twin.
 */
export async function copies(device: GPUDevice, tensors: readonly CaseTensor[]): Promise<Implementation> {
  const values = { param: flat(tensors, "param"), grad: flat(tensors, "grad") };
  const from = new Memory(device, values);
  const to = new Memory(device, { param: new Float32Array(values.param.length), grad: values.grad });
  return {
    name: "copy",
    step() {
      const encoder = device.createCommandEncoder({ label: "bench.copy" });
      for (const name of ["param", "state"] as const) {
        encoder.copyBufferToBuffer(from.buffers[name], 0, to.buffers[name], 0, from.buffers[name].size);
      }
      // A half of whole vec4s: 4 bytes aligned whatever the size.
      encoder.copyBufferToBuffer(from.buffers.grad, 0, to.buffers.grad, 0, from.size / 2);
      device.queue.submit([encoder.finish()]);
    },
    done: () => device.queue.onSubmittedWorkDone(),
    scaleGradients: () => {},
    readParams: async () => split(tensors, await to.read(to.buffers.param)),
    expectedParams: () => tensors.map((t) => t.param),
    destroy() {
      from.destroy();
      to.destroy();
    },
  };
}
