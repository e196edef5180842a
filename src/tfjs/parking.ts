/** Where tensors of the engine lie that have no part in a step: every tensor is bound, and TF.js may have recycled its buffers. */
import type { Optimizer } from "../engine/optimizer.ts";
import type { AttachedParam } from "../engine/options.ts";

// GPUBufferUsage.STORAGE | COPY_SRC | COPY_DST; the global is not there in Node.
const USAGE = 0x80 | 0x4 | 0x8;
const ALIGNMENT = 256;

/** One buffer for them all: nothing is written to it that anyone reads, and the half for gradients stays zero. */
export class Parking {
  readonly #device: GPUDevice;
  readonly #engine: Optimizer;
  readonly #parked = new Map<string, readonly number[]>();
  #buffer: GPUBuffer | undefined;

  constructor(device: GPUDevice, engine: Optimizer) {
    this.#device = device;
    this.#engine = engine;
  }

  /** These tensors have buffers of their own again. */
  leave(names: Iterable<string>): void {
    for (const name of names) this.#parked.delete(name);
  }

  /** Parks these tensors. The buffer is as large as the largest of them has ever asked for. */
  enter(tensors: Iterable<readonly [string, readonly number[]]>): void {
    const added = [...tensors].filter(([name]) => !this.#parked.has(name));
    for (const [name, shape] of added) this.#parked.set(name, shape);
    const grown = this.#grow(added.map(([, shape]) => shape));
    for (const name of grown ? this.#parked.keys() : added.map(([name]) => name))
      this.#engine.attach(name, this.#lot());
  }

  /** A tensor that is parked from its beginning, for the engine to add. */
  place(name: string, shape: readonly number[]): AttachedParam {
    if (this.#grow([shape])) for (const parked of this.#parked.keys()) this.#engine.attach(parked, this.#lot());
    this.#parked.set(name, shape);
    return { name, shape, ...this.#lot() };
  }

  /** Makes room; says whether it is another buffer now. */
  #grow(shapes: readonly (readonly number[])[]): boolean {
    const half = Math.max(0, ...shapes.map((shape) => Math.ceil(bytesOf(shape) / ALIGNMENT) * ALIGNMENT));
    const old = this.#buffer;
    if (half === 0 || (old && old.size >= 2 * half)) return false;
    this.#buffer = this.#device.createBuffer({ label: "tfjs parking", size: 2 * half, usage: USAGE });
    old?.destroy();
    return true;
  }

  #lot(): Pick<AttachedParam, "param" | "grad"> {
    const buffer = this.#buffer as GPUBuffer;
    return { param: { buffer }, grad: { buffer, offset: buffer.size / 2 } };
  }

  destroy(): void {
    this.#buffer?.destroy();
  }
}

const bytesOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 4);
