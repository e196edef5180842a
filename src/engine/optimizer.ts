/** The optimizer: what a user calls. It turns options into rows and commands; `host/` runs them. */
import { LifecycleError, OptionError } from "../errors.ts";
import type { BufferRange, Memory, Tensor } from "../host/memory.ts";
import { ReadbackRing, readRanges } from "../host/readback.ts";
import { HEADER_SLOTS, type StepEncoder } from "../host/step.ts";
import { CONTROL, FIGURES, TENSOR_FIGURES, Words } from "../kernels/layouts.ts";
import { checkKeys } from "./checks.ts";
import { FigureStream } from "./figure-stream.ts";
import { decodeFigures, type Figures } from "./figures.ts";
import type { GroupRecords } from "./group-records.ts";
import {
  changeGroup,
  checkMatch,
  type Group,
  type GroupOptions,
  type GroupSpec,
  type Match,
  matches,
  resolveGroups,
} from "./groups.ts";
import { type LossScaleState, readScale } from "./loss-scaler.ts";
import { type BufferSlice, checkOverlaps, checkParams, checkSlice, type ParamSpec, type Settled } from "./options.ts";
import { checkOverrides, type Overrides, overridesOf } from "./overrides.ts";
import { Participation } from "./participation.ts";
import type { Rule } from "./rule.ts";
import {
  applyState,
  checkState,
  collectState,
  readTensors,
  type StateDict,
  type StateTarget,
  type TensorState,
  writeFloats,
} from "./state.ts";
import type { StepRows, StepTable } from "./step-rows.ts";
import { groupTable } from "./table.ts";

/** A parameter's memory: bind it in your own kernels. Ranges in bytes; elements float32, row-major. */
export interface TensorHandle {
  readonly name: string;
  readonly shape: readonly number[];
  readonly param: BufferRange;
  readonly grad: BufferRange;
}

/** What `createOptimizer` has made. */
export interface OptimizerParts {
  readonly device: GPUDevice;
  readonly rule: Rule;
  readonly settled: Settled;
  readonly groups: Group[];
  readonly overrides: Overrides;
  readonly memory: Memory;
  readonly step: StepEncoder;
  readonly records: GroupRecords;
  readonly rows: StepRows;
  readonly scale: GPUBuffer;
  readonly ownsScale: boolean;
  /** Fills in anchors and finds faults of buffers, for windows and tensors that are new. */
  readonly complete: (groups: readonly Group[], firstTensor: number) => Promise<void>;
}

// How often the host learns of skipped steps where no figures tell it. Seldom enough to cost nothing.
const SYNC_EVERY = 32;
// How far ahead rows by step count are computed: all at first, so that a steady run uploads none; few once options change.
const ROWS_AHEAD_AT_FIRST = Infinity;
const ROWS_AHEAD = 256;

/** An optimizer on a device. Make one with `createOptimizer`. */
export class Optimizer {
  readonly device: GPUDevice;
  readonly #parts: OptimizerParts;
  readonly #participation = new Participation();
  readonly #byName = new Map<string, Tensor>();
  readonly #stream = new FigureStream();
  #tables: StepTable[] = [];
  #figuresRing: ReadbackRing | undefined;
  #controlRing: ReadbackRing | undefined;
  #badSteps = new Uint32Array(0);

  /** Steps encoded, skipped ones included. */
  #steps = 0;
  /** After step `#knownStep`, `#knownSkipped` steps had been skipped; what happened since is not known yet. */
  #knownStep = 0;
  #knownSkipped = 0;
  #microBatch = 0;
  #uncollected: "figures" | "control" | undefined;
  #lastFigures = 0;
  #destroyed = false;
  #lost: string | undefined;

  /** Use `createOptimizer`. */
  constructor(parts: OptimizerParts) {
    this.device = parts.device;
    this.#parts = parts;
    void parts.device.lost.then((info) => {
      this.#lost = info.message || info.reason;
    });
    this.#adoptTensors();
    parts.rows.ahead = ROWS_AHEAD_AT_FIRST;
    this.#layOutRows();
    parts.rows.ahead = ROWS_AHEAD;
  }

