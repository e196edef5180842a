/** From a model to a plan: everything a training step needs is made here, once. */
import { checkBoolean, checkKeys, checkNumber } from "../engine/checks.ts";
import { createOptimizer } from "../engine/create-optimizer.ts";
import type { Optimizer } from "../engine/optimizer.ts";
import type { BufferSlice, OptimizerOptions } from "../engine/options.ts";
import { DeviceError, OptionError } from "../errors.ts";
import { resolveLimits } from "../host/limits.ts";
import type { ElementType } from "../host/number-format.ts";
import { inScopes } from "../host/scopes.ts";
import { rowsOf } from "./activation.ts";
import { Arena, type ArenaLayout, type StepRegions } from "./arena-layout.ts";
import { type Dispatch, Operation } from "./dispatch.ts";
import { KernelCache } from "./kernel-cache.ts";
import { type Place, Region, type Runnable } from "./layer.ts";
import type { ByteInput } from "./linear.ts";
import type { Loss } from "./loss.ts";
import { type Lowered, lower, type Recorded, type Surroundings } from "./lowering.ts";
import { Model } from "./model.ts";
import { Plan, type PlanList } from "./plan.ts";
import { PlanBuffers } from "./plan-buffers.ts";
import { sizeOf } from "./shape.ts";

/** Options of an optimizer whose parameters are those of the model. */
export type OptimizerChoice = Omit<OptimizerOptions, "params">;

/** Where parameters and their gradients lie; an `Optimizer` is one. */
export interface TensorSource {
  tensor(name: string): {
    readonly param: BufferSlice;
    readonly grad: BufferSlice;
    /** Kernels of the kit take float32, which is the default. */
    readonly paramType?: ElementType;
    readonly gradType?: ElementType;
  };
}

/** Options of {@link compile}. */
export interface CompileOptions<Source extends OptimizerChoice | TensorSource = OptimizerChoice | TensorSource> {
  /** Capacity of a batch, in samples; a batch may hold less. */
  readonly batchSize: number;
  readonly loss: Loss;
  /** What the optimizer is to be, or one (or anything else) that has tensors with the names of the model's parameters. */
  readonly optimizer: Source;
  /** Of the initial parameters; default 0. Not for an optimizer that exists already. */
  readonly seed?: number;
  /** The input is bytes, which stand for these numbers. The first layer must be `linear` or `conv2d`. */
  readonly bytes?: ByteInput;
  /** Number of batch records, which keep the losses of several batches until they are read; default 1. */
  readonly slots?: number;
  /** Also compute the gradient of the input; default false. */
  readonly inputGradient?: boolean;
  /** Begins the label of every GPU object; default `nn`. */
  readonly label?: string;
}

const WHERE = "compile";

/**
 * Lays out activations and gradients, makes the optimizer, and records what a training step and an evaluation run.
 *
 * @throws {OptionError} for a bad option. @throws {DeviceError} if the device cannot hold it.
 * @throws {ShaderError} if the device refuses a kernel. Nothing stays allocated then.
 */
export async function compile<Source extends OptimizerChoice | TensorSource>(
  device: GPUDevice,
  model: Model,
  options: CompileOptions<Source>,
): Promise<Plan<Source extends TensorSource ? Source : Optimizer>> {
  const settled = settle(device, model, options);
  const { label, optimizer: given } = settled;
  const undo: (() => void)[] = [];
  try {
    let source: TensorSource;
    if (isSource(given)) source = given;
    else {
      const made = await createOptimizer(device, {
        ...given,
        label: given.label ?? label,
        params: model.init(settled.seed),
      });
      undo.push(() => made.destroy());
      source = made;
    }
    checkTensors(model, source);
    const plan = await assemble(device, model, settled, source, undo);
    return plan as Plan<Source extends TensorSource ? Source : Optimizer>;
  } catch (error) {
    for (const free of undo.reverse()) free();
    throw error;
  }
}

interface Settled {
  readonly batchSize: number;
  readonly loss: Loss;
  readonly optimizer: OptimizerChoice | TensorSource;
  readonly seed: number;
  readonly bytes: ByteInput | undefined;
  readonly slots: number;
  readonly inputGradient: boolean;
  readonly label: string;
}

function isSource(optimizer: OptimizerChoice | TensorSource): optimizer is TensorSource {
  return typeof (optimizer as Partial<TensorSource>).tensor === "function";
}

