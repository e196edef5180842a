/**
 * A ring of mappable buffers through which figures come back. Nothing waits: when every buffer is still on its way, a reading is
 * dropped and counted.
 */
const MAP_READ = 0x1;
const COPY_DST = 0x8;
const SLOTS = 4;
// Firefox notices finished work only every 100 ms; any submission makes it look (bugzilla 1870699). Elsewhere it gains nothing.
const KICK_AFTER_MS = 4;

interface Slot {
  readonly buffer: GPUBuffer;
  busy: boolean;
}

/** Reads `size` bytes of a buffer, again and again. */
export class ReadbackRing {
  /** Readings for which no buffer was free. */
  dropped = 0;
  readonly #device: GPUDevice;
  readonly #slots: Slot[];
  readonly #onData: (words: ArrayBuffer) => void;
  readonly #pending = new Set<Promise<void>>();
  #destroyed = false;

  constructor(device: GPUDevice, label: string, size: number, onData: (words: ArrayBuffer) => void) {
    this.#device = device;
    this.#onData = onData;
    this.#slots = Array.from({ length: SLOTS }, (_, i) => ({
      buffer: device.createBuffer({ label: `${label} readback ${i}`, size, usage: MAP_READ | COPY_DST }),
      busy: false,
    }));
  }

  /**
   * Records a copy of `source` and returns what must be called once it has been submitted; undefined where no buffer is free.
   */
  copy(encoder: GPUCommandEncoder, source: GPUBuffer): (() => void) | undefined {
    const slot = this.#slots.find((s) => !s.busy);
    if (!slot) {
      this.dropped++;
      return undefined;
    }
    slot.busy = true;
    encoder.copyBufferToBuffer(source, 0, slot.buffer, 0, slot.buffer.size);
    return () => {
      const read = this.#read(slot).finally(() => this.#pending.delete(read));
      this.#pending.add(read);
    };
  }

  async #read(slot: Slot): Promise<void> {
    const mapped = slot.buffer.mapAsync(MAP_READ);
    const stopKicking = this.#kick();
    try {
      await mapped;
      if (this.#destroyed) return;
      const data = slot.buffer.getMappedRange().slice(0);
      slot.buffer.unmap();
      slot.busy = false;
      this.#onData(data);
    } catch (error) {
      // The buffer was destroyed or the device lost: there is nobody to read for. Anything else is a fault.
      if (!(error instanceof DOMException)) throw error;
    } finally {
      stopKicking();
    }
  }

  #kick(): () => void {
    if (!globalThis.navigator?.userAgent?.includes("Firefox")) return () => {};
    const timer = setInterval(() => this.#device.queue.submit([]), KICK_AFTER_MS);
    return () => clearInterval(timer);
  }

  /** Resolves when every reading under way has arrived. */
  async settle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  destroy(): void {
    this.#destroyed = true;
    for (const { buffer } of this.#slots) buffer.destroy();
  }
}
