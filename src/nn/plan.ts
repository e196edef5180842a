/** What `compile` makes: buffers, and the kernels of a training step and of an evaluation in their order. */
import { checkKeys, checkNumber } from "../engine/checks.ts";
import type { Optimizer } from "../engine/optimizer.ts";
import type { BufferSlice } from "../engine/options.ts";
import { LifecycleError, OptionError } from "../errors.ts";
import { type BatchRecord, decodeRecords, RECORD_BYTES } from "./batch.ts";
import type { TensorSource } from "./compile.ts";
import { type Dispatch, encodeDispatches } from "./dispatch.ts";
import type { TargetKind } from "./loss.ts";
import type { Model } from "./model.ts";
import { checkIndices, type PackedKind, packIndices, packRows, unpackRows, wholeSamples } from "./packing.ts";
import type { PlanBuffers } from "./plan-buffers.ts";
import { readSlices } from "./read-slices.ts";
import { sizeOf, timesOf } from "./shape.ts";

/** What a batch is; the host writes it before each step, in one call. */
export interface BatchChoice {
  /** Samples in it, at most the capacity; default what `write` was given last, or else the capacity. */
  readonly count?: number;
  /** Position of its first sample in the order that a gathering kernel reads; default 0. */
  readonly first?: number;
  /** Which record its loss goes to; default 0. */
  readonly slot?: number;
  /** What dropout hashes, beside the layer and the element: one seed for a run, and the number of the step. Default 0. */
  readonly seed?: number;
  readonly step?: number;
}

/** A list of kernels with its results. */
export interface PlanList {
  readonly dispatches: readonly Dispatch[];
  /** Those of them that lead to the output. */
  readonly forward: readonly Dispatch[];
  readonly output: BufferSlice;
  /** Of the training step, if `compile` was asked for it. */
  readonly inputGradient: BufferSlice | undefined;
}

/** Lists of a plan. */
export interface PlanLists {
  readonly train: PlanList;
  readonly evaluate: PlanList;
}

/** @internal */
export interface PlanParts<Source> extends PlanLists {
  readonly model: Model;
  readonly batchSize: number;
  readonly rows: number;
  readonly source: Source;
  readonly buffers: PlanBuffers;
  readonly ownsSource: boolean;
}

const CHOICE = ["count", "first", "slot", "seed", "step"];

/**
 * A model on a device. A training step is
 *
 *     plan.select({ count, slot });                               // one writeBuffer
 *     optimizer.step((encoder) => plan.encode(encoder));          // one submission: forward, loss, backward, update
 *
 * and allocates nothing. What puts a batch into `input` and `target` may run before it in the same submission.
 */
export class Plan<Source extends TensorSource = Optimizer> {
  readonly device: GPUDevice;
  readonly model: Model;
  /** Where parameters and gradients lie; the optimizer, if there is one. */
  readonly optimizer: Source;
  /** Most samples of a batch, and that rounded up to a multiple of 8. */
  readonly batchSize: number;
  readonly rows: number;
  /** `[rows, features]` floats, a row a whole number of vec4f; of bytes or tokens likewise, 4 to a `u32` or `vec4u`. */
  readonly input: BufferSlice;
  /** A `u32` class for each row (or each time of it), or floats as the output has them. */
  readonly target: BufferSlice;
  /** Uniform `struct Batch`. */
  readonly batch: BufferSlice;
  /** Uniform of two `u32`: seed and step. */
  readonly random: BufferSlice;
  /** What `input` and `target` consist of. */
  readonly kinds: { readonly input: PackedKind; readonly target: TargetKind };
  /** Loss and predicted class of each row. */
  readonly outcomes: BufferSlice;
  /** For each slot the mean loss (f32), right predictions, count, right among the 5 most likely (u32). */
  readonly records: BufferSlice;
  /** Forward, loss and backward. */
  readonly train: PlanList;
  /** Forward as in evaluation, and loss. */
  readonly evaluate: PlanList;
  readonly #buffers: PlanBuffers;
  readonly #ownsSource: boolean;
  /** Both uniforms, as they lie in their buffer. */
  readonly #words = new Uint32Array(68);
  readonly #limits: Readonly<Record<keyof BatchChoice, number>>;
  /** Samples that `write` was given last. */
  #written: number;
  /** Samples of the batch that was evaluated last. */
  #evaluated: number;
  #destroyed = false;

