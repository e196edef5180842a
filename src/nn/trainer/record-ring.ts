/** Brings batch records back: buffers that are filled in turn, in the submissions of the batches themselves. */
import { LifecycleError } from "../../errors.ts";
import { type BatchRecord, decodeRecords, RECORD_BYTES } from "../batch.ts";
import type { Plan } from "../plan.ts";

const [MAP_READ, COPY_DST] = [0x1, 0x8];
const MODE_READ = 1;

/** Where the records of some batches go. */
export interface RecordChunk {
  /** Records that the batch before in this encoder is the i-th. */
  copy(encoder: GPUCommandEncoder, i: number): void;
  /** When all have been submitted. */
  read(count: number): Promise<BatchRecord[]>;
}

export class RecordRing {
  readonly #plan: Plan;
  readonly #buffers: readonly GPUBuffer[];
  /** Of each buffer, until when it is taken. */
  readonly #taken: Promise<unknown>[];
  #turn = 0;

  constructor(plan: Plan, records: number, chunks: number) {
    this.#plan = plan;
    this.#buffers = Array.from({ length: chunks }, (_, i) => this.#create(`nn.records${i}`, records));
    this.#taken = this.#buffers.map(() => Promise.resolve());
  }

  /** The next buffer, when it is free. */
  async begin(): Promise<RecordChunk> {
    const turn = this.#turn++ % this.#buffers.length;
    await this.#taken[turn];
    const buffer = this.#buffers[turn]!;
    return {
      copy: this.#copyTo(buffer),
      read: (count) => {
        const read = readRecords(buffer, count).finally(() => buffer.unmap());
        this.#taken[turn] = read.catch(() => {});
        return read;
      },
    };
  }

  /** A buffer for this time only. */
  own(records: number): RecordChunk {
    const buffer = this.#create("nn.records", records);
    return { copy: this.#copyTo(buffer), read: (count) => readRecords(buffer, count).finally(() => buffer.destroy()) };
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }

  #create(label: string, records: number): GPUBuffer {
    const size = records * RECORD_BYTES;
    return this.#plan.device.createBuffer({ label, size, usage: MAP_READ! | COPY_DST! });
  }

  #copyTo(buffer: GPUBuffer): RecordChunk["copy"] {
    const { records } = this.#plan;
    return (encoder, i) => {
      encoder.copyBufferToBuffer(records.buffer, records.offset ?? 0, buffer, i * RECORD_BYTES, RECORD_BYTES);
    };
  }
}

async function readRecords(buffer: GPUBuffer, count: number): Promise<BatchRecord[]> {
  const bytes = count * RECORD_BYTES;
  await buffer.mapAsync(MODE_READ, 0, bytes).catch((cause) => {
    throw new LifecycleError("fit: the device was lost while losses were read", { cause });
  });
  return decodeRecords(buffer.getMappedRange(0, bytes).slice(0));
}
