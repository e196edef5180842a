/**
 * One step on the GPU, in order: measure, control, update, summarize, copy. Reading `encode` from top to bottom is the data flow.
 * Everything is made beforehand; a step only sets pipelines and bind groups.
 */
import { DeviceError } from "../errors.ts";
import type { Kernel } from "../kernels/kernel.ts";
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
import type { Matrices } from "../kernels/newton-schulz.ts";
import type { RuleVariant, SharedOptions, StageSpec, Variant } from "../kernels/stage.ts";
import { F32X4, type Storage } from "../kernels/storage.ts";
import * as update from "../kernels/update.ts";
import { NO_AROUND, NO_AVERAGE, PLAIN_DECAY } from "../kernels/update.ts";
import type { Limits } from "./limits.ts";
import { type BufferRange, extraBegin, type Memory, type Tensor, type Window } from "./memory.ts";
import type { NewtonSchulz } from "./newton-schulz.ts";
import { type Compiled, compileKernel } from "./pipelines.ts";

/** One of the rules: its kernels, and what it makes of tensors. */
export interface RuleKernels extends RuleVariant {
  /** Numbers of a tensor that are settled at creation. */
  readonly numbersOf: ((tensor: Tensor) => readonly number[]) | undefined;
  /** How a tensor's second moments are factored, if they are. */
  readonly factored:
    | ((tensor: Tensor) => { readonly rows: number; readonly cols: number; readonly inner: number } | undefined)
    | undefined;
  /** The state slot that is orthogonalized before the update, and as which matrices a tensor's is. */
  readonly orthogonalizes:
    | { readonly slot: number; readonly matrices: (tensor: Tensor) => Omit<Matrices, "offset"> }
    | undefined;
}

/** What does not change over an optimizer's life. */
export interface StepOptions extends SharedOptions {
  readonly label: string;
  readonly limits: Limits;
  /** Invocations per workgroup, at most 64: workgroup memory stays within 1 KiB. */
  readonly workgroup: number;
  readonly rules: readonly RuleKernels[];
  /** Adaptive clipping. */
  readonly clipsUnits: boolean;
  /** Parameters are averaged over the steps. */
  readonly averages: boolean;
  readonly monitors: boolean;
  readonly accumulates: boolean;
  /** What raw gradients are multiplied by where nothing is measured, and so `control` decides nothing. */
  readonly unscale: number;
  /** By a tensor's name, what the rounding of its parameters is hashed from. */
  readonly roundingKey: ((name: string) => number) | undefined;
  /** Buffer of the dynamic loss scale. */
  readonly scaler: GPUBuffer | undefined;
}

/** What one call of `encode` does. */
export interface StepPlan {
  readonly slot: number;
  readonly figures: boolean;
  readonly accumulate: "no" | "first" | "more";
  /** False for a micro-batch that is only summed. */
  readonly update: boolean;
}

/** Steps that can be encoded into one submission. */
export const HEADER_SLOTS = 64;
const STEP_WORD: number = /* @__PURE__ */ HEADER.findIndex(([name]) => name === "step");
const RECORD_MASK_WORD: number = /* @__PURE__ */ HEADER.findIndex(([name]) => name === "record_mask");
const HEADER_STRIDE = 256;
const WINDOW_STRIDE = 256;

const UNIFORM = 0x40;
const STORAGE = 0x80;
const COPY_SRC = 0x4;
const COPY_DST = 0x8;

/** A compiled variant of a kernel. */
interface Stage extends Compiled {
  readonly kernel: Kernel;
  readonly variant: Variant;
  /** Undefined for one that works on tables alone. */
  readonly storage: Storage | undefined;
  /** Undefined for one that is the same for all rules. */
  readonly rule: number | undefined;
  /** The newest bind group of each window, and what it binds. */
  readonly bound: Map<Window, { param: BufferRange; grad: BufferRange; group: GPUBindGroup }>;
}

