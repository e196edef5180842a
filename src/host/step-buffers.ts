/** What steps read and write beside parameters, gradients and state: headers, tables, records, and what the device counts. */
import {
  CONTROL,
  FIGURES,
  type FieldName,
  HEADER,
  TENSOR_CONTROL,
  TENSOR_FIGURES,
  TENSOR_NUMBERS,
  Words,
} from "../kernels/layouts.ts";
import type { BufferRange, Memory, Tensor } from "./memory.ts";
import { extraBegin } from "./state-layout.ts";
import type { StepOptions } from "./step-options.ts";

/** Steps that can be encoded into one submission. */
export const HEADER_SLOTS = 64;
export const HEADER_STRIDE = 256;
const STEP_WORD: number = /* @__PURE__ */ HEADER.findIndex(([name]) => name === "step");
const RECORD_MASK_WORD: number = /* @__PURE__ */ HEADER.findIndex(([name]) => name === "record_mask");
const WINDOW_STRIDE = 256;

const UNIFORM = 0x40;
const STORAGE = 0x80;
const COPY_SRC = 0x4;
const COPY_DST = 0x8;
const QUERY_RESOLVE = 0x200;

/** The buffers of an optimizer's steps, and what is written to them. */
export class StepBuffers {
  readonly #device: GPUDevice;
  readonly #memory: Memory;
  readonly #options: StepOptions;
  /** By step, one after the other, and then from the beginning. */
  readonly headers: GPUBuffer;
  readonly #headerWords = new Words(HEADER.length);
  readonly #scaler: GPUBuffer;
  /** By rule. */
  readonly #records: GPUBuffer[] = [];
  readonly #stepRows: GPUBuffer[] = [];
  #table!: GPUBuffer;
  #tableStaging!: GPUBuffer;
  #tableWords!: Uint32Array<ArrayBuffer>;
  #tableSlot = 0;
  #tableCopy: number | undefined;
  #windows!: GPUBuffer;
  #partials!: GPUBuffer;
  /** `struct Control`: what the device has decided and counted. */
  control!: GPUBuffer;
  /** `struct Figures` of the newest monitored step; with timing, its timestamps at the end. */
  figures!: GPUBuffer;
  /** Counts on when a buffer is replaced: bind groups of before are no longer right. */
  generation = 0;
  /** Steps in encoders of the caller's since the last submission of our own. */
  #lent = 0;
  /** Buffers that such steps may read, and how many of these there were when they were replaced. */
  #replaced: { buffer: GPUBuffer; lent: number }[] = [];

  constructor(device: GPUDevice, memory: Memory, options: StepOptions) {
    this.#device = device;
    this.#memory = memory;
    this.#options = options;
    // The control stage binds a loss scale, used or not.
    this.#scaler = options.scaler ?? this.#buffer("no loss scale", 32, STORAGE);
    this.headers = this.#buffer("headers", HEADER_SLOTS * HEADER_STRIDE, UNIFORM | COPY_DST);
    this.layOut();
  }

