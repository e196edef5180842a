/** The buffers of a plan: input and target, uniforms, results, the model's own buffers, and the arena. */
import type { BufferSlice } from "../engine/options.ts";
import { createActivation, quadsOf } from "./activation.ts";
import type { RegionPlace } from "./arena-layout.ts";
import { BATCH_BYTES, OUTCOME_BYTES, RECORD_BYTES } from "./batch.ts";
import type { TargetKind } from "./loss.ts";
import type { Model } from "./model.ts";
import type { PackedKind } from "./packing.ts";
import { sizeOf, timesOf } from "./shape.ts";

// GPUBufferUsage is no global outside browsers' windows and workers; importing this module must work anywhere.
const [COPY_SRC, COPY_DST, UNIFORM, STORAGE] = [0x4, 0x8, 0x40, 0x80];

/** Uniforms begin at multiples of this. */
const UNIFORM_ALIGNMENT = 256;
/** Bytes of the random uniform: seed, step, padding. */
const RANDOM_BYTES = 16;

export class PlanBuffers {
  /** As activation.ts lays it out; of bytes likewise, four in a word; of tokens `[rows, quads]` of `vec4u`. */
  readonly input: BufferSlice;
  readonly target: BufferSlice;
  /** `struct Batch` */
  readonly batch: BufferSlice;
  /** `vec4u`: seed, step */
  readonly random: BufferSlice;
  readonly outcomes: BufferSlice;
  readonly records: BufferSlice;
  /** What lies in input and target. */
  readonly kinds: { readonly input: PackedKind; readonly target: TargetKind };
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #all: GPUBuffer[] = [];
  readonly #ofModel = new Map<string, BufferSlice>();
  readonly #constants = new Map<string, BufferSlice>();
  #arena: readonly GPUBuffer[] = [];

  constructor(
    device: GPUDevice,
    label: string,
    options: { model: Model; rows: number; bytes: boolean; slots: number; target: TargetKind },
  ) {
    this.#device = device;
    this.#label = label;
    const { model, rows, bytes, slots, target } = options;
    const features = sizeOf(model.input);
    this.kinds = { input: bytes ? "bytes" : model.inputKind, target };
    // A quad of bytes takes as much room as one float.
    this.input = this.#keep(createActivation(device, `${label}.input`, rows, bytes ? quadsOf(features) : features));
    const times = timesOf(model.output);
    this.target =
      target === "values"
        ? this.#keep(createActivation(device, `${label}.target`, rows, sizeOf(model.output)))
        : this.#create("target", rows * times * 4, STORAGE);
    const uniforms = this.#create("uniforms", UNIFORM_ALIGNMENT + RANDOM_BYTES, UNIFORM).buffer;
    this.batch = { buffer: uniforms, offset: 0, size: BATCH_BYTES };
    this.random = { buffer: uniforms, offset: UNIFORM_ALIGNMENT, size: RANDOM_BYTES };
    this.outcomes = this.#create("outcomes", rows * times * OUTCOME_BYTES, STORAGE);
    this.records = this.#create("records", slots * RECORD_BYTES, STORAGE);
    for (const { name, shape, value } of model.buffers) {
      const slice = this.#create(name, sizeOf(shape) * 4, STORAGE);
      device.queue.writeBuffer(slice.buffer, 0, new Float32Array(sizeOf(shape)).fill(value));
      this.#ofModel.set(name, slice);
    }
  }

  /** A buffer of the model, such as `bn1.running_mean`. */
  ofModel(name: string): BufferSlice {
    return this.#ofModel.get(name)!;
  }

  /** A buffer with these contents; the same name is the same buffer. */
  constant(name: string, values: Float32Array<ArrayBuffer>): BufferSlice {
    const slice = this.#constants.get(name) ?? this.#create(name, values.byteLength, STORAGE);
    this.#constants.set(name, slice);
    this.#device.queue.writeBuffer(slice.buffer, 0, values);
    return slice;
  }

  allocateArena(sizes: readonly number[]): void {
    this.#arena = sizes.map((size, i) => this.#create(`arena${i}`, size, STORAGE).buffer);
  }

  inArena({ buffer, offset, size }: RegionPlace): BufferSlice {
    return { buffer: this.#arena[buffer]!, offset, size };
  }

  /** Bytes of activations and gradients. */
  get arenaBytes(): number {
    return this.#arena.reduce((sum, { size }) => sum + size, 0);
  }

  /** Bytes of all buffers here; parameters, gradients and optimizer state are not among them. */
  get bytes(): number {
    return this.#all.reduce((sum, { size }) => sum + size, 0);
  }

  destroy(): void {
    for (const buffer of this.#all.splice(0)) buffer.destroy();
  }

  #create(name: string, size: number, usage: number): BufferSlice & { readonly size: number } {
    const label = `${this.#label}.${name}`;
    return { ...this.#keep(this.#device.createBuffer({ label, size, usage: usage | COPY_SRC! | COPY_DST! })), size };
  }

  #keep(buffer: GPUBuffer): BufferSlice {
    this.#all.push(buffer);
    return { buffer };
  }
}
