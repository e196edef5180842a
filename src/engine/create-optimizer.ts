/** Makes optimizers. */
import { OptionError } from "../errors.ts";
import { type Limits, resolveLimits } from "../host/limits.ts";
import { Memory } from "../host/memory.ts";
import { inScopes } from "../host/scopes.ts";
import { StepEncoder } from "../host/step.ts";
import { checkKeys, checkNumber } from "./checks.ts";
import { GroupRecords } from "./group-records.ts";
import { type GroupOptions, resolveGroups } from "./groups.ts";
import { Optimizer } from "./optimizer.ts";
import { checkParams, type OptimizerOptions, settle } from "./options.ts";
import { overridesOf } from "./overrides.ts";
import { StepRows } from "./step-rows.ts";

/**
 * Tuning, and what tests use to reach rare paths cheaply: elements per chunk (a multiple of 64), invocations per workgroup (1 to
 * 64), and device limits to be assumed. The defaults suit the adapter.
 */
export interface Tuning {
  readonly chunk?: number;
  readonly workgroup?: number;
  readonly limits?: Partial<Limits>;
}

const WHERE = "createOptimizer";

// A GPU: chunks small enough that there are workgroups to occupy it, large enough that a partial per invocation and chunk (1 KiB)
// is little beside the chunk.
const LARGEST_CHUNK = 16_384;
const SMALLEST_CHUNK = 1024;
const CHUNKS_WANTED = 256;
const WORKGROUP = 64;
// A software adapter has few cores and no latency to hide, and every four invocations repeat what is done once per chunk: 500
// tensors of 2000 elements took 36 ms with workgroups of 64 and 19 ms with 4.
const SOFTWARE_WORKGROUP = 4;

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
    throw new OptionError(WHERE, "device", "must be a GPUDevice", device);
  checkTuning(tuning);
  const settled = settle(options);
  const { rule, params, groups: specs = [], clip } = options;
  const groups = resolveGroups(rule, commonOptions(options, clip?.value), specs);
  const tensors = checkParams(rule.definition.name, params, groups, new Set());
  const overrides = overridesOf(rule, groups, settled);
  const limits = resolveLimits(device, tuning.limits);
  const { label } = settled;
  // Code that these options do not need is not loaded.
  const [anchors, scaling, monitoring] = await Promise.all([
    overrides.anchors && import("./anchors.ts"),
    settled.lossScale && import("./loss-scaler.ts"),
    settled.every > 0 && import("./monitor.ts"),
  ]);
  if (anchors) anchors.checkAnchors(WHERE, groups, tensors);

  const elements = tensors.reduce((n, t) => n + t.size, 0);
  const software = device.adapterInfo?.isFallbackAdapter === true;
  const wanted = software ? LARGEST_CHUNK : 2 ** Math.floor(Math.log2(Math.max(1, elements / CHUNKS_WANTED)));
  const {
    chunk = Math.min(LARGEST_CHUNK, Math.max(SMALLEST_CHUNK, wanted)),
    workgroup = software ? SOFTWARE_WORKGROUP : WORKGROUP,
  } = tuning;
  const slots = overrides.ruleSlots + Number(overrides.anchors);
  const memory = new Memory(device, WHERE, { label, limits, chunk, slots, accumulates: settled.microBatches > 1 });
  const undo = [
    () => {
      for (const buffer of memory.buffers) buffer.destroy();
    },
  ];
  try {
    const { scale, ownsScale } = await inScopes(device, WHERE, () => {
      const opened = scaling
        ? scaling.openScale(device, label, settled.lossScale)
        : { scale: undefined, ownsScale: false };
      if (opened.ownsScale) undo.push(() => opened.scale?.destroy());
      memory.add(tensors);
      return opened;
    });
    const step = await inScopes(device, WHERE, () => {
      const made = new StepEncoder(device, memory, {
        label,
        limits,
        workgroup,
        rule: { path: rule.definition.path ?? `rules/${rule.definition.name}.wgsl`, text: rule.definition.wgsl },
        ruleOverrides: overrides.rule,
        updateOverrides: overrides.shell,
        measure: settled.measures ? { p: settled.clip.p, lossScale: scale ? (ownsScale ? 1 : 2) : 0 } : undefined,
        monitors: settled.every > 0,
        modifiesDecay: overrides.modified,
        clipsValue: overrides.shell.CLIP_VALUE === 1,
        accumulates: settled.microBatches > 1,
        unscale: settled.unscale,
        scaler: scale,
      });
      undo.push(() => made.destroy());
      return made;
    });
    await step.compile();
    const optimizer = await inScopes(device, WHERE, () => {
      const made = new Optimizer({
        device,
        rule,
        settled,
        groups,
        overrides,
        memory,
        step,
        records: new GroupRecords(rule, groups.length),
        rows: new StepRows(rule.definition),
        scale,
        ownsScale,
        monitor: monitoring ? (source) => new monitoring.Monitor(device, label, source) : undefined,
      });
      undo.push(() => made.destroy());
      return made;
    });
    await inScopes(device, WHERE, () => {
      if (anchors) anchors.writeAnchors(device, label, groups, memory.tensors, overrides.ruleSlots);
      step.rehearse();
    });
    return optimizer;
  } catch (error) {
    for (const free of undo) free();
    throw error;
  }
}

function checkTuning(tuning: unknown): void {
  checkKeys(WHERE, "tuning", tuning, ["chunk", "workgroup", "limits"]);
  const { chunk = 64, workgroup = 1 } = tuning;
  if (!(typeof chunk === "number" && chunk > 0 && chunk % 64 === 0))
    throw new OptionError(WHERE, "tuning.chunk", "must be a multiple of 64", chunk);
  checkNumber(WHERE, "tuning.workgroup", workgroup, { min: 1, max: 64, whole: true });
}

function commonOptions(options: OptimizerOptions, clipValue: number | undefined): GroupOptions {
  const { rule, params, groups, clip, skipNonFinite, lossScale, accumulate, monitor, label, ...common } = options;
  return { ...(clipValue === undefined ? {} : { clipValue }), ...common };
}
