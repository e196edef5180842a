/** Tensors in buffers of the caller's, with canaries behind every tensor. */

import type { Optimizer, ParamSpec } from "../../src/index.ts";
import { initialData, nameOf, type Problem } from "./twin-run.ts";

/** Bits that nothing computes by chance. */
const CANARY = 0xdeadbeef;
const ALIGNMENT = 256;
const USAGE = 0x80 | 0x8 | 0x4; // STORAGE, COPY_DST, COPY_SRC

export interface Attached {
  readonly params: ParamSpec[];
  /** Places outside of every tensor where a canary is dead: `[]` if the kernels kept to their tensors. */
  deadCanaries(): Promise<string[]>;
  destroy(): void;
}

/** Puts the tensors of a problem into one buffer of parameters and one of gradients. */
export function attach(device: GPUDevice, problem: Problem): Attached {
  const data = initialData(problem);
  let end = ALIGNMENT;
  const offsets = data.map((values) => {
    const offset = end;
    // At least one canary between this tensor and the next.
    end = Math.ceil((offset + values.byteLength + 4) / ALIGNMENT) * ALIGNMENT;
    return offset;
  });
  const make = (label: string, contents: readonly Float32Array[]) => {
    const words = new Uint32Array(end / 4).fill(CANARY);
    contents.forEach((values, k) => {
      words.set(new Uint32Array(values.slice().buffer), offsets[k]! / 4);
    });
    const buffer = device.createBuffer({ label, size: end, usage: USAGE });
    device.queue.writeBuffer(buffer, 0, words);
    return buffer;
  };
  const buffers = [
    make("attached params", data),
    make(
      "attached grads",
      data.map((values) => new Float32Array(values.length)),
    ),
  ] as const;
  const [param, grad] = buffers;
  return {
    params: problem.shapes.map((shape, k) => {
      const offset = offsets[k]!;
      return { name: nameOf(k), shape, param: { buffer: param, offset }, grad: { buffer: grad, offset } };
    }),
    async deadCanaries() {
      const dead: string[] = [];
      for (const buffer of buffers) {
        const words = await readWords(device, buffer);
        data.forEach((values, k) => {
          words.fill(CANARY, offsets[k]! / 4, offsets[k]! / 4 + values.length);
        });
        words.forEach((word, i) => {
          if (word !== CANARY) dead.push(`${buffer.label}[${i}] is ${word.toString(16)}`);
        });
      }
      return dead;
    },
    destroy: () => {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

/** Places in the arena outside of every tensor that are not zero. */
export async function dirtyPadding(device: GPUDevice, { tensors }: Optimizer): Promise<string[]> {
  const dirty: string[] = [];
  for (const which of ["param", "grad"] as const) {
    for (const buffer of new Set(tensors.map((tensor) => tensor[which].buffer))) {
      const words = await readWords(device, buffer);
      for (const { [which]: range } of tensors) {
        if (range.buffer === buffer) words.fill(0, range.offset / 4, (range.offset + range.size) / 4);
      }
      words.forEach((word, i) => {
        if (word !== 0) dirty.push(`${buffer.label}[${i}] is ${word.toString(16)}`);
      });
    }
  }
  return dirty;
}

/** The contents of a buffer. */
export async function readWords(device: GPUDevice, buffer: GPUBuffer): Promise<Uint32Array<ArrayBuffer>> {
  const staging = device.createBuffer({ size: buffer.size, usage: 0x1 | 0x8 /* MAP_READ, COPY_DST */ });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const words = new Uint32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return words;
}
