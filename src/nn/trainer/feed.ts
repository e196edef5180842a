/**
 * Where batches come from. A data set that fits lies on the GPU whole, and an epoch is another order of it. Of a larger one a part
 * lies there, some batches in the epoch's order; while the GPU works on it, the host reads the next. The batches are the same.
 */
import type { BufferSlice } from "../../engine/options.ts";
import { OptionError } from "../../errors.ts";
import { resolveLimits } from "../../host/limits.ts";
import { inScopes } from "../../host/scopes.ts";
import type { TensorSource } from "../compile.ts";
import type { Dispatch } from "../dispatch.ts";
import type { Plan } from "../plan.ts";
import {
  countSamples,
  type DataSet,
  type DataSource,
  isSource,
  type PackedRows,
  pack,
  type RowLayout,
  takeRows,
  wordsOf,
} from "./data.ts";
import { gatherImages, gatherRowsOf, type ImageChanges } from "./gather.ts";

const [COPY_DST, STORAGE] = [0x8, 0x80];

/** Bytes of a part of what does not fit: some milliseconds of copying. */
const PART_BYTES = 8 * 2 ** 20;

/** How a feed is made. */
export interface FeedOptions {
  readonly plan: Plan<TensorSource>;
  readonly data: DataSet | DataSource;
  readonly layout: RowLayout;
  readonly changes: ImageChanges | undefined;
  readonly training: boolean;
  /** The short batch at the end of an epoch is left out. */
  readonly dropLast: boolean;
  /** What is larger does not stay on the GPU. */
  readonly residentBytes: number;
  /** The order of an epoch. */
  readonly order: (epoch: number) => Uint32Array<ArrayBuffer>;
  readonly label: string;
  /** For messages: the function and the option. */
  readonly where: readonly [string, string];
}

/** A batch: what `plan.select` and `plan.encode` are given. */
export interface FedBatch {
  readonly first: number;
  readonly count: number;
  readonly dispatches: readonly Dispatch[];
}

export class Feed {
  /** Samples, and batches of an epoch. */
  readonly count: number;
  readonly batches: number;
  readonly #options: FeedOptions;
  readonly #buffers: Buffers;
  /** In the memory of the host, where they do not stay on the GPU. */
  readonly #rows: PackedRows | undefined;
  /** Batches of a part; of a whole epoch where everything stays on the GPU. */
  readonly #batchesOfPart: number;
  #order: { readonly epoch: number; readonly samples: Uint32Array<ArrayBuffer> } | undefined;
  #present: string | undefined;
  #next: { readonly key: string; readonly rows: Promise<PackedRows> } | undefined;

  private constructor(options: FeedOptions, made: Made) {
    this.#options = options;
    this.#buffers = made.buffers;
    this.#rows = made.rows;
    this.#batchesOfPart = made.batchesOfPart;
    this.count = made.count;
    this.batches = made.batches;
  }

  /** @throws {OptionError} for data that do not fit the plan. @throws {DeviceError} @throws {ShaderError} */
  static async create(options: FeedOptions): Promise<Feed> {
    const { plan, data, layout, dropLast, residentBytes, label, where } = options;
    const { batchSize } = plan;
    const count = countSamples(...where, data, layout);
    const batches = dropLast ? Math.floor(count / batchSize) : Math.ceil(count / batchSize);
    const rows = isSource(data) ? undefined : pack(...where, data, layout);
    const targetIsBytes = rows?.targetIsBytes ?? false;
    const words = wordsOf(layout, targetIsBytes);
    const shared = rows !== undefined && rows.target === rows.input;
    const limit = Math.min(residentBytes, resolveLimits(plan.device).maxStorageBufferBindingSize);
    const largest = 4 * count * Math.max(words.input, words.storedTarget);
    const resident = rows !== undefined && largest <= limit;
    const batchBytes = 4 * batchSize * (words.input + words.storedTarget);
    const batchesOfPart = resident ? batches : Math.max(1, Math.min(batches, Math.floor(PART_BYTES / batchBytes)));
    const samples = resident ? count : batchesOfPart * batchSize;
    const operations = await operationsOf(options, targetIsBytes);
    const buffers = await inScopes(plan.device, "fit", () => {
      const create = (name: string, size: number): GPUBuffer =>
        plan.device.createBuffer({ label: `${label}.${name}`, size: 4 * size, usage: STORAGE! | COPY_DST! });
      const input = create("samples", samples * words.input);
      const target = shared ? input : create("targets", samples * words.storedTarget);
      const order = create("order", samples);
      const dispatches = operations.map((on) =>
        on({ samples: { buffer: input }, targets: { buffer: target }, order: { buffer: order } }),
      );
      return { input, target, order, dispatches };
    });
    const feed = new Feed(options, { count, batches, rows: resident ? undefined : rows, batchesOfPart, buffers });
    if (resident) feed.#write(rows);
    // The order of an epoch is written when it begins; parts lie in it already.
    else
      plan.device.queue.writeBuffer(
        buffers.order,
        0,
        Uint32Array.from({ length: samples }, (_, k) => k),
      );
    return feed;
  }