/** Encodes steps. Owns every buffer of a step but parameters, gradients and state. */
export class StepEncoder {
  readonly #device: GPUDevice;
  readonly #memory: Memory;
  readonly #options: StepOptions;
  readonly #pipelines = new Map<string, Stage>();
  readonly #newtonSchulz = new Map<Window, NewtonSchulz>();
  /** In the order in which they are to run. */
  #stages = new Map<Variant, readonly Stage[]>();
  readonly #headers: GPUBuffer;
  readonly #scaler: GPUBuffer;
  readonly #headerWords = new Words(HEADER.length);
  /** By rule. */
  readonly #records: GPUBuffer[] = [];
  readonly #stepRows: GPUBuffer[] = [];
  #table!: GPUBuffer;
  #tableStaging!: GPUBuffer;
  #tableWords!: Uint32Array<ArrayBuffer>;
  #windows!: GPUBuffer;
  #partials!: GPUBuffer;
  /** `struct Control`: what the device has decided and counted. */
  control!: GPUBuffer;
  /** `struct Figures` of the newest monitored step. */
  figures!: GPUBuffer;
  #shared = new Map<Stage, GPUBindGroup>();
  #perWindow = new Map<Window, Map<string, GPUBindGroup>>();
  /** Steps in encoders of the caller's since the last submission of our own. */
  #lent = 0;
  /** Buffers that such steps may read, and how many of these there were when they were replaced. */
  #replaced: { buffer: GPUBuffer; lent: number }[] = [];
  #tableSlot = 0;
  #tableCopy: number | undefined;

  /** Makes the buffers; pipelines come with {@link compile}. */
  constructor(device: GPUDevice, memory: Memory, options: StepOptions) {
    this.#device = device;
    this.#memory = memory;
    this.#options = options;
    // The control stage binds a loss scale, used or not.
    this.#scaler = options.scaler ?? this.#buffer("no loss scale", 32, STORAGE);
    this.#headers = this.#buffer("headers", HEADER_SLOTS * HEADER_STRIDE, UNIFORM | COPY_DST);
    this.layOut();
  }

