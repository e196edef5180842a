/** Matrices of the training kit's tests: made from the seeded generator, laid out in quads, uploaded and read back. */
import { quadsOf, rowsOf } from "../../src/nn/activation.ts";
import { type Dispatch, encodeDispatches } from "../../src/nn/dispatch.ts";
import { generate } from "../reference/prng.ts";

/** A value that no kernel here may overwrite or read. */
export const CANARY = -12345.678;

/** Uniform values in [-1, 1), different for each `stream`. */
export function values(stream: number, size: number): Float32Array {
  return generate({ kind: "uniform", scale: 1 }, 7, stream, 0, size);
}

/** A storage buffer with these contents. */
export function upload(device: GPUDevice, label: string, data: Float32Array | Uint32Array): GPUBuffer {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ label, size: data.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
  return buffer;
}

/** An activation buffer of `samples` rows of `features`; rows and features behind them are zero. */
export function uploadActivation(
  device: GPUDevice,
  label: string,
  matrix: ArrayLike<number>,
  samples: number,
  features: number,
): GPUBuffer {
  const stride = quadsOf(features) * 4;
  const padded = new Float32Array(rowsOf(samples) * stride);
  for (let r = 0; r < samples; r++) {
    for (let i = 0; i < features; i++) padded[r * stride + i] = matrix[r * features + i]!;
  }
  return upload(device, label, padded);
}

/** An activation buffer as a matrix without padding; throws where a feature of the padding is not zero. */
export async function readActivation(
  device: GPUDevice,
  buffer: GPUBuffer,
  samples: number,
  features: number,
): Promise<Float32Array> {
  const stride = quadsOf(features) * 4;
  const padded = await readFloats(device, buffer);
  for (let at = 0; at < padded.length; at++) {
    if (at % stride >= features && padded[at] !== 0) throw new Error(`padding of ${buffer.label} is not zero at ${at}`);
  }
  return Float32Array.from({ length: samples * features }, (_, k) => {
    return padded[Math.floor(k / features) * stride + (k % features)]!;
  });
}

/** Tensors as an arena holds them: one buffer, every tensor at a multiple of 256 bytes, canaries in between. */
export function uploadArena(device: GPUDevice, label: string, tensors: readonly ArrayLike<number>[]) {
  const offsets: number[] = [];
  let size = 256;
  for (const tensor of tensors) {
    offsets.push(size);
    size += Math.ceil((tensor.length * 4 + 4) / 256) * 256;
  }
  const words = new Float32Array(size / 4).fill(CANARY);
  tensors.forEach((tensor, k) => {
    words.set(Array.from(tensor), offsets[k]! / 4);
  });
  const buffer = upload(device, label, words);
  const ranges = tensors.map((tensor, k) => ({ buffer, offset: offsets[k]!, size: tensor.length * 4 }));
  /** The tensors as they are now; throws where a canary has been overwritten. */
  const read = async (): Promise<Float32Array[]> => {
    const now = await readFloats(device, buffer);
    const canary = Math.fround(CANARY);
    now.forEach((word, at) => {
      const inside = ranges.some(({ offset, size }) => at >= offset / 4 && at < (offset + size) / 4);
      if (!inside && word !== canary) throw new Error(`${label}: word ${at} outside every tensor was overwritten`);
    });
    return ranges.map(({ offset, size }) => now.slice(offset / 4, (offset + size) / 4));
  };
  return { ranges, read };
}

/** Runs dispatches in a submission of their own. */
export function run(device: GPUDevice, dispatches: readonly Dispatch[]): void {
  const encoder = device.createCommandEncoder();
  encodeDispatches(encoder, "test", dispatches);
  device.queue.submit([encoder.finish()]);
}

export async function readWords(device: GPUDevice, source: GPUBuffer): Promise<ArrayBuffer> {
  const staging = device.createBuffer({ size: source.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(source, 0, staging, 0, source.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const words = staging.getMappedRange().slice(0);
  staging.destroy();
  return words;
}

export async function readFloats(device: GPUDevice, source: GPUBuffer): Promise<Float32Array> {
  return new Float32Array(await readWords(device, source));
}

/** The largest amount by which `got` leaves `want` plus or minus `bound`, element by element; at most 0 if all is well. */
export function worstExcess(got: ArrayLike<number>, want: ArrayLike<number>, bound: (k: number) => number): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  let worst = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < want.length; k++) {
    const excess = Math.abs(got[k]! - want[k]!) - bound(k);
    if (!(excess <= worst)) worst = excess;
  }
  return worst;
}
