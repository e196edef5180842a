/**
 * Other parameters for a while: those to evaluate take the place of those that are trained, which are kept and come back bit for
 * bit. Loaded only where there are such parameters.
 */
import type { BufferRange, Memory, Window } from "./memory.ts";

const COPY_SRC = 0x4;
const COPY_DST = 0x8;

/** Keeps the trained parameters. */
export class Evaluation {
  readonly #device: GPUDevice;
  readonly #label: string;
  #kept: { window: Window; buffer: GPUBuffer }[] = [];

  constructor(device: GPUDevice, label: string) {
    this.#device = device;
    this.#label = label;
  }

  /** Parameters to evaluate are in place. */
  get active(): boolean {
    return this.#kept.length > 0;
  }

  /** @param compute records what makes the others. */
  begin({ windows }: Memory, compute: (encoder: GPUCommandEncoder) => void): void {
    const label = `${this.#label} evaluate`;
    const encoder = this.#device.createCommandEncoder({ label });
    this.#kept = windows.map((window) => {
      const { size } = window.param;
      const buffer = this.#device.createBuffer({ label, size: Math.max(4, size), usage: COPY_SRC | COPY_DST });
      copy(encoder, window.param, { buffer, offset: 0, size });
      return { window, buffer };
    });
    compute(encoder);
    this.#device.queue.submit([encoder.finish()]);
  }

  /** Brings the trained parameters back. */
  end(): void {
    const encoder = this.#device.createCommandEncoder({ label: `${this.#label} train` });
    for (const { window, buffer } of this.#kept)
      copy(encoder, { buffer, offset: 0, size: window.param.size }, window.param);
    this.#device.queue.submit([encoder.finish()]);
    this.destroy();
  }

  destroy(): void {
    for (const { buffer } of this.#kept.splice(0)) buffer.destroy();
  }
}

function copy(encoder: GPUCommandEncoder, from: BufferRange, to: BufferRange): void {
  if (to.size > 0) encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size);
}
