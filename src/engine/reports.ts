/** What the device tells the host of its own accord. Loaded where it has anything to tell: figures, or that a step was skipped. */
import { ReadbackRing } from "../host/readback-ring.ts";
import type { StepBuffers } from "../host/step-buffers.ts";
import { CONTROL, Words } from "../kernels/layouts.ts";
import type { Monitor, MonitorSource } from "./monitor.ts";
import type { OptimizerParts } from "./optimizer.ts";
import type { Timeline } from "./timeline.ts";

/** A part of the device's tables. */
type Report = "figures" | "control";

// How often the host learns of skipped steps where no figures tell it. Seldom enough to cost nothing.
const SYNC_EVERY = 32;

/** The reports of one optimizer. */
export class Reports {
  /** Where figures are wanted. */
  readonly monitor: Monitor | undefined;
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #buffers: StepBuffers;
  readonly #every: number;
  readonly #skips: ReadbackRing | undefined;
  /** What a step in an encoder of the caller's has left. */
  #uncollected: Report | undefined;
  #ended = false;

  constructor(parts: OptimizerParts, timeline: Timeline, monitoring: typeof import("./monitor.ts") | undefined) {
    const { device, settled, step } = parts;
    this.#device = device;
    this.#label = settled.label;
    this.#buffers = step.buffers;
    this.#every = settled.every;
    this.monitor =
      monitoring && new monitoring.Monitor(device, settled.label, step.timer, () => this.#source(parts, timeline));
    if (settled.measures) {
      this.#skips = new ReadbackRing(device, settled.label, CONTROL.length * 4, (data) => {
        const { step, skipped } = new Words(data).read(CONTROL, 0);
        timeline.learn(step, skipped);
      });
    }
  }

  /** Records the copy of what is due after `step`; returns what must be called after the submission. */
  copy(encoder: GPUCommandEncoder, step: number): (() => void) | undefined {
    return this.#copy(encoder, this.#due(step));
  }

  /** The same for a step in an encoder of the caller's, when that has been submitted. */
  copyLater(step: number): void {
    this.#uncollected = this.#due(step) ?? this.#uncollected;
    // Whoever submits right away has submitted by then; for others the next call asks again.
    if (this.#uncollected) setTimeout(() => this.collect());
  }

  /** Brings back what steps in the caller's encoders have left. */
  collect(): void {
    if (!this.#uncollected || this.#ended) return;
    const encoder = this.#device.createCommandEncoder({ label: `${this.#label} collect` });
    const submitted = this.#copy(encoder, this.#uncollected);
    this.#device.queue.submit([encoder.finish()]);
    this.#uncollected = undefined;
    submitted?.();
  }

  /** Resolves when all that has been copied has arrived. */
  async settle(): Promise<void> {
    this.collect();
    await Promise.all([this.monitor?.settle(), this.#skips?.settle()]);
  }

  /** Nothing more will come. */
  end(): void {
    this.#ended = true;
    this.monitor?.stream.end();
  }

  /** Frees what this has made. */
  destroy(): void {
    this.end();
    this.monitor?.destroy();
    this.#skips?.destroy();
  }

  #due(step: number): Report | undefined {
    if (this.#every > 0 && step % this.#every === 0) return "figures";
    return this.#skips && step % SYNC_EVERY === 0 ? "control" : undefined;
  }

  #copy(encoder: GPUCommandEncoder, what: Report | undefined): (() => void) | undefined {
    if (what === "figures") return this.monitor?.copy(encoder, this.#buffers.figures);
    return what && this.#skips?.copy(encoder, this.#buffers.control);
  }

  #source({ settled, memory, groups, records, rules, scale }: OptimizerParts, timeline: Timeline): MonitorSource {
    return {
      learn: (step, skipped) => timeline.learn(step, skipped),
      cameTooEarly: () => {
        this.#uncollected ??= "figures";
      },
      context: {
        tensors: memory.tensors,
        groupNames: groups.map((g) => g.name),
        unscale: settled.unscale,
        staticLossScale: settled.staticLossScale,
        dynamicLossScale: scale !== undefined,
        p: settled.measures ? settled.clip.p : 2,
        clipsValue: rules.some(({ overrides }) => overrides.shell.CLIP_VALUE === 1),
        group: (applied, g) => records.at(applied, g),
      },
    };
  }
}