function settle(device: unknown, model: unknown, options: CompileOptions): Settled {
  if (typeof (device as Partial<GPUDevice> | null)?.createComputePipelineAsync !== "function")
    throw new OptionError(WHERE, "device", "must be a GPUDevice", device);
  if (!(model instanceof Model)) throw new OptionError(WHERE, "model", "must be a model", model);
  const known = ["batchSize", "loss", "optimizer", "seed", "bytes", "slots", "inputGradient", "label"];
  checkKeys(WHERE, "", options, known);
  const {
    batchSize,
    loss,
    optimizer,
    seed = 0,
    bytes,
    slots = 1,
    inputGradient = false,
    label = "nn",
  } = options as unknown as CompileOptions;
  checkNumber(WHERE, "batchSize", batchSize, { min: 1, max: 2 ** 16, whole: true });
  checkNumber(WHERE, "slots", slots, { min: 1, max: 2 ** 20, whole: true });
  if (typeof loss?.record !== "function") throw new OptionError(WHERE, "loss", "must be a loss such as mse()", loss);
  loss.check(model.output);
  if (typeof optimizer !== "object" || optimizer === null)
    throw new OptionError(WHERE, "optimizer", "must be options of an optimizer, or an optimizer", optimizer);
  checkBoolean(WHERE, "inputGradient", inputGradient);
  if (typeof label !== "string") throw new OptionError(WHERE, "label", "must be a text", label);
  if (!isSource(optimizer)) checkOwn(device as GPUDevice, model, optimizer);
  if (bytes !== undefined) checkBytes(model, bytes);
  return { batchSize, loss, optimizer, seed, bytes, slots, inputGradient, label };
}

/** What an optimizer of the model's own needs. */
function checkOwn(device: GPUDevice, model: Model, optimizer: OptimizerChoice): void {
  if (!("rule" in optimizer || "rules" in optimizer))
    throw new OptionError(WHERE, "optimizer", "must have a rule, as { rule: adamw() } has", optimizer);
  if ("params" in optimizer)
    throw new OptionError(WHERE, "optimizer.params", "must be left out: they are the model's", optimizer.params);
  if (model.params.length === 0) throw new OptionError(WHERE, "model", "must have parameters", model.params);
  // Before minutes go into initial values that have no place.
  const { maxBufferSize } = resolveLimits(device);
  for (const { name, shape } of model.params) {
    const bytes = 4 * sizeOf(shape);
    if (bytes > maxBufferSize)
      throw new DeviceError(`${WHERE}: ${name} has ${bytes} bytes, a buffer of this device at most ${maxBufferSize}`);
  }
}

function checkBytes(model: Model, bytes: ByteInput): void {
  checkKeys(WHERE, "bytes", bytes, ["scale", "shift"]);
  checkNumber(WHERE, "bytes.scale", bytes.scale);
  checkNumber(WHERE, "bytes.shift", bytes.shift);
  // Views of bytes are bytes.
  const held = new Set([model.inputValue]);
  for (const { value, layer } of model.nodes) {
    if (!value.inputs.some((input) => held.has(input))) continue;
    if (layer.view) held.add(value);
    else if (layer.readsBytes !== true)
      throw new OptionError(
        value.name,
        "input",
        "cannot be bytes: they must go into linear or conv2d first",
        layer.kind,
      );
  }
}

/** Sizes that fit, and no buffer that a kernel would have to read and to write. */
function checkTensors(model: Model, source: TensorSource): void {
  const tensors = model.params.map(({ name, shape }) => ({ ...source.tensor(name), name, shape }));
  const written = new Set(tensors.map(({ grad }) => grad?.buffer));
  for (const { name, shape, param, grad, paramType = "f32", gradType = "f32" } of tensors) {
    for (const [what, type] of Object.entries({ paramType, gradType }))
      if (type !== "f32") throw new OptionError(WHERE, `tensor("${name}").${what}`, 'must be "f32"', type);
    for (const [what, slice] of Object.entries({ param, grad })) {
      if (!slice?.buffer) throw new OptionError(WHERE, `tensor("${name}").${what}`, "must have a buffer", slice);
      const bytes = slice.size ?? slice.buffer.size - (slice.offset ?? 0);
      if (bytes < sizeOf(shape) * 4)
        throw new OptionError(WHERE, `tensor("${name}").${what}`, `must have ${sizeOf(shape) * 4} bytes`, bytes);
    }
    if (written.has(param.buffer))
      throw new OptionError(
        WHERE,
        `tensor("${name}").param`,
        "must not share a buffer with gradients",
        param.buffer.label,
      );
  }
}

