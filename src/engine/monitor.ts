/** Brings figures back and delivers them. Loaded only where figures are wanted. */
import type { PassTimer } from "../host/pass-timer.ts";
import { ReadbackRing } from "../host/readback-ring.ts";
import { FIGURES, Words } from "../kernels/layouts.ts";
import { FigureStream } from "./figure-stream.ts";
import { decodeFigures, type FiguresContext } from "./figures.ts";

/** What a monitor asks the optimizer for, when figures arrive. */
export interface MonitorSource {
  readonly context: Omit<FiguresContext, "badSteps" | "gpuTime">;
  /** Tells how many steps had been skipped after a step. */
  readonly learn: (step: number, skipped: number) => void;
  /** Tells that figures were brought back before the step they were wanted of had been submitted. */
  readonly cameTooEarly: () => void;
}

/** Figures of one optimizer. */
export class Monitor {
  readonly stream: FigureStream = new FigureStream();
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #timer: PassTimer | undefined;
  readonly #source: () => MonitorSource;
  #ring: ReadbackRing | undefined;
  #dropped = 0;
  #badSteps = new Uint32Array(0);
  #newest = 0;

  constructor(device: GPUDevice, label: string, timer: PassTimer | undefined, source: () => MonitorSource) {
    this.#device = device;
    this.#label = label;
    this.#timer = timer;
    this.#source = source;
  }

  /** Figures for which no buffer was free. */
  get dropped(): number {
    return this.#dropped + (this.#ring?.dropped ?? 0);
  }

  /** Makes room for the figures of `tensors` tensors. */
  resize(tensors: number, size: number): void {
    this.#dropped = this.dropped;
    this.#ring?.destroy();
    this.#ring = new ReadbackRing(this.#device, this.#label, size, (data) => this.#deliver(data, tensors));
    const badSteps = new Uint32Array(tensors);
    badSteps.set(this.#badSteps);
    this.#badSteps = badSteps;
  }

  /** Records the copy of `figures`; returns what must be called after the submission. */
  copy(encoder: GPUCommandEncoder, figures: GPUBuffer): (() => void) | undefined {
    return this.#ring?.copy(encoder, figures);
  }

  /** Forgets what it has seen: the state of another run has been loaded, at step `step`. */
  restart(step: number): void {
    this.#newest = step;
    this.#badSteps.fill(0);
  }

  settle(): Promise<void> | undefined {
    return this.#ring?.settle();
  }

  destroy(): void {
    this.stream.end();
    this.#ring?.destroy();
  }

  #deliver(data: ArrayBuffer, known: number): void {
    const words = new Words(data);
    const { step, skipped } = words.read(FIGURES, 0);
    const { context, learn, cameTooEarly } = this.#source();
    // A collection before the caller has submitted brings the figures of before.
    if (step <= this.#newest) {
      cameTooEarly();
      return;
    }
    this.#newest = step;
    learn(step, skipped);
    this.stream.emit(
      decodeFigures(words, {
        ...context,
        tensors: context.tensors.slice(0, known),
        badSteps: this.#badSteps,
        gpuTime: this.#timer?.milliseconds(data) ?? null,
      }),
    );
  }
}
