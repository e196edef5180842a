/**
 * Where tensors lie. Both ways of keeping parameters end as the same thing: regions of contiguous memory, cut into chunks of
 * one tensor each, and windows of chunks that one dispatch can bind.
 *
 *   arena     the engine owns flat buffers; each tensor is a segment, aligned to 256 bytes, its padding zero
 *   attached  each tensor is a region of its own in the caller's buffers
 *
 * State is always the engine's: per window, slot after slot.
 */
import { DeviceError } from "../errors.ts";
import type { Storage } from "../kernels/storage.ts";
import type { Limits } from "./limits.ts";
import { bytesOf, type NumberFormat, type TensorFormats } from "./number-format.ts";
import { BLOCK, slotsBegin } from "./state-layout.ts";

/** A range of a buffer, in bytes. */
export interface BufferRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** A tensor to be placed. `attached` says where the caller keeps it; without it the arena does. */
export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly size: number;
  readonly group: number;
  /** Which of the optimizer's rules it follows. */
  readonly rule: number;
  /** Place in the order in which tensors were given. */
  readonly order: number;
  /** Numbers of state that are not one per element; default none. */
  readonly extra?: number;
  /** Which of these are factors of adaptive clipping, and elements of a unit; 0 without. */
  readonly unitsAt?: number;
  readonly unitSize?: number;
  /** Its state is quantized in blocks. */
  readonly quantized?: boolean;
  readonly data?: Float32Array | undefined;
  readonly attached?: { param: BufferRange; grad: BufferRange } | undefined;
}

/** Part of a tensor that lies in one window. In elements. */
export interface Piece {
  readonly window: Window;
  /** First element in the tensor. */
  readonly from: number;
  /** First element in the window. */
  readonly at: number;
  readonly count: number;
}

/** A placed tensor. */
export interface Tensor {
  readonly index: number;
  readonly name: string;
  readonly shape: readonly number[];
  readonly size: number;
  group: number;
  readonly rule: number;
  readonly order: number;
  /** Its numbers of state that are not one per element: how many, and where they begin behind the slots of its window. */
  readonly extra: number;
  extraAt: number;
  readonly unitsAt: number;
  readonly unitSize: number;
  param: BufferRange;
  grad: BufferRange;
  readonly firstChunk: number;
  readonly pieces: Piece[];
  /** Lies in the caller's buffers. */
  readonly attached: boolean;
}

/** Chunks `chunkBegin` to `chunkEnd`, which one dispatch covers. Offsets and sizes in bytes. */
export interface Window {
  readonly storage: Storage;
  /** All its tensors follow this rule. */
  readonly rule: number;
  readonly chunkBegin: number;
  chunkEnd: number;
  param: BufferRange;
  grad: BufferRange;
  /** Where micro-batches are summed, with gradient accumulation. */
  sums?: BufferRange;
  state: BufferRange;
  /** Distance of two state slots, in elements. */
  stride: number;
  /** Elements of state behind the slots. */
  extra: number;
  /** Bit by slot: it is quantized. */
  readonly quantized: number;
}

/** A row of the chunk table: in packed elements. */
export interface Chunk {
  readonly tensor: number;
  readonly first: number;
  readonly count: number;
  /** Its first element in the tensor. */
  readonly from: number;
}

// Offsets of bindings must be multiples of this on every device.
const ALIGNMENT_BYTES = 256;
const ALIGNMENT = ALIGNMENT_BYTES / 4;
// GPUBufferUsage.STORAGE | COPY_SRC | COPY_DST; the global is not there in Node.
const STORAGE_USAGE = 0x80 | 0x4 | 0x8;

const align = (n: number, to = ALIGNMENT): number => Math.ceil(n / to) * to;

/** Formats that windows may have: four elements at a time; one, where a binding may end with any element; quantized state. */
export interface Storages {
  readonly four: Storage;
  readonly one?: Storage;
  readonly blocks?: Storage;
}

export interface MemoryOptions {
  readonly label: string;
  readonly limits: Limits;
  /** Elements per chunk; a multiple of 64. */
  readonly chunk: number;
  /** State slots per element, by rule. */
  readonly slots: readonly number[];
  /** By rule, a bit by slot: those that are quantized where tensors ask for it. */
  readonly quantized: readonly number[];
  readonly formats: TensorFormats;
  readonly storages: Storages;
  /** Whether sums of micro-batches are kept. */
  readonly accumulates: boolean;
}

/** All tensors of an optimizer and the buffers it made for them. */
export class Memory {
  readonly tensors: Tensor[] = [];
  readonly chunks: Chunk[] = [];
  readonly windows: Window[] = [];
  readonly buffers: GPUBuffer[] = [];
  readonly #device: GPUDevice;
  readonly #options: MemoryOptions;
  // Whom errors speak of; and what lies before, if this is an extension.
  readonly #where: string;
  readonly #tensorsBefore: number;
  readonly #chunksBefore: number;

