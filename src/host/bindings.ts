/** Bind groups of stages: made when first used, and kept while the buffers stay what they are. */
import type { BufferRange, Memory, Window } from "./memory.ts";
import type { Stage } from "./stages.ts";
import { HEADER_STRIDE, type StepBuffers } from "./step-buffers.ts";

/** What a stage binds for a window: of the buffers that a caller may exchange, the newest. */
interface Newest {
  readonly param: BufferRange;
  readonly grad: BufferRange;
  readonly group: GPUBindGroup;
}

// Bind groups kept per window: a few variants, times the buffers that a framework's allocator hands round.
const MOST_GROUPS = 24;

/** The bind groups of an optimizer. */
export class Bindings {
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #memory: Memory;
  readonly #buffers: StepBuffers;
  /** That of the buffers which the bind groups are for. */
  #generation = 0;
  readonly #shared = new Map<Stage, GPUBindGroup>();
  readonly #newest = new Map<Stage, Map<Window, Newest>>();
  readonly #perWindow = new Map<Window, Map<string, GPUBindGroup>>();

  constructor(device: GPUDevice, label: string, memory: Memory, buffers: StepBuffers) {
    this.#device = device;
    this.#label = label;
    this.#memory = memory;
    this.#buffers = buffers;
  }

  /** That of a stage which works on tables alone. */
  shared(stage: Stage): GPUBindGroup {
    this.#review();
    const group = this.#shared.get(stage) ?? this.#bind(stage, {});
    this.#shared.set(stage, group);
    return group;
  }

  /** Those of a stage, by window. */
  over(stage: Stage): (window: Window) => GPUBindGroup {
    this.#review();
    const newest = this.#newest.get(stage) ?? new Map<Window, Newest>();
    this.#newest.set(stage, newest);
    return (window) => {
      const known = newest.get(window);
      if (known && known.param === window.param && known.grad === window.grad) return known.group;
      const group = this.#ofWindow(stage, window);
      newest.set(window, { param: window.param, grad: window.grad, group });
      return group;
    };
  }

  /** Drops bind groups of buffers that have been replaced. */
  #review(): void {
    if (this.#generation === this.#buffers.generation) return;
    this.#generation = this.#buffers.generation;
    for (const groups of [this.#shared, this.#newest, this.#perWindow]) groups.clear();
  }

  #ofWindow(stage: Stage, window: Window): GPUBindGroup {
    const cached = this.#perWindow.get(window) ?? new Map<string, GPUBindGroup>();
    this.#perWindow.set(window, cached);
    const key = `${stage.variant} ${rangeKey(window.param)} ${rangeKey(window.grad)}`;
    const known = cached.get(key);
    if (known) return known;
    const group = this.#bind(stage, {
      // A window that is still to be added has no place yet: for trying out its buffers, the first will do.
      window: this.#buffers.windowRecord(Math.max(0, this.#memory.windows.indexOf(window))),
      params: window.param,
      grads: stage.kernel.name !== "accumulate" && window.sums ? window.sums : window.grad,
      state: window.state,
      ...(window.sums ? { sums: window.sums } : {}),
    });
    // Callers of attached tensors may recycle buffers: keep the newest few groups only, so that old buffers can go.
    const oldest = cached.size >= MOST_GROUPS ? cached.keys().next().value : undefined;
    if (oldest !== undefined) cached.delete(oldest);
    cached.set(key, group);
    return group;
  }

  #bind({ kernel, layout, variant, rule = 0 }: Stage, ranges: Readonly<Record<string, BufferRange>>): GPUBindGroup {
    const whole: Readonly<Record<string, GPUBuffer>> = this.#buffers.ofRule(rule);
    return this.#device.createBindGroup({
      label: `${this.#label} ${variant}`,
      layout,
      entries: kernel.bindings.map(([name, kind], binding) => {
        if (kind === "header")
          return { binding, resource: { buffer: this.#buffers.headers, offset: 0, size: HEADER_STRIDE } };
        return { binding, resource: ranges[name] ?? { buffer: whole[name] as GPUBuffer } };
      }),
    });
  }
}

const ids = new WeakMap<GPUBuffer, number>();
let nextId = 1;

/** Identity of a range. */
function rangeKey({ buffer, offset, size }: BufferRange): string {
  const id = ids.get(buffer) ?? nextId++;
  ids.set(buffer, id);
  return `${id}:${offset}:${size}`;
}