  /** Everything lies on the GPU. */
  get isResident(): boolean {
    return this.#rows === undefined && !isSource(this.#options.data);
  }

  /** Makes a batch ready. How many of the next ones are ready with it: `left`. */
  async ready(epoch: number, batch: number): Promise<{ readonly left: number }> {
    const part = Math.floor(batch / this.#batchesOfPart);
    const key = `${epoch}.${part}`;
    if (this.#present !== key) {
      if (this.isResident) this.#options.plan.device.queue.writeBuffer(this.#buffers.order, 0, this.#samples(epoch));
      else {
        const next = this.#next?.key === key ? this.#next.rows : this.#read(epoch, part);
        this.#next = undefined;
        this.#write(await next);
      }
      this.#present = key;
    }
    return { left: Math.min(this.batches, (part + 1) * this.#batchesOfPart) - batch };
  }

  /** Reads the part behind that of this batch, which the GPU is busy with; but no further than so many epochs go. */
  prefetch(epoch: number, batch: number, epochs: number): void {
    if (this.isResident || this.#next) return;
    const part = Math.floor(batch / this.#batchesOfPart) + 1;
    const last = part * this.#batchesOfPart >= this.batches;
    const [e, p] = last ? [epoch + 1, 0] : [epoch, part];
    // A part that is all there is stays what it is, unless the next epoch has another order.
    if (e >= epochs) return;
    const rows = this.#read(e, p);
    // Whoever needs it awaits it.
    rows.catch(() => {});
    this.#next = { key: `${e}.${p}`, rows };
  }

  /** A batch that is ready. */
  batch(batch: number): FedBatch {
    const { batchSize } = this.#options.plan;
    const count = Math.min(batchSize, this.count - batch * batchSize);
    const first = (batch % this.#batchesOfPart) * batchSize;
    return { first, count, dispatches: this.#buffers.dispatches };
  }

  destroy(): void {
    for (const buffer of [this.#buffers.input, this.#buffers.target, this.#buffers.order]) buffer.destroy();
  }

  #samples(epoch: number): Uint32Array<ArrayBuffer> {
    if (this.#order?.epoch !== epoch) this.#order = { epoch, samples: this.#options.order(epoch) };
    return this.#order.samples;
  }

  async #read(epoch: number, part: number): Promise<PackedRows> {
    const { plan, data, layout, where } = this.#options;
    const size = this.#batchesOfPart * plan.batchSize;
    const indices = this.#samples(epoch).subarray(part * size, (part + 1) * size);
    if (this.#rows) return takeRows(this.#rows, layout, indices);
    const read = await (data as DataSource).read(indices);
    const rows = pack(where[0], `${where[1]}.read()`, read, layout);
    if (rows.count !== indices.length)
      throw new OptionError(where[0], `${where[1]}.read()`, `must give ${indices.length} samples`, rows.count);
    if (rows.targetIsBytes) throw new OptionError(where[0], `${where[1]}.read().target`, "must be floats", read.target);
    return rows;
  }

  /** In the order of the queue: what was submitted before works on what was there before. */
  #write({ input, target }: PackedRows): void {
    const { queue } = this.#options.plan.device;
    queue.writeBuffer(this.#buffers.input, 0, input);
    if (this.#buffers.target !== this.#buffers.input) queue.writeBuffer(this.#buffers.target, 0, target);
  }
}

interface Buffers {
  readonly input: GPUBuffer;
  readonly target: GPUBuffer;
  readonly order: GPUBuffer;
  readonly dispatches: readonly Dispatch[];
}

interface Made extends Pick<Feed, "count" | "batches"> {
  readonly rows: PackedRows | undefined;
  readonly batchesOfPart: number;
  readonly buffers: Buffers;
}

type Bind = (data: Readonly<Record<"samples" | "targets" | "order", BufferSlice>>) => Dispatch;

/** The kernels that make a batch. */
async function operationsOf(options: FeedOptions, targetIsBytes: boolean): Promise<Bind[]> {
  const { plan, layout, changes, training, label } = options;
  const words = wordsOf(layout, targetIsBytes);
  const { device, rows, batch, random, input, target } = plan;
  const [copy, images] = await Promise.all([
    gatherRowsOf(device, `${label}.gather`, {
      rows,
      inputWords: changes ? 0 : words.input,
      targetWords: words.target,
      targetFeatures: layout.targetFeatures,
      targetBytes: targetIsBytes ? layout.targetBytes : undefined,
    }),
    changes && gatherImages(device, `${label}.images`, { ...changes, rows, bytes: layout.input === "bytes", training }),
  ]);
  const binds: Bind[] = [(data) => copy.on({ ...data, batch, input, target })];
  if (images) binds.push((data) => images.on({ ...data, batch, random, input }));
  return binds;
}