  constructor(device: GPUDevice, where: string, options: MemoryOptions, before?: Memory) {
    this.#device = device;
    this.#where = where;
    this.#options = options;
    this.#tensorsBefore = before?.tensors.length ?? 0;
    this.#chunksBefore = before?.chunks.length ?? 0;
  }

  /** Memory for tensors to come, which count on from those that are here. It can be tried out before it is joined, or dropped. */
  extension(where: string): Memory {
    return new Memory(this.#device, where, this.#options, this);
  }

  /** All that its windows may be. */
  get storages(): Storage[] {
    return Object.values(this.#options.storages);
  }

  /** Takes over an extension, which must be one of what is here now. */
  join(extension: Memory): void {
    this.tensors.push(...extension.tensors);
    this.chunks.push(...extension.chunks);
    this.windows.push(...extension.windows);
    this.buffers.push(...extension.buffers);
  }

  /** Places tensors; those without buffers of their own share new arena buffers. */
  add(specs: readonly TensorSpec[]): void {
    const from = this.windows.length;
    const { limits, storages, formats } = this.#options;
    const widest = Math.max(formats.param.bytes, formats.grad.bytes);
    let arena: TensorSpec[] = [];
    let length = 0;
    const flush = (): void => {
      if (arena.length > 0) this.#addArena(arena, length);
      arena = [];
      length = 0;
    };
    for (const spec of specs) {
      if (spec.attached) {
        flush();
        const storage = spec.size % storages.four.lanes !== 0 && storages.one ? storages.one : storages.four;
        this.#addRegion(storage, spec.attached.param, spec.attached.grad, [{ spec, at: 0 }]);
        continue;
      }
      if (spec.size * widest > limits.maxBufferSize) {
        throw new DeviceError(
          `${this.#where}: ${spec.name} has ${spec.size * widest} bytes, a buffer of this device at most ${limits.maxBufferSize}`,
        );
      }
      const room = align(spec.size, this.#unitOf(spec));
      if ((length + room) * widest > limits.maxBufferSize) flush();
      arena.push(spec);
      length += room;
    }
    flush();
    this.#allocateState(this.windows.slice(from));
  }

  /** Gives an attached tensor other buffers. */
  attach(tensor: Tensor, param: BufferRange, grad: BufferRange): void {
    tensor.param = param;
    tensor.grad = grad;
    const { formats } = this.#options;
    for (const { window, from } of tensor.pieces) {
      const at = (range: BufferRange, format: NumberFormat, { size }: BufferRange): BufferRange => ({
        buffer: range.buffer,
        offset: range.offset + from * format.bytes,
        size,
      });
      window.param = at(param, formats.param, window.param);
      window.grad = at(grad, formats.grad, window.grad);
    }
  }

  #addArena(specs: readonly TensorSpec[], length: number): void {
    const { label, formats, storages } = this.#options;
    const room = Math.max(this.#unit, length);
    const size = room * formats.param.bytes;
    const params = this.#device.createBuffer({
      label: `${label} params`,
      size,
      usage: STORAGE_USAGE,
      mappedAtCreation: true,
    });
    const grads = this.#create("grads", room * formats.grad.bytes);
    this.buffers.push(params);
    const initial = new Uint8Array(params.getMappedRange());
    let at = 0;
    const placed = specs.map((spec) => {
      if (spec.data) {
        const { buffer, byteOffset, byteLength } = formats.param.encode(spec.data);
        initial.set(new Uint8Array(buffer, byteOffset, byteLength), at * formats.param.bytes);
      }
      const place = { spec, at };
      at += align(spec.size, this.#unitOf(spec));
      return place;
    });
    params.unmap();
    const whole = { buffer: grads, offset: 0, size: grads.size };
    this.#addRegion(storages.four, { buffer: params, offset: 0, size }, whole, placed);
  }

  /** Elements that a tensor's room is a multiple of, so that it begins where a binding may. */
  get #unit(): number {
    const { param, grad } = this.#options.formats;
    return ALIGNMENT_BYTES / Math.min(param.bytes, grad.bytes);
  }

  /** The same, with whole blocks. */
  #unitOf({ quantized }: TensorSpec): number {
    return quantized ? BLOCK : this.#unit;
  }