async function assemble(
  device: GPUDevice,
  model: Model,
  settled: Settled,
  source: TensorSource,
  undo: (() => void)[],
): Promise<Plan<TensorSource>> {
  const { batchSize, loss, bytes, slots, label } = settled;
  const rows = rowsOf(batchSize);
  const buffers = await inScopes(device, WHERE, () => {
    const made = new PlanBuffers(device, label, {
      model,
      rows,
      bytes: bytes !== undefined,
      slots,
      target: loss.target,
    });
    undo.push(() => made.destroy());
    return made;
  });
  const kernels = new KernelCache(device, label);
  const around: Surroundings = {
    model,
    loss,
    rows,
    bytes,
    wantsInputGradient: settled.inputGradient,
    input: buffers.input,
    target: buffers.target,
    batch: buffers.batch,
    random: buffers.random,
    outcomes: buffers.outcomes,
    records: buffers.records,
    kernel: (...args) => kernels.get(...args),
    tensor: (name) => source.tensor(name),
    buffer: (name) => buffers.ofModel(name),
    constant: (name, values) => buffers.constant(name, values),
  };
  const lists = [lower(around, true), lower(around, false)] as const;
  const made = await Promise.all(lists.map(({ recorded }) => Promise.all(recorded.map(({ kernel }) => kernel))));
  const arena = new Arena(resolveLimits(device).maxBufferSize);
  const layouts = lists.map((list, i) => {
    const steps = list.recorded.map((step, k) => regionsOf(step, made[i]![k]!));
    return arena.layOut(
      steps,
      [list.output, list.inputGradient].filter((place) => place instanceof Region),
    );
  });
  return inScopes(device, WHERE, () => {
    buffers.allocateArena(arena.sizes);
    const [train, evaluate] = lists.map((list, i) => bind(list, made[i]!, layouts[i]!, buffers)) as [
      PlanList,
      PlanList,
    ];
    return new Plan(device, {
      model,
      batchSize,
      rows,
      source,
      buffers,
      ownsSource: source !== settled.optimizer,
      train,
      evaluate,
    });
  });
}

/** What a step touches. @throws {OptionError} if a kernel writes what it was not said to write, or the other way round. */
function regionsOf({ label, places, writes }: Recorded, kernel: Runnable<string>): StepRegions {
  const regions = { reads: [] as Region[], writes: [] as Region[] };
  for (const [name, place] of Object.entries(places)) {
    const written = writes.includes(name);
    if (kernel instanceof Operation) {
      const kind = kernel.kindOf(name);
      // Options may leave bindings unused: what would be there need not be alive.
      if (kind === undefined) continue;
      if ((kind === "write") !== written)
        throw new OptionError(label, "writes", `must list what the kernel writes: ${name} is "${kind}"`, writes);
    }
    if (place instanceof Region) regions[written ? "writes" : "reads"].push(place);
  }
  return { ...regions, scratchBytes: "scratchBytes" in kernel ? kernel.scratchBytes : 0 };
}

/** A list with its buffers: what runs, and where its results lie. */
function bind(
  { recorded, ...list }: Lowered,
  kernels: readonly Runnable<string>[],
  layout: ArenaLayout,
  buffers: PlanBuffers,
): PlanList {
  const sliceOf = (place: Place): BufferSlice => {
    const laid = place instanceof Region ? layout.places.get(place) : undefined;
    // What no kernel binds has no place; anything will do.
    if (place instanceof Region) return laid ? buffers.inArena(laid) : buffers.batch;
    return place;
  };
  const dispatches = recorded.map(({ places }, i): readonly Dispatch[] => {
    const kernel = kernels[i]!;
    const slices = Object.fromEntries(Object.entries(places).map(([name, place]) => [name, sliceOf(place)]));
    const scratch = layout.scratch[i];
    // Without scratch the binding is ignored, whatever stands for it.
    const made = kernel.on({ ...slices, scratch: scratch ? buffers.inArena(scratch) : buffers.batch });
    return Array.isArray(made) ? made : [made as Dispatch];
  });
  return {
    dispatches: dispatches.flat(),
    forward: dispatches.slice(0, list.forward).flat(),
    output: sliceOf(list.output),
    inputGradient: list.inputGradient && sliceOf(list.inputGradient),
  };
}
