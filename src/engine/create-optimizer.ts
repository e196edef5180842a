/** Makes optimizers. */
import { OptionError } from "../errors.ts";
import { type Limits, resolveLimits } from "../host/limits.ts";
import { Memory, type Storages, type Tensor } from "../host/memory.ts";
import { takenInFours } from "../host/number-format.ts";
import { inScopes } from "../host/scopes.ts";
import { StepEncoder } from "../host/step.ts";
import type { RuleKernels } from "../host/step-options.ts";
import { F32, F32X4, type Storage } from "../kernels/storage.ts";
import { averageWeights } from "./averages.ts";
import { checkKeys, checkNumber } from "./checks.ts";
import { GroupRecords } from "./group-records.ts";
import { type Group, type GroupOptions, resolveGroups } from "./groups.ts";
import { Optimizer, type RulePart } from "./optimizer.ts";
import { checkParams, type OptimizerOptions, type Settled, settle, wantsExtras } from "./options.ts";
import { overridesOf } from "./overrides.ts";
import type { HyperOptions, Rule, RuleDefinition } from "./rule.ts";
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
  const settled = settle(options, wantsExtras(options) ? await import("./extra-options.ts") : undefined);
  const { params, groups: specs = [], clip } = options;
  const common = commonOptions(options, clip?.value);
  const { rules, groups } =
    options.rules === undefined
      ? {
          rules: [{ ...(options.rule as Rule), match: undefined, state: options.state }],
          groups: resolveGroups(options.rule as Rule, common, specs),
        }
      : (await import("./several-rules.ts")).resolveRules("rules", options.rules, common, options.state);
  const quantization = rules.some(({ state }) => state !== undefined) && (await import("./quantization.ts"));
  if (quantization) quantization.checkFormats(rules, options.rules !== undefined);
  const tensors = checkParams(rules[0]?.definition.name ?? "", params, rules, groups, new Set(), settled);
  const parts = rules.map((rule, r): RulePart => {
    const own = groups.filter((g) => g.rule === r);
    return { ...rule, overrides: overridesOf(rule, own, settled), rows: new StepRows(rule.definition) };
  });
  if (parts.filter(({ definition }) => definition.settles === "together").length > 1)
    throw new OptionError(WHERE, "rules", "may hold one rule that settles on common numbers", rules.length);
  const limits = resolveLimits(device, tuning.limits);
  const { label } = settled;
  // Code that these options do not need is not loaded.
  const copies = parts.some(({ overrides }) => overrides.extraSlots.length > 0);
  const evaluates = settled.average !== undefined || rules.some(({ definition }) => definition.evaluates);
  const [anchors, scaling, reporting, monitoring, timing, evaluation] = await Promise.all([
    copies && import("./extra-slots.ts"),
    settled.lossScale && import("./loss-scaler.ts"),
    (settled.measures || settled.every > 0) && import("./reports.ts"),
    settled.every > 0 && import("./monitor.ts"),
    settled.timing && import("../host/pass-timer.ts"),
    evaluates && import("../host/evaluation.ts"),
  ]);
  if (timing) timing.checkTiming(WHERE, device);
  if (anchors) anchors.checkAnchors(WHERE, groups, tensors);

  const elements = tensors.reduce((n, t) => n + t.size, 0);
  const software = device.adapterInfo?.isFallbackAdapter === true;
  const wanted = software ? LARGEST_CHUNK : 2 ** Math.floor(Math.log2(Math.max(1, elements / CHUNKS_WANTED)));
  const {
    chunk = Math.min(LARGEST_CHUNK, Math.max(SMALLEST_CHUNK, wanted)),
    workgroup = software ? SOFTWARE_WORKGROUP : WORKGROUP,
  } = tuning;
  const slots = parts.map(({ overrides }) => overrides.ruleSlots + overrides.extraSlots.length);
  const quantized = quantization ? parts.map((part) => quantization.quantizedSlots(part, part.overrides)) : [];
  const memory = new Memory(device, WHERE, {
    label,
    limits,
    chunk,
    slots,
    quantized: quantized.map(({ QUANTIZED }) => QUANTIZED),
    formats: settled.formats,
    storages: await storagesOf(settled, quantization ? quantization.FORMAT : undefined),
    accumulates: settled.microBatches > 1,
  });
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
      const timer = timing ? new timing.PassTimer(device, label) : undefined;
      undo.push(() => timer?.destroy());
      const made = new StepEncoder(device, memory, {
        label,
        limits,
        workgroup,
        rules: parts.map(({ definition, overrides }, r) => ({
          quantized: quantized[r],
          wgsl: { path: definition.path ?? `rules/${definition.name}.wgsl`, text: definition.wgsl },
          overrides,
          modifiesDecay: overrides.modified,
          begins: overrides.begins,
          cautiousUpdates: overrides.cautiousUpdates,
          prepares: definition.prepares,
          settles: definition.settles,
          estimates: definition.estimates === true,
          evaluates: definition.evaluates === true,
          opens: definition.opens === true,
          finishes: definition.finishes === true,
          ...shapesOf(definition, groups),
        })),
        clipsUnits: settled.clip.adaptive !== undefined,
        averages: settled.lookahead !== undefined || settled.average !== undefined,
        measure: settled.measures ? { p: settled.clip.p, lossScale: scale ? (ownsScale ? 1 : 2) : 0 } : undefined,
        monitors: settled.every > 0,
        timer,
        clipsValue: groups.some((g) => g.clipValue !== Infinity),
        accumulates: settled.microBatches > 1,
        unscale: settled.unscale,
        roundingKey: settled.roundingKey,
        scaler: scale,
      });
      undo.push(() => made.destroy());
      return made;
    });
    await step.compile();
    const optimizer = await inScopes(device, WHERE, () => {
      const made = new Optimizer({
        device,
        rules: parts,
        settled,
        groups,
        memory,
        step,
        records: new GroupRecords(rules, groups.length, (update) => averageWeights(settled, update)),
        scale,
        ownsScale,
        evaluation: evaluation ? new evaluation.Evaluation(device, label) : undefined,
        reports: reporting ? (...of) => new reporting.Reports(...of, monitoring || undefined) : undefined,
      });
      undo.push(() => made.destroy());
      return made;
    });
    await inScopes(device, WHERE, () => {
      step.rehearse();
      if (anchors)
        anchors.fillExtraSlots(
          { device, step, rules: parts, groups, settled },
          memory.windows,
          memory.tensors,
          tensors,
        );
    });
    return optimizer;
  } catch (error) {
    for (const free of undo) free();
    throw error;
  }
}

