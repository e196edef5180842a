/** Makes optimizers. */
import { DeviceError, OptionError } from "../errors.ts";
import { type Limits, resolveLimits } from "../host/limits.ts";
import { Memory, type Tensor } from "../host/memory.ts";
import { StepEncoder } from "../host/step.ts";
import { GroupRecords } from "./group-records.ts";
import { type Group, type GroupOptions, resolveGroups } from "./groups.ts";
import { createScaleBuffer, LossScaler } from "./loss-scaler.ts";
import { Optimizer } from "./optimizer.ts";
import { checkParams, type OptimizerOptions, settle } from "./options.ts";
import { overridesOf } from "./overrides.ts";
import { slotRanges, writeFloats } from "./state.ts";
import { StepRows } from "./step-rows.ts";

/** Tuning, and what tests use to reach rare paths cheaply: chunk size in elements (a multiple of 64), and limits to be assumed. */
export interface Tuning {
  readonly chunk?: number;
  readonly limits?: Partial<Limits>;
}

// Partials take 1 KiB per chunk and region: 1.6 % of a float32 tensor at 16 Ki elements. Small models get smaller chunks, so that
// there are enough workgroups to occupy a GPU.
const LARGEST_CHUNK = 16_384;
const SMALLEST_CHUNK = 1024;
const CHUNKS_WANTED = 256;

/**
 * An optimizer on `device`, which stays the caller's. It takes over no buffer: arena memory is its own, attached memory yours.
 *
 * @throws {OptionError} for a bad option. @throws {DeviceError} if the device cannot hold it, or a buffer is not the device's.
 * @throws {ShaderError} if the device refuses a kernel. Nothing stays allocated then.
 */
export async function createOptimizer(
  device: GPUDevice,
  options: OptimizerOptions,
  tuning: Tuning = {},
): Promise<Optimizer> {
  if (typeof device?.createComputePipelineAsync !== "function")
    throw new OptionError("createOptimizer", "device", "must be a GPUDevice", device);
  const settled = settle(options);
  const { rule, params, groups: specs = [], clip } = options;
  const groups = resolveGroups(rule, commonOptions(options, clip?.value), specs);
  const tensors = checkParams(rule.definition.name, params, groups, new Set());
  const overrides = overridesOf(rule, groups, settled);
  const limits = resolveLimits(device, tuning.limits);
  const { label } = settled;
  checkAnchors(groups, tensors);

  const elements = tensors.reduce((n, t) => n + t.size, 0);
  const chunk =
    tuning.chunk ??
    Math.min(
      LARGEST_CHUNK,
      Math.max(SMALLEST_CHUNK, 2 ** Math.floor(Math.log2(Math.max(1, elements / CHUNKS_WANTED)))),
    );
  const slots = overrides.ruleSlots + Number(overrides.anchors);
  const memory = new Memory(device, { label, limits, chunk, slots, accumulates: settled.microBatches > 1 });
  const shared = settled.lossScale instanceof LossScaler ? settled.lossScale : undefined;
  const scale =
    shared?.binding.buffer ??
    createScaleBuffer(device, label, settled.lossScale as Exclude<typeof settled.lossScale, LossScaler>);
  let step: StepEncoder | undefined;
  try {
    await inScopes(device, () => memory.add(tensors));
    step = await StepEncoder.create(device, memory, {
      label,
      limits,
      rule: { path: rule.definition.path ?? `rules/${rule.definition.name}.wgsl`, text: rule.definition.wgsl },
      ruleOverrides: overrides.rule,
      updateOverrides: overrides.shell,
      measure: settled.measures
        ? { p: settled.clip.p, lossScale: settled.lossScale === undefined ? 0 : shared ? 2 : 1 }
        : undefined,
      monitors: settled.every > 0,
      clipsValue: overrides.shell.CLIP_VALUE === 1,
      accumulates: settled.microBatches > 1,
      unscale: settled.unscale,
      scaler: scale,
    });
    const host = step;
    const complete = (all: readonly Group[], firstTensor: number): Promise<void> =>
      inScopes(device, () => {
        writeAnchors(device, all, memory.tensors.slice(firstTensor), overrides.ruleSlots);
        host.rehearse();
      });
    const records = new GroupRecords(rule, groups.length);
    const rows = new StepRows(rule.definition);
    const optimizer = new Optimizer({
      device,
      rule,
      settled,
      groups,
      overrides,
      memory,
      step,
      records,
      rows,
      scale,
      ownsScale: !shared,
      complete,
    });
    await complete(groups, 0);
    return optimizer;
  } catch (error) {
    step?.destroy();
    for (const buffer of memory.buffers) buffer.destroy();
    if (!shared) scale.destroy();
    throw error;
  }
}

function commonOptions(options: OptimizerOptions, clipValue: number | undefined): GroupOptions {
  const { rule, params, groups, clip, skipNonFinite, lossScale, accumulate, monitor, label, ...common } = options;
  return { ...(clipValue === undefined ? {} : { clipValue }), ...common };
}

/** Runs `make` so that what the device refuses, or has no memory for, becomes an error here. */
async function inScopes(device: GPUDevice, make: () => void): Promise<void> {
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  let thrown: unknown;
  try {
    make();
  } catch (error) {
    thrown = error;
  }
  const [invalid, memory] = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
  if (thrown instanceof RangeError)
    throw new DeviceError(`createOptimizer: out of memory: ${thrown.message}`, { cause: thrown });
  if (thrown) throw thrown;
  if (memory) throw new DeviceError(`createOptimizer: out of memory: ${memory.message}`);
  if (invalid)
    throw new DeviceError(
      `createOptimizer: the device refused a buffer (destroyed, of another device, or too large): ${invalid.message}`,
    );
}

/** Values given to `toward` must be there and fit. */
function checkAnchors(
  groups: readonly Group[],
  tensors: readonly { name: string; size: number; group: number }[],
): void {
  for (const { name, size, group } of tensors) {
    const toward = groups[group]?.toward;
    if (typeof toward !== "object") continue;
    const values = Object.hasOwn(toward, name) ? toward[name] : undefined;
    if (!(values instanceof Float32Array) || values.length !== size)
      throw new OptionError("createOptimizer", `toward: ${name}`, `must be a Float32Array of ${size} elements`, values);
  }
}

/** Puts the anchors of tensors into their slot: the parameters as they are now, or the values given. */
function writeAnchors(device: GPUDevice, groups: readonly Group[], tensors: readonly Tensor[], slot: number): void {
  const encoder = device.createCommandEncoder({ label: "optim anchors" });
  for (const tensor of tensors) {
    const toward = groups[tensor.group]?.toward;
    for (const { buffer, offset, size, from, count } of toward === undefined ? [] : slotRanges(tensor, slot)) {
      if (toward === "initial")
        encoder.copyBufferToBuffer(tensor.param.buffer, tensor.param.offset + from * 4, buffer, offset, size);
      else if (toward) writeFloats(device.queue, buffer, offset, toward[tensor.name] as Float32Array, from, count);
    }
  }
  device.queue.submit([encoder.finish()]);
}