  /** Cuts a region into chunks and windows. */
  #addRegion(
    plain: Storage,
    param: BufferRange,
    grad: BufferRange,
    placed: readonly { spec: TensorSpec; at: number }[],
  ): void {
    const { limits, slots, formats, storages } = this.#options;
    // The state of a window is one binding, and lies in one buffer.
    const most = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
    const largestOf = (rule: number, chunk: number, quantized: number): number => {
      // What is not one number per element may take as much as a slot, and some.
      const extra = 3 * Number(placed.some(({ spec }) => spec.rule === rule && spec.extra));
      const ofRule = slotsBegin(1, quantized, slots[rule] ?? 0) + extra;
      const largest = Math.floor(most / 4 / Math.max(1, ofRule) / chunk) * chunk;
      if (largest === 0) {
        throw new DeviceError(
          `${this.#where}: a binding of ${most} bytes, the most of this device, cannot hold a chunk of ${chunk} elements in ${ofRule} slots`,
        );
      }
      return largest;
    };
    let window: Window | undefined;
    let begin = 0;
    for (const { spec, at } of placed) {
      const storage = spec.quantized && storages.blocks ? storages.blocks : plain;
      const quantized = spec.quantized ? (this.#options.quantized[spec.rule] ?? 0) : 0;
      const unit = this.#unitOf(spec);
      const chunk = align(this.#options.chunk, unit);
      const largest = largestOf(spec.rule, chunk, quantized);
      const tensor: Tensor = {
        index: this.#tensorsBefore + this.tensors.length,
        name: spec.name,
        shape: [...spec.shape],
        size: spec.size,
        group: spec.group,
        rule: spec.rule,
        order: spec.order,
        extra: spec.extra ?? 0,
        extraAt: 0,
        unitsAt: spec.unitsAt ?? 0,
        unitSize: spec.unitSize ?? 0,
        param: part(param, at * formats.param.bytes, bytesOf(formats, "param", spec.size)),
        grad: part(grad, at * formats.grad.bytes, bytesOf(formats, "grad", spec.size)),
        firstChunk: this.#chunksBefore + this.chunks.length,
        pieces: [],
        attached: spec.attached !== undefined,
      };
      this.tensors.push(tensor);
      // A tensor that fits into a window lies in one: a matrix must be had whole.
      const room = align(spec.size, unit);
      if (room <= largest && at + room - begin > largest) window = undefined;
      for (let from = 0; from < spec.size; from += chunk) {
        const count = Math.min(chunk, spec.size - from);
        const full = at + from + align(count, unit) - begin > largest;
        if (window === undefined || full || window.rule !== spec.rule || window.storage !== storage) {
          begin = at + from;
          window = {
            storage,
            rule: spec.rule,
            chunkBegin: this.#chunksBefore + this.chunks.length,
            chunkEnd: 0,
            param,
            grad,
            state: param,
            stride: 0,
            extra: 0,
            quantized,
          };
          this.windows.push(window);
        }
        this.chunks.push({
          tensor: tensor.index,
          first: (at + from - begin) / storage.lanes,
          count: Math.ceil(count / storage.lanes),
          from,
        });
        window.chunkEnd = this.#chunksBefore + this.chunks.length;
        window.stride = align(at + from - begin + count, unit);
        // An attached tensor's binding ends with the tensor; a segment's with its padding, which vec4 access may touch.
        const length = align(at + from - begin + count, this.#unit);
        window.param = part(param, begin * formats.param.bytes, length * formats.param.bytes);
        window.grad = part(grad, begin * formats.grad.bytes, length * formats.grad.bytes);
        const piece = tensor.pieces.at(-1);
        if (piece?.window === window)
          tensor.pieces[tensor.pieces.length - 1] = { ...piece, count: piece.count + count };
        else tensor.pieces.push({ window, from, at: at + from - begin, count });
      }
      const [piece, second] = tensor.pieces;
      if (tensor.extra > 0 && piece) {
        if (second) throw new DeviceError(`${this.#where}: ${spec.name} is too large for a binding of this device`);
        tensor.extraAt = piece.window.extra;
        piece.window.extra += align(tensor.extra);
      }
    }
  }

  /** State (and sums) of windows, in buffers as large as the device allows. */
  #allocateState(windows: readonly Window[]): void {
    const { slots, accumulates } = this.#options;
    this.#allocate(
      "state",
      windows,
      (w) => Math.max(ALIGNMENT, align(slotsBegin(w.stride, w.quantized, slots[w.rule] ?? 0)) + w.extra) * 4,
      (w, range) => {
        w.state = range;
      },
    );
    if (accumulates)
      this.#allocate(
        "sums",
        windows,
        (w) => w.stride * 4,
        (w, range) => {
          w.sums = range;
        },
      );
  }

  #allocate(
    what: string,
    windows: readonly Window[],
    bytes: (w: Window) => number,
    put: (w: Window, range: BufferRange) => void,
  ): void {
    let batch: { window: Window; offset: number; size: number }[] = [];
    let total = 0;
    const flush = (): void => {
      if (batch.length === 0) return;
      const buffer = this.#create(what, total);
      for (const { window, offset, size } of batch) put(window, { buffer, offset, size });
      batch = [];
      total = 0;
    };
    for (const window of windows) {
      const size = bytes(window);
      if (total + size > this.#options.limits.maxBufferSize) flush();
      batch.push({ window, offset: total, size });
      total += size;
    }
    flush();
  }

  #create(what: string, size: number): GPUBuffer {
    const buffer = this.#device.createBuffer({ label: `${this.#options.label} ${what}`, size, usage: STORAGE_USAGE });
    this.buffers.push(buffer);
    return buffer;
  }
}

/** `size` bytes of a range from byte `from` on, or as many as there are. */
function part({ buffer, offset, size: whole }: BufferRange, from: number, size: number): BufferRange {
  return { buffer, offset: offset + from, size: Math.min(size, whole - from) };
}