/** The formats that windows may have. */
async function storagesOf({ formats }: Settled, blocks: Storage | undefined): Promise<Storages> {
  if (!takenInFours(formats)) return { four: F32X4, one: F32, ...(blocks && { blocks }) };
  const { withTypes } = await import("../kernels/half.ts");
  const typed = (storage: Storage): Storage => withTypes(storage, formats.param.type, formats.grad.type);
  return { four: typed(F32X4), ...(blocks && { blocks: typed(blocks) }) };
}

/** What a rule makes of the shapes of its tensors. */
function shapesOf(
  definition: RuleDefinition,
  groups: readonly Group[],
): Pick<RuleKernels, "numbersOf" | "factored" | "orthogonalizes"> {
  const { numbersOf, extraState, orthogonalizes, slots } = definition;
  const hyperOf = ({ group }: Tensor): HyperOptions => (groups[group] as Group).hyper;
  return {
    numbersOf: numbersOf && ((tensor) => numbersOf(hyperOf(tensor), tensor.shape)),
    factored: extraState && ((tensor) => extraState(hyperOf(tensor), tensor.shape).factored),
    orthogonalizes: orthogonalizes && {
      slot: slots.indexOf(orthogonalizes.slot),
      matrices: (tensor) => orthogonalizes.matrices(hyperOf(tensor), tensor.shape),
    },
  };
}

function checkTuning(tuning: unknown): void {
  checkKeys(WHERE, "tuning", tuning, ["chunk", "workgroup", "limits"]);
  const { chunk = 64, workgroup = 1 } = tuning;
  if (!(typeof chunk === "number" && chunk > 0 && chunk % 64 === 0))
    throw new OptionError(WHERE, "tuning.chunk", "must be a multiple of 64", chunk);
  checkNumber(WHERE, "tuning.workgroup", workgroup, { min: 1, max: 64, whole: true });
}

function commonOptions(options: OptimizerOptions, clipValue: number | undefined): GroupOptions {
  const { rule, rules, params, groups, clip, skipNonFinite, lossScale, accumulate, monitor, label, ...rest } = options;
  const { lookahead, ema, swa, state, storage, ...common } = rest;
  return { ...(clipValue === undefined ? {} : { clipValue }), ...common };
}