  /** All tensors, in the order they were given. */
  get tensors(): readonly TensorHandle[] {
    return this.#parts.memory.tensors.map(handle);
  }

  /** Names of the groups; the first is `default`. */
  get groups(): readonly string[] {
    return this.#parts.groups.map((g) => g.name);
  }

  /** Figures that were computed but not delivered, since every buffer of the ring was on its way. */
  get figuresDropped(): number {
    return this.#figuresRing?.dropped ?? 0;
  }

  /** Where a tensor's parameter and gradient lie. @throws {OptionError} if there is no such tensor. */
  tensor(name: string): TensorHandle {
    return handle(this.#tensor("tensor", name));
  }

  /**
   * One step, in one submission; `record` may encode forward and backward passes before it. Never waits for the GPU.
   *
   * With accumulation every call takes one micro-batch, and the last of them updates.
   *
   * @throws {LifecycleError} if the optimizer is destroyed or its device lost.
   */
  step(record?: (encoder: GPUCommandEncoder) => void): void {
    this.#alive("step");
    this.#collect();
    const encoder = this.device.createCommandEncoder({ label: this.#parts.settled.label });
    record?.(encoder);
    const what = this.#encode(encoder);
    const submitted = what && this.#copyBack(encoder, what);
    this.device.queue.submit([encoder.finish()]);
    submitted?.();
  }

  /**
   * Records one step into your own encoder. Up to 64 steps may wait in encoders that are not submitted yet; submit them in order.
   * On steps with figures one small submission more brings these back.
   *
   * @throws {LifecycleError} if the optimizer is destroyed or its device lost.
   */
  encode(encoder: GPUCommandEncoder): void {
    this.#alive("encode");
    this.#collect();
    this.#uncollected = this.#encode(encoder) ?? this.#uncollected;
    // Whoever submits right away has submitted by then; for others the next call asks again.
    if (this.#uncollected) setTimeout(() => this.#collect());
  }

  /** These tensors have no gradient in the next step: they are left alone, without decay, and their count does not advance. */
  withoutGrad(match: Match): void {
    for (const { index } of this.#select("withoutGrad", match)) this.#participation.withoutGrad(index);
  }

  /** Leaves these tensors alone from now on. */
  freeze(match: Match): void {
    for (const { index } of this.#select("freeze", match)) this.#participation.freeze(index, true);
  }

  /** Takes these tensors up again, with the state and the step count they had. */
  unfreeze(match: Match): void {
    for (const { index } of this.#select("unfreeze", match)) this.#participation.freeze(index, false);
  }

  /**
   * Changes options of a group, by name or index, from the next step on; no pipeline is made.
   *
   * @throws {OptionError} for a bad value, and for what would need kernel code or state that no group asked for at creation
   * (amsgrad, momentum, cautious, toward, l1, clipValue, decay mode coupled). Nothing has been changed then.
   */
  setGroup(group: string | number, changes: GroupOptions & Record<string, unknown>): void {
    const g = typeof group === "number" ? group : this.groups.indexOf(group);
    if (!this.#parts.groups[g])
      throw new OptionError("setGroup", "group", `must be one of ${this.groups.join(", ")}`, group);
    this.#change((_, i) => i === g, changes);
  }

  /** The same for every group. @throws {OptionError} */
  set(changes: GroupOptions & Record<string, unknown>): void {
    this.#change(() => true, changes);
  }

  /**
   * Adds parameters, and groups for them (which begin with the options of `default`). Their state begins at zero; the others go
   * on. Each call adds a dispatch to every step.
   *
   * @throws {OptionError} {@link DeviceError} Nothing has been changed then.
   */
  async addParams(params: readonly ParamSpec[], specs: readonly GroupSpec[] = []): Promise<void> {
    this.#alive("addParams");
    const { memory, step, rule, records, groups, settled, overrides, complete } = this.#parts;
    const { name: _name, match: _match, initialLr: _initialLr, hyper, ...defaults } = groups[0] as Group;
    const added = resolveGroups(rule, { ...defaults, ...hyper } as GroupOptions, specs).slice(1);
    const clash = added.find((g) => this.groups.includes(g.name));
    if (clash) throw new OptionError("addParams", "groups: name", "must be unique", clash.name);
    const all = [...groups, ...added];
    checkOverrides("addParams", overrides, overridesOf(rule, all, settled));
    const known = memory.tensors.length;
    const tensors = checkParams("addParams", params, all, new Set(this.#byName.keys()));
    const { first } = this.#possible();
    const doses = groups.map((_, g) => records.at(first - 1, g).dose);
    memory.add(tensors);
    groups.push(...added);
    step.layOut();
    await step.compile();
    records.restart(first - 1, doses, groups.length);
    step.resizeRecords(records.rows, records.width * groups.length);
    this.#adoptTensors();
    this.#layOutRows();
    await complete(groups, known);
  }

  /**
   * Gives an attached tensor other buffers, as frameworks that recycle theirs need at every step.
   *
   * @throws {OptionError}
   */
  attach(name: string, buffers: { param?: BufferSlice; grad?: BufferSlice }): void {
    const tensor = this.#tensor("attach", name);
    checkKeys("attach", name, buffers, ["param", "grad"]);
    if (!tensor.attached)
      throw new OptionError("attach", "name", "must be that of a tensor with buffers of its own", name);
    const param = buffers.param ? checkSlice("attach", `param (${name})`, buffers.param, tensor.size) : tensor.param;
    const grad = buffers.grad ? checkSlice("attach", `grad (${name})`, buffers.grad, tensor.size) : tensor.grad;
    checkOverlaps("attach", [{ name, attached: { param, grad } }]);
    this.#parts.memory.attach(tensor, param, grad);
  }

  /** Which tensor is in which group, with what lr, decay and mode: a table in text. */
  table(): string {
    const { memory, groups } = this.#parts;
    return groupTable(memory.tensors, groups, this.#possible().last - 1, (k) => this.#participation.isFrozen(k));
  }

  /** Calls `listener` with the figures of every monitored step, when they arrive. Returns what ends it. */
  on(event: "figures", listener: (figures: Figures) => void): () => void {
    if (event !== "figures") throw new OptionError("on", "event", 'must be "figures"', event);
    if (typeof listener !== "function") throw new OptionError("on", "listener", "must be a function", listener);
    return this.#stream.on(listener);
  }

  /** The figures of every monitored step that arrives from now on; ends when the optimizer is destroyed. */
  figures(): AsyncIterableIterator<Figures> {
    return this.#stream.iterate();
  }

  /** Resolves when the figures of all submitted steps have been delivered. */
  async flush(): Promise<void> {
    this.#alive("flush");
    this.#collect();
    await Promise.all([this.#figuresRing?.settle(), this.#controlRing?.settle()]);
  }

  /** Parameters, state and counts by tensor name, exact. Waits for the GPU. */
  async stateDict(): Promise<StateDict> {
    this.#alive("stateDict");
    if (this.#microBatch !== 0)
      throw new LifecycleError(
        "stateDict: call it after the last micro-batch of a step; the sums of the others are not saved",
      );
    const steps = this.#steps;
    const { records, groups } = this.#parts;
    const counts = this.#parts.memory.tensors.map((_, k) => steps - this.#participation.lag(k, steps));
    return collectState(
      this.#target(),
      steps,
      (t) => counts[t.index] as number,
      (applied) => groups.map((_, g) => records.at(applied, g).dose),
    );
  }

  /**
   * Loads a state dict. Going on from there is bit for bit the run that was saved, if the options are the same: hyper-parameters
   * are left as they are.
   *
   * @throws {StateDictError} with all differences; nothing has been changed then.
   */
  async loadStateDict(state: StateDict): Promise<void> {
    this.#alive("loadStateDict");
    const target = this.#target();
    checkState(state, target);
    await this.flush();
    applyState(target, state);
    this.#steps = state.stepsApplied + state.stepsSkipped;
    this.#knownStep = this.#steps;
    this.#knownSkipped = state.stepsSkipped;
    this.#lastFigures = this.#steps;
    this.#microBatch = 0;
    this.#badSteps.fill(0);
    for (const t of target.tensors)
      this.#participation.reset(t.index, this.#steps - (state.tensors[t.name]?.step ?? 0), this.#steps);
    const { records, groups } = this.#parts;
    records.restart(
      state.stepsApplied,
      state.groups.map((g) => g.decayDose),
      groups.length,
    );
    this.#layOutRows();
  }

  /** A parameter's values. Waits for the GPU. */
  async readParam(name: string): Promise<Float32Array> {
    this.#alive("readParam");
    const [data] = await readRanges(this.device, this.#parts.settled.label, [this.#tensor("readParam", name).param]);
    return new Float32Array(data as ArrayBuffer);
  }

  /** A tensor's step count, parameter and state slots by PyTorch's names. Waits for the GPU. */
  async readState(name: string): Promise<TensorState> {
    this.#alive("readState");
    const tensor = this.#tensor("readState", name);
    const count = this.#steps - this.#participation.lag(tensor.index, this.#steps);
    const { tensors } = await readTensors(this.#target(), [tensor], () => count);
    return tensors[name] as TensorState;
  }

  /** Overwrites a parameter. @throws {OptionError} */
  writeParam(name: string, data: Float32Array): void {
    this.#write("writeParam", name, "param", data);
  }

  /** Overwrites a gradient. @throws {OptionError} */
  writeGrad(name: string, data: Float32Array): void {
    this.#write("writeGrad", name, "grad", data);
  }

  /** The dynamic loss scale as a float32 on the device, to multiply the loss by; undefined without. */
  get lossScaleBinding(): BufferRange | undefined {
    return this.#parts.settled.lossScale && { buffer: this.#parts.scale, offset: 0, size: 4 };
  }

  /** The loss scale and, if it is dynamic, its growth tracker. Waits for the GPU. */
  async readLossScale(): Promise<LossScaleState> {
    this.#alive("readLossScale");
    const { settled, scale } = this.#parts;
    return settled.lossScale
      ? readScale(this.device, settled.label, scale)
      : { scale: settled.staticLossScale, growthTracker: 0 };
  }

  /** Frees what the optimizer has made, and nothing else. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#stream.end();
    this.#figuresRing?.destroy();
    this.#controlRing?.destroy();
    const { step, memory, scale, ownsScale } = this.#parts;
    step.destroy();
    for (const buffer of memory.buffers) buffer.destroy();
    if (ownsScale) scale.destroy();
  }

  /** Encodes a step; says what is to be read back. */
  #encode(encoder: GPUCommandEncoder): "figures" | "control" | undefined {
    const { step: host, records, memory, groups, settled } = this.#parts;
    const { microBatches, every, measures, clip } = settled;
    const updates = this.#microBatch === microBatches - 1;
    const step = this.#steps + 1;
    const slot = (this.#steps * microBatches + this.#microBatch) % HEADER_SLOTS;
    if (updates) {
      const rows = this.#participation.settle(
        this.#steps,
        (k) => groups[memory.tensors[k]?.group ?? 0]?.frozen === true,
      );
      if (rows) host.setTensors(rows.map((row, k) => ({ group: memory.tensors[k]?.group ?? 0, ...row })));
      this.#writeStepRows();
      const { first, last } = this.#possible();
      if (records.grow(first, last)) host.resizeRecords(records.rows, records.width * groups.length);
      records.write(groups, this.#tables, first, last, (row, words) => host.writeRecords(row, words));
    }
    host.writeHeader(slot, {
      step,
      record_mask: records.rows - 1,
      group_count: groups.length,
      tensor_count: memory.tensors.length,
      chunk_count: memory.chunks.length,
      unscale: settled.unscale,
      max_global_norm: clip.globalNorm,
      max_tensor_norm: clip.tensorNorm,
      skip_non_finite: Number(settled.skipNonFinite),
    });
    const figures = updates && every > 0 && step % every === 0;
    const accumulate = microBatches === 1 ? "no" : this.#microBatch === 0 ? "first" : "more";
    host.encode(encoder, { slot, figures, accumulate, update: updates });
    this.#microBatch = updates ? 0 : this.#microBatch + 1;
    if (!updates) return undefined;
    this.#steps = step;
    if (!measures) this.#knownStep = step;
    return figures ? "figures" : measures && step % SYNC_EVERY === 0 ? "control" : undefined;
  }

  /** The updates that the coming step may turn out to be, by the number of steps that have been skipped. */
  #possible(): { first: number; last: number } {
    return { first: this.#knownStep + 1 - this.#knownSkipped, last: this.#steps + 1 - this.#knownSkipped };
  }

  /** Uploads rows by step count, for every count that a tensor may have reached. */
  #writeStepRows(): void {
    const { rows, step } = this.#parts;
    const { least, most } = this.#participation.bounds;
    const highest = this.#steps + 1 - least;
    const lowest = Math.max(1, this.#possible().first - most);
    let grown = false;
    for (const table of this.#tables) grown = rows.grow(table, highest) || grown;
    if (grown) this.#layOutTables();
    for (const table of this.#tables) {
      const upload = rows.missing(table, lowest, highest);
      if (upload) step.writeStepRows(upload.at * rows.width, upload.words);
    }
  }

  /** Groups or counts have changed: the tables of rows by step count are laid out anew and filled. */
  #layOutRows(): void {
    const { groups, rows } = this.#parts;
    this.#tables = groups.map((g) => rows.table(g.hyper));
    this.#layOutTables();
    this.#writeStepRows();
  }

  #layOutTables(): void {
    const { rows, step, records } = this.#parts;
    rows.compact(new Set(this.#tables));
    step.resizeStepRows(rows.length * rows.width);
    records.touch();
  }

  /** Records the copy of what is to be read back; returns what must be called after the submission. */
  #copyBack(encoder: GPUCommandEncoder, what: "figures" | "control"): (() => void) | undefined {
    const { step } = this.#parts;
    return what === "figures"
      ? this.#figuresRing?.copy(encoder, step.figures)
      : this.#controlRing?.copy(encoder, step.control);
  }

  /** Brings back what steps encoded into the caller's encoders have left. */
  #collect(): void {
    if (!this.#uncollected || this.#destroyed || this.#lost !== undefined) return;
    const encoder = this.device.createCommandEncoder({ label: `${this.#parts.settled.label} collect` });
    const submitted = this.#copyBack(encoder, this.#uncollected);
    this.device.queue.submit([encoder.finish()]);
    this.#uncollected = undefined;
    submitted?.();
  }

  #onControl(data: ArrayBuffer): void {
    const { step, skipped } = new Words(data).read(CONTROL, 0);
    this.#learn(step, skipped);
  }

  #onFigures(data: ArrayBuffer): void {
    const words = new Words(data);
    const { step, skipped } = words.read(FIGURES, 0);
    // A collection that came too early, before the caller had submitted, brings the figures of before.
    if (step <= this.#lastFigures) return;
    this.#lastFigures = step;
    this.#learn(step, skipped);
    const { settled, memory, records } = this.#parts;
    this.#stream.emit(
      decodeFigures(words, {
        tensors: memory.tensors.slice(0, (words.u32.length - FIGURES.length) / TENSOR_FIGURES.length),
        groupNames: this.groups,
        unscale: settled.unscale,
        staticLossScale: settled.staticLossScale,
        dynamicLossScale: settled.lossScale !== undefined,
        p: settled.measures ? settled.clip.p : 2,
        clipsValue: this.#parts.overrides.shell.CLIP_VALUE === 1,
        group: (applied, g) => records.at(applied, g),
        badSteps: this.#badSteps,
      }),
    );
  }

  #learn(step: number, skipped: number): void {
    if (step <= this.#knownStep || step > this.#steps) return;
    this.#knownStep = step;
    this.#knownSkipped = skipped;
  }

  #change(concerns: (group: Group, index: number) => boolean, changes: Readonly<Record<string, unknown>>): void {
    const { groups, rule, settled, overrides } = this.#parts;
    const { name } = rule.definition;
    const changed = groups.map((g, i) => (concerns(g, i) ? changeGroup(rule, name, g, changes) : g));
    checkOverrides(name, overrides, overridesOf(rule, changed, settled));
    if (changed.some((g, i) => (g.toward === undefined) !== (groups[i]?.toward === undefined)))
      throw new OptionError(name, "toward", "cannot be changed after creation", changes.toward);
    const newTables = changed.some((g, i) => g.hyper !== groups[i]?.hyper);
    groups.splice(0, groups.length, ...changed);
    this.#parts.records.touch();
    if (newTables) this.#layOutRows();
  }

  #adoptTensors(): void {
    const { memory, settled, step, records, groups } = this.#parts;
    for (const tensor of memory.tensors) this.#byName.set(tensor.name, tensor);
    this.#participation.adopt(memory.tensors.length, this.#steps);
    const bad = new Uint32Array(memory.tensors.length);
    bad.set(this.#badSteps);
    this.#badSteps = bad;
    this.#figuresRing?.destroy();
    this.#controlRing?.destroy();
    if (settled.every > 0)
      this.#figuresRing = new ReadbackRing(this.device, settled.label, step.figures.size, (data) =>
        this.#onFigures(data),
      );
    if (settled.measures)
      this.#controlRing = new ReadbackRing(this.device, settled.label, CONTROL.length * 4, (data) =>
        this.#onControl(data),
      );
    step.resizeRecords(records.rows, records.width * groups.length);
  }

  #target(): StateTarget {
    const { device, settled, rule, memory, groups, overrides, step, scale } = this.#parts;
    const dynamic = settled.lossScale !== undefined;
    return {
      device,
      label: settled.label,
      rule: rule.definition,
      tensors: memory.tensors,
      groups,
      overrides,
      control: step.control,
      unscale: settled.unscale,
      scale: dynamic ? scale : undefined,
    };
  }

  #tensor(where: string, name: string): Tensor {
    const tensor = this.#byName.get(name);
    if (!tensor) throw new OptionError(where, "name", "must be that of a tensor", name);
    return tensor;
  }

  #select(where: string, match: Match): Tensor[] {
    checkMatch(where, "match", match);
    const tensors = this.#parts.memory.tensors.filter((t) => matches(match, t));
    if (tensors.length === 0) throw new OptionError(where, "match", "must match a tensor", match);
    return tensors;
  }

  #write(where: string, name: string, which: "param" | "grad", data: Float32Array): void {
    this.#alive(where);
    const tensor = this.#tensor(where, name);
    if (!(data instanceof Float32Array) || data.length !== tensor.size)
      throw new OptionError(where, `data (${name})`, `must be a Float32Array of ${tensor.size} elements`, data);
    writeFloats(this.device.queue, tensor[which].buffer, tensor[which].offset, data, 0, tensor.size);
  }

  #alive(where: string): void {
    if (this.#destroyed) throw new LifecycleError(`${where}: the optimizer is destroyed`);
    if (this.#lost !== undefined) throw new LifecycleError(`${where}: the device is lost: ${this.#lost}`);
  }
}

function handle({ name, shape, param, grad }: Tensor): TensorHandle {
  return { name, shape, param, grad };
}
