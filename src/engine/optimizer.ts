/** The optimizer: what a user calls. It turns options into rows and commands; `host/` runs them. */
import { LifecycleError, OptionError } from "../errors.ts";
import type { Evaluation } from "../host/evaluation.ts";
import type { BufferRange, Memory, Tensor } from "../host/memory.ts";
import { bytesOf, type ElementType, type TensorFormats } from "../host/number-format.ts";
import { readRanges } from "../host/read-ranges.ts";
import { writeSlot } from "../host/state-layout.ts";
import type { StepEncoder } from "../host/step.ts";
import { HEADER_SLOTS } from "../host/step-buffers.ts";
import type { OpenParams, Owner } from "./add-params.ts";
import { checkKeys } from "./checks.ts";
import type { Figures } from "./figures.ts";
import { changedGroups } from "./group-changes.ts";
import type { GroupRecords } from "./group-records.ts";
import {
  checkMatch,
  type Group,
  type GroupOptions,
  type GroupSpec,
  type Match,
  type MatchedRule,
  matches,
} from "./groups.ts";
import type { LossScaleState } from "./loss-scaler.ts";
import type { Monitor } from "./monitor.ts";
import { type BufferSlice, checkOverlaps, checkSlice, type ParamSpec, type Settled } from "./options.ts";
import { extraSlot, type Overrides } from "./overrides.ts";
import type { Reports } from "./reports.ts";
import { takeSnapshot } from "./snapshot.ts";
import type { StateDict, StateTarget, TensorState } from "./state.ts";
import type { StepRows } from "./step-rows.ts";
import { groupTable } from "./table.ts";
import { Timeline } from "./timeline.ts";

/** A parameter's memory: bind it in your own kernels. Ranges in bytes; elements row-major, float32 or what `storage` says. */
export interface TensorHandle {
  readonly name: string;
  readonly shape: readonly number[];
  readonly param: BufferRange;
  readonly grad: BufferRange;
  readonly paramType: ElementType;
  readonly gradType: ElementType;
}

/** One of the optimizer's rules, with what its kernels are compiled for and its rows by step count. */
export interface RulePart extends MatchedRule {
  readonly overrides: Overrides;
  readonly rows: StepRows;
}

/** What `createOptimizer` has made. */
export interface OptimizerParts {
  readonly device: GPUDevice;
  readonly rules: readonly RulePart[];
  readonly settled: Settled;
  readonly groups: Group[];
  readonly memory: Memory;
  readonly step: StepEncoder;
  readonly records: GroupRecords;
  /** Of the loss scale; undefined without dynamic scaling. */
  readonly scale: GPUBuffer | undefined;
  readonly ownsScale: boolean;
  /** Where the parameters to evaluate can be others than those that are trained. */
  readonly evaluation: Evaluation | undefined;
  /** Where the device has something to tell. */
  readonly reports: ((parts: OptimizerParts, timeline: Timeline) => Reports) | undefined;
}

// GPUBufferUsage.COPY_DST; the global is not there in Node.
const COPY_DST = 0x8;
const COPY_BOTH = 0x4 | COPY_DST;

/** An optimizer on a device. Make one with `createOptimizer`. */
export class Optimizer {
  readonly device: GPUDevice;
  readonly #parts: OptimizerParts;
  readonly #timeline: Timeline;
  readonly #reports: Reports | undefined;
  readonly #byName = new Map<string, Tensor>();
  #microBatch = 0;
  #adding: Promise<void> = Promise.resolve();
  #addsUnderWay = 0;
  #destroyed = false;
  #lost: string | undefined;

  /** Use `createOptimizer`. */
  constructor(parts: OptimizerParts) {
    const { device, settled } = parts;
    this.device = device;
    this.#parts = parts;
    void device.lost.then((info) => {
      this.#lost = info.message || info.reason;
      this.#reports?.end();
    });
    const rows = parts.rules.map((rule) => rule.rows);
    this.#timeline = new Timeline({ ...parts, buffers: parts.step.buffers, rows, measures: settled.measures });
    this.#reports = parts.reports?.(parts, this.#timeline);
    this.#adopt();
  }