  /**
   * Compiles what `windows` with these tensors need and is not compiled yet. Kernels that are not asked for are not even loaded.
   *
   * @throws {ShaderError} if the device refuses a kernel. @throws {DeviceError} if a matrix does not fit into a binding.
   */
  async compile(
    windows: readonly Window[] = this.#memory.windows,
    tensors: readonly Tensor[] = this.#memory.tensors,
  ): Promise<void> {
    const { rules, measure, averages, clipsUnits, monitors, accumulates } = this.#options;
    const some = (needs: (rule: RuleKernels) => unknown): boolean => rules.some((rule) => Boolean(needs(rule)));
    const [modified, averaged, around, control, summarize, ...more] = await Promise.all([
      some((r) => r.modifiesDecay) && import("../kernels/modified-decay.ts"),
      averages && import("../kernels/averages.ts"),
      some((r) => r.opens || r.finishes) && import("../kernels/around.ts"),
      measure && import("../kernels/control.ts"),
      monitors && import("../kernels/summarize.ts"),
      measure && import("../kernels/measure.ts"),
      monitors && import("../kernels/norm-figures.ts"),
      accumulates && import("../kernels/accumulate.ts"),
      clipsUnits && import("../kernels/clip-units.ts"),
      some((r) => r.factored) && import("../kernels/factor.ts"),
      some((r) => r.prepares || r.cautiousUpdates) && import("../kernels/prepare.ts"),
      some((r) => r.settles || r.cautiousUpdates) && import("../kernels/settle.ts"),
      some((r) => r.evaluates || "AVERAGE_SLOT" in r.overrides.average) && import("../kernels/evaluate.ts"),
      some((r) => r.begins) && import("../kernels/begin.ts"),
    ]);
    const specs = [control, summarize].flatMap((kernel) => (kernel ? kernel.sharedStages(this.#options) : []));
    for (const storage of new Set(windows.map((w) => w.storage))) {
      rules.forEach((rule, index) => {
        if (!windows.some((w) => w.storage === storage && w.rule === index)) return;
        const links = {
          rule: rule.wgsl,
          decay: rule.modifiesDecay && modified ? modified.MODIFIED_DECAY : PLAIN_DECAY,
          average: averaged ? averaged.AVERAGES : NO_AVERAGE,
          around: around && rule.opens ? around.OPENS : around && rule.finishes ? around.FINISHES : NO_AROUND,
        };
        const ofRule = { ...rule.overrides.rule, ...(storage.quantizes && rule.quantized) };
        const context = { storage, rule, index, options: this.#options, ofRule, links };
        specs.push(...update.stages(context), ...more.flatMap((kernel) => (kernel ? kernel.stages(context) : [])));
      });
    }
    const jobs = new Map<string, Promise<void>>();
    for (const spec of specs) {
      const name = variantName(spec);
      if (!this.#pipelines.has(name) && !jobs.has(name)) jobs.set(name, this.#compile(name, spec));
    }
    const results = await Promise.allSettled(jobs.values());
    for (const result of results) if (result.status === "rejected") throw result.reason;
    await this.#compileMatrices(windows, tensors);
    const ordered = [...this.#pipelines.values()].sort((a, b) => (a.rule ?? 0) - (b.rule ?? 0));
    this.#stages = new Map();
    for (const stage of ordered) this.#stages.set(stage.variant, [...(this.#stages.get(stage.variant) ?? []), stage]);
  }

  async #compile(name: string, { variant, kernel, storage, rule, constants, files }: StageSpec): Promise<void> {
    const { label, workgroup, rules, accumulates } = this.#options;
    const binds = (what: string): boolean => kernel.bindings.some(([binding]) => binding === what);
    // After the micro-batches, gradients are their sums.
    const sums = accumulates && !binds("sums");
    const links = { ...storage?.files, ...(sums && { grads: F32X4.files.grads }), ...files };
    const compiled = await compileKernel(this.#device, `${label} ${name}`, kernel, links, {
      WORKGROUP_SIZE: workgroup,
      ...(binds("params") && { ...storage?.constants?.params, ...rules[rule ?? 0]?.overrides.params }),
      ...(binds("grads") && !sums && storage?.constants?.grads),
      ...constants,
    });
    this.#pipelines.set(name, { ...compiled, kernel, variant, storage, rule, bound: new Map() });
  }

  /** Makes the orthogonalization of what lies in these windows. */
  async #compileMatrices(windows: readonly Window[], tensors: readonly Tensor[]): Promise<void> {
    const { rules, label, limits, workgroup } = this.#options;
    for (const window of windows) {
      const { orthogonalizes } = rules[window.rule] as RuleKernels;
      const inside = tensors.flatMap((t) =>
        t.pieces.flatMap((p) => (p.window === window ? [{ tensor: t, ...p }] : [])),
      );
      if (!orthogonalizes || inside.length === 0) continue;
      const { createNewtonSchulz } = await import("./newton-schulz.ts");
      const { slot, matrices } = orthogonalizes;
      const made = await createNewtonSchulz(this.#device, {
        label,
        limits,
        workgroup: Math.max(4, workgroup),
        buffer: window.state.buffer,
        range: window.state,
        matrices: inside.map(({ tensor, at }) => {
          if (tensor.pieces.length > 1)
            throw new DeviceError(`${label}: ${tensor.name} is too large for a binding of this device`);
          return { ...matrices(tensor), offset: slot * window.stride + at };
        }),
      });
      this.#newtonSchulz.set(window, made);
    }
  }

  /** Forgets what was made for windows that do not join after all. */
  drop(windows: readonly Window[]): void {
    for (const window of windows) {
      this.#newtonSchulz.get(window)?.destroy();
      this.#newtonSchulz.delete(window);
    }
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

    const { measure, monitors, clipsValue, workgroup, rules } = this.#options;
    const sums = measure !== undefined || rules.some((r) => r.prepares || r.cautiousUpdates);
    const regions = monitors ? (clipsValue ? 3 : 2) : sums ? 1 : 0;
    this.#partials = this.#buffer("partials", Math.max(16, regions * chunks.length * workgroup * 16), STORAGE);
    this.figures = this.#buffer(
      "figures",
      (FIGURES.length + TENSOR_FIGURES.length * tensors.length) * 4,
      STORAGE | COPY_SRC,
    );

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
    this.forgetBindings();
  }

  /** What `TensorControl` of a tensor begins with. */
  initialControl(tensor: Tensor): Partial<Record<FieldName<typeof TENSOR_CONTROL>, number>> {
    const { size, rule } = tensor;
    const numbers = this.#options.rules[rule]?.numbersOf?.(tensor) ?? [];
    const named = Object.fromEntries(numbers.map((n, i) => [TENSOR_NUMBERS[i] as string, n]));
    const begin = extraBegin(tensor);
    const extra = tensor.extra > 0 ? { extra: begin, units: begin + tensor.unitsAt, unit_size: tensor.unitSize } : {};
    const factored = this.#options.rules[rule]?.factored?.(tensor);
    const rounding = this.#options.roundingKey?.(tensor.name) ?? 0;
    return { factor: this.#options.unscale, size, rule, rounding, ...extra, ...factored, ...named };
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

  #replace(old: GPUBuffer | undefined): void {
    if (old && this.lends) this.#replaced.push({ buffer: old, lent: this.#lent });
    else old?.destroy();
  }

  /** A new ring of `rows` rows, each of the groups' records for a rule: `words` words. */
  resizeRecords(rule: number, rows: number, words: number): void {
    this.#replace(this.#records[rule]);
    this.#records[rule] = this.#buffer("records", rows * words * 4, STORAGE | COPY_DST);
    this.forgetBindings();
  }

  /** Room for a rule's rows by step count, which are to be laid out anew. */
  resizeStepRows(rule: number, words: number): void {
    const old = this.#stepRows[rule];
    if (old && old.size >= words * 4 && !this.lends) return;
    this.#replace(old);
    this.#stepRows[rule] = this.#buffer("step rows", Math.max(16, words * 4), STORAGE | COPY_DST);
    this.forgetBindings();
  }

  /** Drops bind groups: buffers have changed. */
  forgetBindings(): void {
    this.#shared.clear();
    this.#perWindow.clear();
    for (const { bound } of this.#pipelines.values()) bound.clear();
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
    this.#device.queue.writeBuffer(this.#headers, slot * HEADER_STRIDE, u32);
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

  /** Records one step. */
  encode(encoder: GPUCommandEncoder, plan: StepPlan): void {
    const { label, measure } = this.#options;
    if (this.#tableCopy !== undefined) {
      encoder.copyBufferToBuffer(this.#tableStaging, this.#tableCopy, this.#table, 0, this.#tableWords.byteLength);
      this.#tableCopy = undefined;
    }
    const pass = encoder.beginComputePass({ label: `${label} step` });
    if (plan.accumulate !== "no") {
      this.#overWindows(pass, plan.slot, plan.accumulate === "first" ? "accumulate first" : "accumulate");
    }
    if (plan.update) {
      if (measure) {
        this.#overWindows(pass, plan.slot, "measure");
        this.#once(pass, plan.slot, "control");
      }
      this.#overWindows(pass, plan.slot, "clip units");
      this.#overWindows(pass, plan.slot, "factor");
      this.#overWindows(pass, plan.slot, "prepare", (rule) => !this.#options.rules[rule]?.estimates);
      this.#once(pass, plan.slot, "settle");
      for (const window of this.#memory.windows) this.#newtonSchulz.get(window)?.encode(pass);
      this.#overWindows(pass, plan.slot, plan.figures ? "update figures" : "update");
      if (plan.figures) this.#once(pass, plan.slot, "summarize");
    }
    pass.end();
  }

  /** Records what rules do beside steps: an estimate from the gradients as they are now, or the parameters to evaluate. */
  encodeBeside(encoder: GPUCommandEncoder, slot: number, what: "estimate" | "evaluate"): void {
    const pass = encoder.beginComputePass({ label: `${this.#options.label} ${what}` });
    const variant = what === "estimate" ? "prepare" : what;
    this.#overWindows(
      pass,
      slot,
      variant,
      (rule) => what !== "estimate" || this.#options.rules[rule]?.estimates === true,
    );
    pass.end();
  }

  /** Records what makes slots that begin with the parameters. */
  encodeBegin(encoder: GPUCommandEncoder, windows: readonly Window[]): void {
    const pass = encoder.beginComputePass({ label: `${this.#options.label} begin` });
    this.#overWindows(pass, 0, "begin", () => true, windows);
    pass.end();
  }

  /**
   * Binds and submits everything once, without a dispatch: a buffer that is destroyed or of another device is found now, and the
   * first step finds its bind groups made. To be called within an error scope.
   *
   * @param windows may be some that are still to be added.
   */
  rehearse(windows: readonly Window[] = this.#memory.windows): void {
    const encoder = this.#device.createCommandEncoder({ label: `${this.#options.label} rehearse` });
    const pass = encoder.beginComputePass({ label: `${this.#options.label} rehearse` });
    for (const stage of this.#pipelines.values()) {
      pass.setPipeline(stage.pipeline);
      if (!stage.storage) pass.setBindGroup(0, this.#sharedBindings(stage), [0]);
      for (const window of windows) {
        if (serves(stage, window)) pass.setBindGroup(0, this.#windowBindings(window, stage), [0]);
      }
    }
    pass.end();
    this.#device.queue.submit([encoder.finish()]);
  }

  #overWindows(
    pass: GPUComputePassEncoder,
    slot: number,
    variant: Variant,
    concerns: (rule: number) => boolean = () => true,
    windows: readonly Window[] = this.#memory.windows,
  ): void {
    const most = this.#options.limits.maxComputeWorkgroupsPerDimension;
    const offsets = [slot * HEADER_STRIDE];
    for (const stage of this.#stages.get(variant) ?? []) {
      if (!concerns(stage.rule ?? 0)) continue;
      pass.setPipeline(stage.pipeline);
      for (const window of windows) {
        if (!serves(stage, window)) continue;
        pass.setBindGroup(0, this.#windowBindings(window, stage), offsets);
        pass.dispatchWorkgroups(Math.min(window.chunkEnd - window.chunkBegin, most));
      }
    }
  }

  #once(pass: GPUComputePassEncoder, slot: number, variant: Variant): void {
    for (const stage of this.#stages.get(variant) ?? []) {
      pass.setPipeline(stage.pipeline);
      pass.setBindGroup(0, this.#sharedBindings(stage), [slot * HEADER_STRIDE]);
      pass.dispatchWorkgroups(1);
    }
  }

  #sharedBindings(stage: Stage): GPUBindGroup {
    const group = this.#shared.get(stage) ?? this.#bind(stage, {});
    this.#shared.set(stage, group);
    return group;
  }

  #windowBindings(window: Window, stage: Stage): GPUBindGroup {
    const bound = stage.bound.get(window);
    if (bound && bound.param === window.param && bound.grad === window.grad) return bound.group;
    const group = this.#cachedBindings(window, stage);
    stage.bound.set(window, { param: window.param, grad: window.grad, group });
    return group;
  }

  #cachedBindings(window: Window, stage: Stage): GPUBindGroup {
    const cached = this.#perWindow.get(window) ?? new Map<string, GPUBindGroup>();
    this.#perWindow.set(window, cached);
    const key = `${stage.variant} ${rangeKey(window.param)} ${rangeKey(window.grad)}`;
    const known = cached.get(key);
    if (known) return known;
    // A window that is still to be added has no place yet: for trying out its buffers, the first will do.
    const i = Math.max(0, this.#memory.windows.indexOf(window));
    const group = this.#bind(stage, {
      window: { buffer: this.#windows, offset: i * WINDOW_STRIDE, size: WINDOW_STRIDE },
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
    const whole: Readonly<Record<string, GPUBuffer>> = {
      table: this.#table,
      records: this.#records[rule] as GPUBuffer,
      step_rows: this.#stepRows[rule] as GPUBuffer,
      control: this.control,
      partials: this.#partials,
      figures: this.figures,
      scaler: this.#scaler,
    };
    return this.#device.createBindGroup({
      label: `${this.#options.label} ${variant}`,
      layout,
      entries: kernel.bindings.map(([binding, kind], i) => {
        if (kind === "header")
          return { binding: i, resource: { buffer: this.#headers, offset: 0, size: HEADER_STRIDE } };
        const range = ranges[binding];
        if (range) return { binding: i, resource: { buffer: range.buffer, offset: range.offset, size: range.size } };
        return { binding: i, resource: { buffer: whole[binding] as GPUBuffer } };
      }),
    });
  }

  #buffer(what: string, size: number, usage: number): GPUBuffer {
    return this.#device.createBuffer({ label: `${this.#options.label} ${what}`, size: Math.max(16, size), usage });
  }

  /** Frees what this has made. */
  destroy(): void {
    this.settle();
    this.drop([...this.#newtonSchulz.keys()]);
    for (const buffer of [
      this.#headers,
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
    this.forgetBindings();
  }
}

// Bind groups kept per window: a few variants, times the buffers that a framework's allocator hands round.
const MOST_GROUPS = 24;

function variantName({ variant, storage, rule }: StageSpec): string {
  return [variant, storage?.name, rule].filter((part) => part !== undefined).join(" ");
}

function serves(stage: Stage, window: Window): boolean {
  return stage.storage === window.storage && (stage.rule ?? window.rule) === window.rule;
}

const ids = new WeakMap<GPUBuffer, number>();
let nextId = 1;

/** Identity of a range. */
function rangeKey({ buffer, offset, size }: BufferRange): string {
  const id = ids.get(buffer) ?? nextId++;
  ids.set(buffer, id);
  return `${id}:${offset}:${size}`;
}