  /** Makes what depends on the number of tensors and chunks; keeps what the device has counted for the tensors of before. */
  layOut(): void {
    const { tensors, chunks, windows } = this.#memory;
    const old = this.control;
    for (const buffer of [this.#table, this.#tableStaging, this.#windows, this.#partials, this.figures])
      buffer?.destroy();

    const rows = tensors.length + 1;
    this.#tableWords = new Uint32Array(rows * 4);
    tensors.forEach((t, k) => {
      this.#tableWords.set([t.group, 0, 1, t.firstChunk], k * 4);
    });
    this.#tableWords[tensors.length * 4 + 3] = chunks.length;
    const table = new Uint32Array((rows + chunks.length) * 4);
    table.set(this.#tableWords);
    chunks.forEach((c, i) => {
      table.set([c.tensor, c.first, c.count, c.from], (rows + i) * 4);
    });
    this.#table = this.#buffer("table", table.byteLength, STORAGE | COPY_DST);
    this.#device.queue.writeBuffer(this.#table, 0, table);
    this.#tableStaging = this.#buffer("table staging", this.#tableWords.byteLength * HEADER_SLOTS, COPY_SRC | COPY_DST);
    this.#tableCopy = undefined;

    this.#windows = this.#buffer("windows", WINDOW_STRIDE * Math.max(1, windows.length), UNIFORM | COPY_DST);
    const words = new Uint32Array((WINDOW_STRIDE / 4) * windows.length);
    windows.forEach((w, i) => {
      words.set([w.chunkBegin, w.chunkEnd, w.stride / w.storage.lanes], (WINDOW_STRIDE / 4) * i);
    });
    this.#device.queue.writeBuffer(this.#windows, 0, words);

    const { measure, monitors, clipsValue, workgroup, rules, timer } = this.#options;
    const sums = measure !== undefined || rules.some((r) => r.prepares || r.cautiousUpdates);
    const regions = monitors ? (clipsValue ? 3 : 2) : sums ? 1 : 0;
    this.#partials = this.#buffer("partials", regions * chunks.length * workgroup * 16, STORAGE);
    const figures = (FIGURES.length + TENSOR_FIGURES.length * tensors.length) * 4;
    this.figures = timer
      ? this.#buffer("figures", timer.sizeWith(figures), STORAGE | COPY_SRC | QUERY_RESOLVE)
      : this.#buffer("figures", figures, STORAGE | COPY_SRC);

    const control = new Words(CONTROL.length + TENSOR_CONTROL.length * tensors.length);
    control.write(CONTROL, 0, { loss_scale: 1, clip: 1 });
    tensors.forEach((tensor, k) => {
      control.write(TENSOR_CONTROL, CONTROL.length + k * TENSOR_CONTROL.length, this.initialControl(tensor));
    });
    this.control = this.#buffer("control", control.u32.byteLength, STORAGE | COPY_SRC | COPY_DST);
    this.#device.queue.writeBuffer(this.control, 0, control.u32);
    if (old) {
      const encoder = this.#device.createCommandEncoder({ label: `${this.#options.label} lay out` });
      encoder.copyBufferToBuffer(old, 0, this.control, 0, old.size);
      this.#device.queue.submit([encoder.finish()]);
      old.destroy();
    }
    this.generation += 1;
  }

  /** What `TensorControl` of a tensor begins with. */
  initialControl(tensor: Tensor): Partial<Record<FieldName<typeof TENSOR_CONTROL>, number>> {
    const { size, rule } = tensor;
    const { rules, roundingKey, unscale } = this.#options;
    const numbers = rules[rule]?.numbersOf?.(tensor) ?? [];
    const named = Object.fromEntries(numbers.map((n, i) => [TENSOR_NUMBERS[i] as string, n]));
    const begin = extraBegin(tensor);
    const extra = tensor.extra > 0 ? { extra: begin, units: begin + tensor.unitsAt, unit_size: tensor.unitSize } : {};
    const factored = rules[rule]?.factored?.(tensor);
    const rounding = roundingKey?.(tensor.name) ?? 0;
    return { factor: unscale, size, rule, rounding, ...extra, ...factored, ...named };
  }

  /** Those that stages bind whole, by the names of bindings. */
  ofRule(rule: number): Record<string, GPUBuffer> {
    return {
      table: this.#table,
      records: this.#records[rule] as GPUBuffer,
      step_rows: this.#stepRows[rule] as GPUBuffer,
      control: this.control,
      partials: this.#partials,
      figures: this.figures,
      scaler: this.#scaler,
    };
  }

  /** `struct Window` of the window with this index. */
  windowRecord(index: number): BufferRange {
    return { buffer: this.#windows, offset: index * WINDOW_STRIDE, size: WINDOW_STRIDE };
  }

  /** Whether steps may wait in encoders of the caller's: what they are going to read must not be written over. */
  get lends(): boolean {
    return this.#lent > 0;
  }

  /** The step just encoded is in an encoder of the caller's, where at most `HEADER_SLOTS` steps wait. */
  lend(): void {
    this.#lent += 1;
    while (this.#lent - (this.#replaced[0]?.lent ?? Infinity) >= HEADER_SLOTS) this.#replaced.shift()?.buffer.destroy();
  }

  /** Every step has been submitted. */
  settle(): void {
    this.#lent = 0;
    for (const { buffer } of this.#replaced.splice(0)) buffer.destroy();
  }

  /** A new buffer in the place of `old`, which lives on as long as steps may read it. */
  #replace(old: GPUBuffer | undefined, what: string, words: number): GPUBuffer {
    if (old && this.lends) this.#replaced.push({ buffer: old, lent: this.#lent });
    else old?.destroy();
    this.generation += 1;
    return this.#buffer(what, words * 4, STORAGE | COPY_DST);
  }

  /** A new ring of `rows` rows, each of the groups' records for a rule: `words` words. */
  resizeRecords(rule: number, rows: number, words: number): void {
    this.#records[rule] = this.#replace(this.#records[rule], "records", rows * words);
  }

  /** Room for a rule's rows by step count, which are to be laid out anew. */
  resizeStepRows(rule: number, words: number): void {
    const old = this.#stepRows[rule];
    if (old && old.size >= words * 4 && !this.lends) return;
    this.#stepRows[rule] = this.#replace(old, "step rows", words);
  }

  /** What the headers of the coming steps have in common. */
  setHeader(values: Parameters<Words["write"]>[2]): void {
    this.#headerWords.write(HEADER, 0, values);
  }

  /** Writes the header of step `step`. */
  writeHeader(slot: number, step: number, recordRows: number): void {
    const { u32 } = this.#headerWords;
    u32[STEP_WORD] = step;
    u32[RECORD_MASK_WORD] = recordRows - 1;
    this.#device.queue.writeBuffer(this.headers, slot * HEADER_STRIDE, u32);
  }

  writeRecords(rule: number, row: number, words: Words): void {
    this.#device.queue.writeBuffer(this.#records[rule] as GPUBuffer, row * words.u32.byteLength, words.u32);
  }

  writeStepRows(rule: number, at: number, words: Float32Array<ArrayBuffer>): void {
    this.#device.queue.writeBuffer(this.#stepRows[rule] as GPUBuffer, at * 4, words);
  }

  /**
   * Says for every tensor its group, its lag and whether it takes part. It takes effect in the next encoded step, in the order of
   * the commands: a copy from a staging slot, since a write would reach steps encoded earlier into the same submission.
   */
  setTensors(rows: readonly { group: number; lag: number; takesPart: boolean }[]): void {
    rows.forEach((r, k) => {
      this.#tableWords.set([r.group, r.lag >>> 0, Number(r.takesPart)], k * 4);
    });
    this.#tableSlot = (this.#tableSlot + 1) % HEADER_SLOTS;
    this.#tableCopy = this.#tableSlot * this.#tableWords.byteLength;
    this.#device.queue.writeBuffer(this.#tableStaging, this.#tableCopy, this.#tableWords);
  }

  /** Records the copy of what `setTensors` has said. */
  encodeTensors(encoder: GPUCommandEncoder): void {
    if (this.#tableCopy === undefined) return;
    encoder.copyBufferToBuffer(this.#tableStaging, this.#tableCopy, this.#table, 0, this.#tableWords.byteLength);
    this.#tableCopy = undefined;
  }

  #buffer(what: string, size: number, usage: number): GPUBuffer {
    return this.#device.createBuffer({ label: `${this.#options.label} ${what}`, size: Math.max(16, size), usage });
  }

  /** Frees what this has made. */
  destroy(): void {
    this.settle();
    for (const buffer of [
      this.headers,
      ...this.#records,
      ...this.#stepRows,
      this.#table,
      this.#tableStaging,
      this.#windows,
      this.#partials,
      this.control,
      this.figures,
    ]) {
      buffer?.destroy();
    }
    if (!this.#options.scaler) this.#scaler.destroy();
    this.generation += 1;
  }
}