  /** @internal */
  constructor(device: GPUDevice, parts: PlanParts<Source>) {
    const { buffers } = parts;
    this.device = device;
    this.model = parts.model;
    this.optimizer = parts.source;
    this.batchSize = parts.batchSize;
    this.rows = parts.rows;
    this.input = buffers.input;
    this.target = buffers.target;
    this.batch = buffers.batch;
    this.random = buffers.random;
    this.kinds = buffers.kinds;
    this.outcomes = buffers.outcomes;
    this.records = buffers.records;
    this.train = parts.train;
    this.evaluate = parts.evaluate;
    this.#buffers = buffers;
    this.#ownsSource = parts.ownsSource;
    this.#written = parts.batchSize;
    this.#evaluated = parts.batchSize;
    const [word, slots] = [2 ** 32 - 1, this.#slots];
    this.#limits = { count: parts.batchSize, first: word, slot: slots - 1, seed: word, step: word };
    this.select({});
  }

  /** Bytes of activations and gradients, and of all buffers of the plan; parameters and optimizer state come on top. */
  get bytes(): { readonly arena: number; readonly all: number } {
    return { arena: this.#buffers.arenaBytes, all: this.#buffers.bytes };
  }

  /**
   * Says which batch the next submission works on: one `writeBuffer`.
   *
   * @throws {OptionError} for what is no whole number, or too large: a batch for the capacity, a slot for `slots` of `compile`.
   */
  select(choice: BatchChoice): void {
    this.#alive();
    checkKeys("plan", "", choice, CHOICE);
    const { count = this.#written, first = 0, slot = 0, seed = 0, step = 0 } = choice as BatchChoice;
    for (const [name, value] of Object.entries({ count, first, slot, seed, step }))
      checkNumber("plan", name, value, {
        min: name === "count" ? 1 : 0,
        max: this.#limits[name as keyof BatchChoice],
        whole: true,
      });
    const words = this.#words;
    words[0] = first;
    words[1] = count;
    words[2] = slot;
    words[64] = seed;
    words[65] = step;
    this.device.queue.writeBuffer(this.batch.buffer, 0, words);
  }

  /** Records forward, loss and backward; `before` runs first, in the same pass. */
  encode(encoder: GPUCommandEncoder, before: readonly Dispatch[] = []): void {
    this.#alive();
    encodeDispatches(encoder, "nn.train", before, this.train.dispatches);
  }

  /** Records forward as in evaluation, and loss. */
  encodeEvaluation(encoder: GPUCommandEncoder, before: readonly Dispatch[] = []): void {
    this.#alive();
    encodeDispatches(encoder, "nn.evaluate", before, this.evaluate.dispatches);
    this.#evaluated = this.#words[1]!;
  }

  /**
   * Writes a batch from the host: for trying things out, and for data that does not fit the GPU.
   *
   * @param input samples one after the other, at most the capacity: floats, bytes or tokens, as the plan takes them
   * @param target a class for each sample (or each time of it), or the values wanted
   * @throws {OptionError} before anything is written, for other lengths, and for tokens and classes that do not exist.
   */
  write(input: ArrayLike<number>, target?: ArrayLike<number>): void {
    this.#alive();
    const { model, rows, device } = this;
    const { input: kind, target: targets } = this.kinds;
    const samples = wholeSamples("plan", "input", input, sizeOf(model.input), this.batchSize);
    if (kind === "tokens") checkIndices("plan", "input", input, model.vocabulary);
    const packedInput = packRows(kind, input, rows, sizeOf(model.input));
    const packedTarget = target && this.#packTarget(targets, target, samples);
    device.queue.writeBuffer(this.input.buffer, 0, packedInput);
    if (packedTarget) device.queue.writeBuffer(this.target.buffer, 0, packedTarget);
    this.#written = samples;
  }

  #packTarget(kind: TargetKind, target: ArrayLike<number>, samples: number) {
    const { output } = this.model;
    const features = kind === "values" ? sizeOf(output) : timesOf(output);
    if (target.length !== samples * features)
      throw new OptionError(
        "plan",
        "target.length",
        `must be ${features} for each of ${samples} samples`,
        target.length,
      );
    if (kind === "values") return packRows("floats", target, this.rows, features);
    return packIndices("plan", "target", target, output.at(-1)!);
  }

  /** One training step on the batch that lies in `input` and `target`. */
  step(this: Plan<Optimizer>, choice: BatchChoice = {}, before: readonly Dispatch[] = []): void {
    this.select(choice);
    this.optimizer.step((encoder) => this.encode(encoder, before));
  }

  /** Evaluates the batch that lies in `input` and `target`: outcomes, record and output are those of evaluation. */
  evaluateBatch(choice: BatchChoice = {}, before: readonly Dispatch[] = []): void {
    this.select(choice);
    const encoder = this.device.createCommandEncoder({ label: "nn.evaluate" });
    this.encodeEvaluation(encoder, before);
    this.device.queue.submit([encoder.finish()]);
  }

  /**
   * What the model makes of samples, however many there are: as in evaluation, a batch at a time, all submitted before this
   * returns. They take the place of what `write` was given last.
   *
   * @returns their outputs, one after the other
   * @throws {OptionError} as `write` does.
   */
  async predict(input: ArrayLike<number>): Promise<Float32Array<ArrayBuffer>> {
    this.#alive();
    const features = sizeOf(this.model.input);
    const count = wholeSamples("plan", "input", input, features);
    const parts: Promise<Float32Array>[] = [];
    for (let first = 0; first < count; first += this.batchSize) {
      const range = [first * features, Math.min(count, first + this.batchSize) * features] as const;
      this.write(
        ArrayBuffer.isView(input)
          ? (input as Uint8Array | Float32Array).subarray(...range)
          : Array.prototype.slice.call(input, ...range),
      );
      this.evaluateBatch();
      parts.push(this.readOutput());
    }
    const all = new Float32Array(count * sizeOf(this.model.output));
    let at = 0;
    for (const part of await Promise.all(parts)) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** The record of a slot, of what has been submitted so far. */
  async readRecord(slot = 0): Promise<BatchRecord> {
    const [record] = await this.readRecords(slot);
    return record!;
  }

  /** The records of `count` slots from `first` on. */
  async readRecords(first = 0, count = 1): Promise<BatchRecord[]> {
    this.#alive();
    checkNumber("readRecords", "first", first, { min: 0, max: this.#slots - 1, whole: true });
    checkNumber("readRecords", "count", count, { min: 1, max: this.#slots - first, whole: true });
    const range = { ...this.records, offset: first * RECORD_BYTES, size: count * RECORD_BYTES };
    const [words] = (await readSlices(this.device, [range])) as [ArrayBuffer];
    return decodeRecords(words);
  }

  get #slots(): number {
    return this.records.size! / RECORD_BYTES;
  }

  /** Output of the last evaluation, `count` samples one after the other; default those of its batch. */
  async readOutput(count = this.#evaluated): Promise<Float32Array<ArrayBuffer>> {
    this.#alive();
    checkNumber("readOutput", "count", count, { min: 0, max: this.batchSize, whole: true });
    const [words] = (await readSlices(this.device, [this.evaluate.output])) as [ArrayBuffer];
    return unpackRows(new Float32Array(words), count, sizeOf(this.model.output));
  }

  /** Gradient of a parameter, as the last training step has left it: before clipping. */
  async readGradient(name: string): Promise<Float32Array<ArrayBuffer>> {
    this.#alive();
    const [words] = (await readSlices(this.device, [this.optimizer.tensor(name).grad])) as [ArrayBuffer];
    return new Float32Array(words);
  }

  /** Running statistics and other buffers of the model, by name. */
  async readBuffers(): Promise<Record<string, Float32Array<ArrayBuffer>>> {
    this.#alive();
    const names = this.model.buffers.map(({ name }) => name);
    const read = await readSlices(
      this.device,
      names.map((name) => this.#buffers.ofModel(name)),
    );
    return Object.fromEntries(names.map((name, i) => [name, new Float32Array(read[i]!)]));
  }

  /** @throws {OptionError} before anything is written, unless these are all buffers of the model in their sizes. */
  writeBuffers(values: Readonly<Record<string, Float32Array>>): void {
    this.#alive();
    const { buffers } = this.model;
    checkKeys(
      "writeBuffers",
      "values",
      values,
      buffers.map(({ name }) => name),
    );
    for (const { name, shape } of buffers) {
      const { length } = values[name] ?? [];
      checkNumber("writeBuffers", `values["${name}"].length`, length, { min: sizeOf(shape), max: sizeOf(shape) });
    }
    for (const { name } of buffers)
      this.device.queue.writeBuffer(this.#buffers.ofModel(name).buffer, 0, values[name] as Float32Array<ArrayBuffer>);
  }

  /** Frees the buffers of the plan, and the optimizer if `compile` has made it. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#buffers.destroy();
    if (this.#ownsSource) (this.optimizer as unknown as Optimizer).destroy();
  }

  #alive(): void {
    if (this.#destroyed) throw new LifecycleError("plan: it is destroyed");
  }
}