  /** All tensors, in the order they were given. */
  get tensors(): readonly TensorHandle[] {
    const { memory, settled } = this.#parts;
    return [...memory.tensors].sort((a, b) => a.order - b.order).map((tensor) => handle(tensor, settled.formats));
  }

  /** Names of the groups; the first is `default`. */
  get groups(): readonly string[] {
    return this.#parts.groups.map((g) => g.name);
  }

  /** Figures that were computed but not delivered, since every buffer of the ring was on its way. */
  get figuresDropped(): number {
    return this.#reports?.monitor?.dropped ?? 0;
  }

  /** Where a tensor's parameter and gradient lie. @throws {OptionError} if there is no such tensor. */
  tensor(name: string): TensorHandle {
    return handle(this.#tensor("tensor", name), this.#parts.settled.formats);
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
    this.#trains("step");
    if (record !== undefined && typeof record !== "function")
      throw new OptionError("step", "record", "must be a function", record);
    this.#reports?.collect();
    const encoder = this.device.createCommandEncoder({ label: this.#parts.settled.label });
    record?.(encoder);
    this.#stepInto(encoder, () => this.device.queue.submit([encoder.finish()]));
  }

  /**
   * As {@link step}, at the end of what an encoder of the caller's holds already, and in the same submission: `submit` is called
   * once and must submit it right away. For frameworks that keep an encoder open.
   *
   * @throws {LifecycleError} if the optimizer is destroyed or its device lost.
   */
  stepInto(encoder: GPUCommandEncoder, submit: () => void): void {
    this.#alive("stepInto");
    this.#trains("stepInto");
    if (typeof encoder?.beginComputePass !== "function")
      throw new OptionError("stepInto", "encoder", "must be a GPUCommandEncoder", encoder);
    if (typeof submit !== "function") throw new OptionError("stepInto", "submit", "must be a function", submit);
    this.#reports?.collect();
    this.#stepInto(encoder, submit);
  }

  #stepInto(encoder: GPUCommandEncoder, submit: () => void): void {
    const submitted = this.#encode(encoder) ? this.#reports?.copy(encoder, this.#timeline.steps) : undefined;
    submit();
    this.#parts.step.buffers.settle();
    submitted?.();
  }

  /**
   * Records one step into your own encoder. Up to 64 steps may wait in encoders that are not submitted yet; submit them in order.
   * On steps with figures one small submission more brings these back.
   * Submit them before `stateDict`, `loadStateDict` or `addParams`.
   *
   * @throws {LifecycleError} if the optimizer is destroyed or its device lost.
   */
  encode(encoder: GPUCommandEncoder): void {
    this.#alive("encode");
    this.#trains("encode");
    if (typeof encoder?.beginComputePass !== "function")
      throw new OptionError("encode", "encoder", "must be a GPUCommandEncoder", encoder);
    this.#reports?.collect();
    const updated = this.#encode(encoder);
    this.#parts.step.buffers.lend();
    if (updated) this.#reports?.copyLater(this.#timeline.steps);
  }

  /**
   * Puts the parameters to evaluate in place: the average with `ema` or `swa`, x with Schedule-Free rules. What was there is kept.
   * Does nothing where there are no others, or they are in place.
   *
   * @throws {OptionError} if an attached buffer has not the usages COPY_SRC and COPY_DST.
   */
  eval(): void {
    this.#alive("eval");
    const { evaluation, memory } = this.#parts;
    if (!evaluation || evaluation.active) return;
    for (const { name, param } of memory.tensors)
      if ((param.buffer.usage & COPY_BOTH) !== COPY_BOTH)
        throw new OptionError("eval", `buffer (${name})`, "must have usages COPY_SRC and COPY_DST", param.buffer.usage);
    evaluation.begin(memory, (encoder) => this.#encodeBeside(encoder, "evaluate"));
  }

  /** Brings back the parameters that are trained, bit for bit. Does nothing if they are in place. */
  train(): void {
    this.#alive("train");
    if (this.#parts.evaluation?.active) this.#parts.evaluation.end();
  }

  /**
   * For rules that estimate something beside their steps, as Sophia its Hessian: takes the gradient buffers, which hold what the
   * rule says, into its state. No step is counted, and nothing clipped, decayed or skipped.
   *
   * @param record may encode what computes these gradients before it.
   * @throws {LifecycleError} @throws {OptionError} if no rule estimates, or with `accumulate`.
   */
  estimate(record?: (encoder: GPUCommandEncoder) => void): void {
    this.#alive("estimate");
    this.#trains("estimate");
    const { rules, settled } = this.#parts;
    if (!rules.some(({ definition }) => definition.estimates))
      throw new OptionError(
        "estimate",
        "rule",
        "must be one that estimates, such as sophiag()",
        rules[0]?.definition.name,
      );
    // The gradients of a step lie in sums there, and are divided by the number of micro-batches.
    if (settled.microBatches > 1)
      throw new OptionError("estimate", "accumulate", "must not have been given", settled.microBatches);
    if (record !== undefined && typeof record !== "function")
      throw new OptionError("estimate", "record", "must be a function", record);
    const encoder = this.device.createCommandEncoder({ label: `${settled.label} estimate` });
    record?.(encoder);
    this.#encodeBeside(encoder, "estimate");
    this.device.queue.submit([encoder.finish()]);
  }

  #encodeBeside(encoder: GPUCommandEncoder, what: "estimate" | "evaluate"): void {
    const { step, records } = this.#parts;
    this.#timeline.participation.tell();
    this.#timeline.prepare();
    const slot = this.#headerSlot();
    step.buffers.writeHeader(slot, this.#timeline.steps + 1, records.rows);
    step.encodeBeside(encoder, slot, what);
  }

  /** These tensors have no gradient in the next step: they are left alone, without decay, and their count does not advance. */
  withoutGrad(match: Match): void {
    this.#alive("withoutGrad");
    for (const { index } of this.#select("withoutGrad", match)) this.#timeline.participation.withoutGrad(index);
  }

  /** Leaves these tensors alone from now on. */
  freeze(match: Match): void {
    this.#alive("freeze");
    for (const { index } of this.#select("freeze", match)) this.#timeline.participation.freeze(index, true);
  }

  /** Takes these tensors up again, with the state and the step count they had. */
  unfreeze(match: Match): void {
    this.#alive("unfreeze");
    for (const { index } of this.#select("unfreeze", match)) this.#timeline.participation.freeze(index, false);
  }

  /**
   * Changes options of a group, by name or index, from the next step on; no pipeline is made.
   *
   * @throws {OptionError} for a bad value, and for what would need kernel code or state that no group asked for at creation
   * (amsgrad, momentum, cautious, toward, l1, clipValue, decay mode coupled). Nothing has been changed then.
   */
  setGroup(group: string | number, changes: GroupOptions & Record<string, unknown>): void {
    this.#alive("setGroup");
    const g = typeof group === "number" ? group : this.groups.indexOf(group);
    if (!this.#parts.groups[g])
      throw new OptionError("setGroup", "group", `must be one of ${this.groups.join(", ")}`, group);
    this.#change((_, i) => i === g, changes);
  }

  /** The same for every group. @throws {OptionError} */
  set(changes: GroupOptions & Record<string, unknown>): void {
    this.#alive("set");
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
    this.#trains("addParams");
    this.#addsUnderWay += 1;
    const { addParams } = await import("./add-params.ts");
    // One after the other: each begins where the one before has ended.
    const owner = this.#owner("addParams");
    const adding = this.#adding.then(() => addParams(this.#parts, this.#timeline, params, specs, owner));
    const ended = (): void => {
      this.#addsUnderWay -= 1;
    };
    this.#adding = adding.then(ended, ended);
    return adding;
  }

  /**
   * Makes ready for parameters that turn up in the midst of synchronous code, as the variables of a framework do: compiles what any
   * parameter may need. Tensors without elements, which an optimizer may begin with for want of others, are dropped if there are no
   * others.
   *
   * @returns functions that add parameters and load a state at once. They throw as {@link addParams} and {@link loadStateDict}; the
   * promise of `add` tells after the fact what the device has refused (no memory): then the optimizer must be given up.
   */
  async openParams(): Promise<OpenParams> {
    this.#alive("openParams");
    this.#trains("openParams");
    const { openParams } = await import("./add-params.ts");
    await this.#adding;
    return openParams(this.#parts, this.#timeline, this.#owner("openParams"));
  }

  /**
   * Gives an attached tensor other buffers, as frameworks that recycle theirs need at every step.
   *
   * @throws {OptionError}
   */
  attach(name: string, buffers: { param?: BufferSlice; grad?: BufferSlice }): void {
    this.#alive("attach");
    const tensor = this.#tensor("attach", name);
    checkKeys("attach", name, buffers, ["param", "grad"]);
    if (!tensor.attached)
      throw new OptionError("attach", "name", "must be that of a tensor with buffers of its own", name);
    const range = (which: "param" | "grad"): BufferRange => {
      const slice = buffers[which];
      const bytes = bytesOf(this.#parts.settled.formats, which, tensor.size);
      return slice === undefined ? tensor[which] : checkSlice("attach", `${which} (${name})`, slice, bytes);
    };
    const param = range("param");
    const grad = range("grad");
    checkOverlaps("attach", [{ name, attached: { param, grad } }]);
    this.#parts.memory.attach(tensor, param, grad);
  }

  /** Which tensor is in which group, with what lr, decay and mode: a table in text. */
  table(): string {
    const { memory, groups } = this.#parts;
    const { possible, participation } = this.#timeline;
    return groupTable(memory.tensors, groups, possible.last - 1, (k) => participation.isFrozen(k));
  }

  /**
   * Calls `listener` with the figures of every monitored step, when they arrive. Returns what ends it.
   *
   * @throws {OptionError} without the option `monitor`.
   */
  on(event: "figures", listener: (figures: Figures) => void): () => void {
    if (event !== "figures") throw new OptionError("on", "event", 'must be "figures"', event);
    if (typeof listener !== "function") throw new OptionError("on", "listener", "must be a function", listener);
    return this.#monitored("on").stream.on(listener);
  }

  /**
   * The figures of every monitored step that arrives from now on; ends when the optimizer is destroyed or the device lost.
   *
   * @throws as {@link on}.
   */
  figures(): AsyncIterableIterator<Figures> {
    return this.#monitored("figures").stream.iterate();
  }

  /** Resolves when the figures of all submitted steps have been delivered. */
  async flush(): Promise<void> {
    this.#alive("flush");
    await this.#reports?.settle();
  }

  /** Parameters, state and counts by tensor name, exact. Waits for the GPU. */
  async stateDict(): Promise<StateDict> {
    this.#alive("stateDict");
    this.#trains("stateDict");
    if (this.#microBatch !== 0) {
      throw new LifecycleError(
        "stateDict: call it after the last micro-batch of a step; the sums of the others are not saved",
      );
    }
    const snapshot = takeSnapshot(this.#parts, this.#timeline, this.#parts.memory.tensors);
    const { records } = this.#parts;
    return this.#withState((state, target) =>
      state.collectState(target, snapshot, (applied) => snapshot.groups.map((_, g) => records.at(applied, g))),
    );
  }

  /**
   * Loads a state dict. Going on from there is bit for bit the run that was saved, if the options are the same: hyper-parameters
   * are left as they are.
   *
   * @throws {StateDictError} with all differences; nothing has been changed then.
   */
  async loadStateDict(dict: StateDict): Promise<void> {
    this.#alive("loadStateDict");
    this.#trains("loadStateDict");
    await this.#withState(async (state, target) => {
      state.checkState(dict, target);
      await this.flush();
      this.#load(state, target, dict);
    });
  }

  /** A parameter's values; those of its master, where it has one and is being trained. Waits for the GPU. */
  async readParam(name: string): Promise<Float32Array> {
    this.#alive("readParam");
    const tensor = this.#tensor("readParam", name);
    const { settled, evaluation } = this.#parts;
    if (settled.master && !evaluation?.active) return (await this.readState(name)).param;
    const [data] = await readRanges(this.device, settled.label, [tensor.param]);
    return settled.formats.param.decode(data as ArrayBuffer, 0, tensor.size);
  }

  /** A tensor's step count, parameter and state slots by PyTorch's names. Waits for the GPU. */
  async readState(name: string): Promise<TensorState> {
    this.#alive("readState");
    const tensor = this.#tensor("readState", name);
    const snapshot = takeSnapshot(this.#parts, this.#timeline, [tensor]);
    return this.#withState(
      async (state, target) => (await state.readTensors(target, snapshot)).tensors[name] as TensorState,
    );
  }

  /** Overwrites a parameter, and its master. @throws {OptionError} @throws {LifecycleError} while others are in its place. */
  writeParam(name: string, data: Float32Array): void {
    this.#alive("writeParam");
    this.#trains("writeParam");
    const tensor = this.#write("writeParam", name, "param", data);
    const { overrides } = this.#parts.rules[tensor.rule] as RulePart;
    const master = extraSlot(overrides, "master_param");
    if (master !== undefined) writeSlot(this.device.queue, tensor, master, data);
  }

  /** Overwrites a gradient. @throws {OptionError} */
  writeGrad(name: string, data: Float32Array): void {
    this.#alive("writeGrad");
    this.#write("writeGrad", name, "grad", data);
  }

  /** The dynamic loss scale as a float32 on the device, to multiply the loss by; undefined without. */
  get lossScaleBinding(): BufferRange | undefined {
    return this.#parts.scale && { buffer: this.#parts.scale, offset: 0, size: 4 };
  }

  /** The loss scale and, if it is dynamic, its growth tracker. Waits for the GPU. */
  async readLossScale(): Promise<LossScaleState> {
    this.#alive("readLossScale");
    const { settled, scale } = this.#parts;
    if (!scale) return { scale: settled.staticLossScale, growthTracker: 0 };
    const { readScale } = await import("./loss-scaler.ts");
    return readScale(this.device, settled.label, scale);
  }

  /** Frees what the optimizer has made, and nothing else. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#reports?.destroy();
    const { step, memory, scale, ownsScale, evaluation } = this.#parts;
    evaluation?.destroy();
    step.destroy();
    for (const buffer of memory.buffers) buffer.destroy();
    if (ownsScale) scale?.destroy();
  }

  #headerSlot(): number {
    return (this.#timeline.steps * this.#parts.settled.microBatches + this.#microBatch) % HEADER_SLOTS;
  }

  /** @throws {LifecycleError} while other parameters are in place. */
  #trains(where: string): void {
    if (this.#parts.evaluation?.active)
      throw new LifecycleError(`${where}: the parameters to evaluate are in place; call train() first`);
  }

  /** Encodes a step; says whether it updates. */
  #encode(encoder: GPUCommandEncoder): boolean {
    const { step: host, records, settled } = this.#parts;
    const { microBatches, every } = settled;
    const updates = this.#microBatch === microBatches - 1;
    const timeline = this.#timeline;
    const step = timeline.steps + 1;
    const slot = this.#headerSlot();
    if (updates) timeline.prepare();
    host.buffers.writeHeader(slot, step, records.rows);
    const figures = updates && every > 0 && step % every === 0;
    const accumulate = microBatches === 1 ? "no" : this.#microBatch === 0 ? "first" : "more";
    host.encode(encoder, { slot, figures, accumulate, update: updates });
    this.#microBatch = updates ? 0 : this.#microBatch + 1;
    if (updates) timeline.advance();
    return updates;
  }

  #change(concerns: (group: Group, index: number) => boolean, changes: Readonly<Record<string, unknown>>): void {
    const { groups, records } = this.#parts;
    const changed = changedGroups(this.#parts, concerns, changes);
    const newTables = changed.some((g, i) => g.hyper !== groups[i]?.hyper);
    groups.splice(0, groups.length, ...changed);
    records.touch();
    this.#timeline.participation.review();
    if (newTables) this.#timeline.layOutRows();
  }

  #owner(where: string): Owner {
    return {
      checkAlive: () => this.#alive(where),
      adding: () => this.#addsUnderWay > 0,
      adopt: () => this.#adopt(),
      load: (state, dict) => {
        const target = state.targetOf(this.#parts);
        state.checkState(dict, target);
        this.#load(state, target, dict);
      },
    };
  }

  /** Loads a checked state dict. */
  #load(state: typeof import("./state.ts"), target: StateTarget, dict: StateDict): void {
    state.applyState(target, dict);
    this.#microBatch = 0;
    const pasts = dict.groups.map((g) => ({ dose: g.decayDose, carry: g.carry }));
    const countOf = (k: number): number => dict.tensors[target.tensors[k]?.name ?? ""]?.step ?? 0;
    this.#timeline.restart(dict.stepsApplied, dict.stepsSkipped, pasts, countOf);
    this.#reports?.monitor?.restart(this.#timeline.steps);
  }

  /** Takes on tensors that are new. */
  #adopt(): void {
    const { memory, step, settled, groups } = this.#parts;
    this.#byName.clear();
    for (const tensor of memory.tensors) this.#byName.set(tensor.name, tensor);
    step.buffers.setHeader({
      group_count: groups.length,
      tensor_count: memory.tensors.length,
      chunk_count: memory.chunks.length,
      unscale: settled.unscale,
      max_global_norm: settled.clip.globalNorm,
      max_tensor_norm: settled.clip.tensorNorm,
      skip_non_finite: Number(settled.skipNonFinite),
      clip_eps: settled.clip.eps,
      unit_factor: settled.clip.adaptive?.factor ?? 0,
      unit_eps: settled.clip.adaptive?.eps ?? 0,
    });
    this.#reports?.monitor?.resize(memory.tensors.length, step.buffers.figures.size);
  }

  /** Runs what needs the code of state dicts, which is loaded when first used. */
  async #withState<T>(run: (state: typeof import("./state.ts"), target: StateTarget) => T | Promise<T>): Promise<T> {
    const state = await import("./state.ts");
    return run(state, state.targetOf(this.#parts));
  }

  #monitored(where: string): Monitor {
    const monitor = this.#reports?.monitor;
    if (!monitor) throw new OptionError(where, "monitor", "must have been given at creation", undefined);
    return monitor;
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

  #write(where: string, name: string, which: "param" | "grad", data: Float32Array): Tensor {
    const tensor = this.#tensor(where, name);
    if (!(data instanceof Float32Array) || data.length !== tensor.size)
      throw new OptionError(where, `data (${name})`, `must be a Float32Array of ${tensor.size} elements`, data);
    const { buffer, offset } = tensor[which];
    if ((buffer.usage & COPY_DST) === 0)
      throw new OptionError(where, `buffer (${name})`, "must have usage COPY_DST", buffer.usage);
    this.device.queue.writeBuffer(buffer, offset, this.#parts.settled.formats[which].encode(data));
    return tensor;
  }

  #alive(where: string): void {
    if (this.#destroyed) throw new LifecycleError(`${where}: the optimizer is destroyed`);
    if (this.#lost !== undefined) throw new LifecycleError(`${where}: the device is lost: ${this.#lost}`);
  }
}

function handle({ name, shape, param, grad }: Tensor, formats: TensorFormats): TensorHandle {
  return { name, shape, param, grad, paramType: formats.param.type, gradType: formats.grad.type };
}
