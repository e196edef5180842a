/** How long the device works on a pass. Loaded where it is asked for. */
import { OptionError } from "../errors.ts";

const TIMESTAMPS_BYTES = 16;
const RESOLVE_ALIGNMENT = 256;

/** @throws {OptionError} if the device has no timestamps. */
export function checkTiming(where: string, { features }: GPUDevice): void {
  if (!features.has("timestamp-query"))
    throw new OptionError(where, "monitor.timing", "needs a device with the feature timestamp-query", true);
}

/** Timestamps of the beginning and the end of a pass, which go to the end of a buffer. */
export class PassTimer {
  readonly writes: GPUComputePassTimestampWrites;
  readonly #querySet: GPUQuerySet;

  constructor(device: GPUDevice, label: string) {
    this.#querySet = device.createQuerySet({ label: `${label} timestamps`, type: "timestamp", count: 2 });
    this.writes = { querySet: this.#querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
  }

  /** The size of a buffer that holds `bytes` and the timestamps. */
  sizeWith(bytes: number): number {
    return Math.ceil(bytes / RESOLVE_ALIGNMENT) * RESOLVE_ALIGNMENT + TIMESTAMPS_BYTES;
  }

  /** Records what writes the timestamps of the pass before to the end of `buffer`. */
  resolve(encoder: GPUCommandEncoder, buffer: GPUBuffer): void {
    encoder.resolveQuerySet(this.#querySet, 0, 2, buffer, buffer.size - TIMESTAMPS_BYTES);
  }

  /**
   * Milliseconds between the timestamps at the end of `data`; null for what cannot be: drivers may give zeros, and ends that come
   * before beginnings.
   */
  milliseconds(data: ArrayBuffer): number | null {
    const [begin = 0n, end = 0n] = new BigUint64Array(data.slice(-TIMESTAMPS_BYTES));
    return begin === 0n || end < begin ? null : Number(end - begin) / 1e6;
  }

  destroy(): void {
    this.#querySet.destroy();
  }
}
