/** State dicts: everything by tensor name, versioned, exact; hyper-parameters apart from state. */
import { StateDictError } from "../errors.ts";
import { dequantize, quantize } from "../host/blocks8.ts";
import type { Tensor } from "../host/memory.ts";
import type { TensorFormats } from "../host/number-format.ts";
import { extraPieces, rangeOf, type StatePiece, slotPieces, writeSlot } from "../host/state-layout.ts";
import { CONTROL, SHARED_NUMBERS, TENSOR_CONTROL, TENSOR_NUMBERS, Words } from "../kernels/layouts.ts";
import type { GroupPast } from "./group-records.ts";
import { type Group, valueAt } from "./groups.ts";
import { decodeScale, type LossScaleState, writeScale } from "./loss-scaler.ts";
import type { OptimizerParts } from "./optimizer.ts";
import { extraSlot, type Overrides } from "./overrides.ts";
import type { Carry, HyperOptions, RuleDefinition } from "./rule.ts";
import type { Snapshot } from "./snapshot.ts";

// GPUBufferUsage.COPY_DST; the global is not there in Node.
const COPY_DST = 0x8;
const FORMAT = "webgpu-optim/state";
const VERSION = 1;

/** State of one tensor. */
export interface TensorState {
  readonly shape: readonly number[];
  /** Updates of this tensor. */
  readonly step: number;
  readonly param: Float32Array;
  /** By PyTorch's names: `exp_avg`, `momentum_buffer`, ... */
  readonly slots: Readonly<Record<string, Float32Array>>;
  /** Numbers that a rule keeps for a whole tensor, by PyTorch's names: `exp_avg_sq` of NovoGrad. */
  readonly numbers?: Readonly<Record<string, number>>;
  /** Numbers that follow from step count and options, by PyTorch's names: `mu_product` of NAdam. Never loaded. */
  readonly scalars?: Readonly<Record<string, number>>;
}

/** Hyper-parameters of a group as they were; for people and tools, never loaded. Schedules are given by their value. */
export interface GroupState {
  readonly name: string;
  readonly tensors: readonly string[];
  readonly lr: number;
  readonly weightDecay: number;
  readonly decayMode: string;
  readonly hyper: HyperOptions;
  /** Sum of the fractions removed by decay so far; null for `coupled`. This one is state, and is loaded. */
  readonly decayDose: number | null;
  /** What the rule carries from update to update for this group: `weight_sum` of Schedule-Free. */
  readonly carry?: Carry;
}

/** A saved optimizer. */
export interface StateDict {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  /** Name of the rule; of several, joined by `+`. */
  readonly rule: string;
  /** Numbers that a rule keeps for all its tensors together: `d` of Prodigy. */
  readonly numbers?: Readonly<Record<string, number>>;
  readonly stepsApplied: number;
  readonly stepsSkipped: number;
  /** With dynamic loss scaling. */
  readonly lossScale?: LossScaleState;
  readonly groups: readonly GroupState[];
  readonly tensors: Readonly<Record<string, TensorState>>;
}

/** What a state dict is taken from or put into. */
export interface StateTarget {
  readonly device: GPUDevice;
  readonly label: string;
  readonly formats: TensorFormats;
  readonly rules: readonly { readonly definition: RuleDefinition; readonly overrides: Overrides }[];
  readonly tensors: readonly Tensor[];
  readonly groups: readonly Group[];
  readonly control: GPUBuffer;
  /** What the device is told of a tensor at first. */
  readonly initialControl: (tensor: Tensor) => Readonly<Record<string, number>>;
  /** Buffer of the dynamic loss scale. */
  readonly scale: GPUBuffer | undefined;
}

/** An optimizer as a target. */
export function targetOf({ device, settled, rules, memory, groups, step, scale }: OptimizerParts): StateTarget {
  return {
    device,
    label: settled.label,
    formats: settled.formats,
    rules,
    tensors: memory.tensors,
    groups,
    control: step.buffers.control,
    initialControl: (tensor) => step.buffers.initialControl(tensor),
    scale,
  };
}

/** A tensor's state that is saved: its parts by name, and where they lie. */
function slotsOf(
  target: StateTarget,
  tensor: Tensor,
): { name: string; size: number; pieces: StatePiece[]; signed: boolean }[] {
  const { definition, overrides } = ruleOf(target, tensor);
  const group = target.groups[tensor.group] as Group;
  const slot = (name: string, i: number) => ({
    name,
    size: tensor.size,
    pieces: slotPieces(tensor, i),
    signed: definition.quantizes?.[name] === "signed",
  });
  const own = definition.slots.flatMap((name, i) => {
    const used = i < overrides.ruleSlots && (definition.usesSlot?.(name, group.hyper) ?? true);
    return used && !definition.scratch?.includes(name) ? [slot(name, i)] : [];
  });
  const common = overrides.extraSlots.flatMap((name) =>
    name !== "master_param" && (name !== "anchor" || group.toward !== undefined)
      ? [slot(name, extraSlot(overrides, name) as number)]
      : [],
  );
  const { parts = [] } = definition.extraState?.(group.hyper, tensor.shape) ?? {};
  const extra = parts.map(({ name, at, size }) => ({
    name,
    size,
    pieces: extraPieces(tensor, at, size),
    signed: true,
  }));
  return [...own, ...common, ...extra];
}

/** The slot of the parameter's master, if it has one: that is what is saved as the parameter. */
function masterOf(target: StateTarget, tensor: Tensor): number | undefined {
  return extraSlot(ruleOf(target, tensor).overrides, "master_param");
}

function ruleOf({ rules }: StateTarget, tensor: Tensor): StateTarget["rules"][number] {
  return rules[tensor.rule] as StateTarget["rules"][number];
}

function nameOf({ rules }: StateTarget): string {
  return rules.map(({ definition }) => definition.name).join("+");
}

type NumberField = (typeof TENSOR_NUMBERS)[number] | (typeof SHARED_NUMBERS)[number];

/** Names of a rule's numbers that are kept, with the fields they lie in. */
function numbersOf<F extends NumberField>(
  { settles, numbers = [] }: RuleDefinition,
  kind: "tensor" | "together",
  fields: readonly F[],
): { name: string; field: F }[] {
  if (settles !== kind) return [];
  return numbers.flatMap((name, i) => (name === undefined ? [] : [{ name, field: fields[i] as F }]));
}

/** State of the tensors of a snapshot, and how many steps had been skipped. */
export async function readTensors(
  target: StateTarget,
  { tensors, counts, windows, data }: Snapshot,
): Promise<{
  skipped: number;
  scale: ArrayBuffer;
  numbers: Record<string, number> | undefined;
  tensors: Record<string, TensorState>;
}> {
  const [control, scale, ...memory] = (await data) as [ArrayBuffer, ArrayBuffer, ...ArrayBuffer[]];
  const words = new Words(control);
  const states = memory.map((buffer, i) => (i % 2 === 0 ? undefined : new Float32Array(buffer)));
  const gather = (size: number, pieces: readonly StatePiece[], signed = true): Float32Array => {
    const values = new Float32Array(size);
    for (const { window, first, from, count, scales } of pieces) {
      const source = states[2 * windows.indexOf(window) + 1] as Float32Array;
      if (scales === undefined) values.set(source.subarray(first, first + count), from);
      else
        values.set(dequantize(new Uint8Array(source.buffer, first * 4, count), source.subarray(scales), signed), from);
    }
    return values;
  };
  const { param: format } = target.formats;
  const paramOf = (tensor: Tensor): Float32Array => {
    const master = masterOf(target, tensor);
    if (master !== undefined) return gather(tensor.size, slotPieces(tensor, master));
    const values = new Float32Array(tensor.size);
    for (const { window, at, from, count } of tensor.pieces) {
      const bytes = memory[2 * windows.indexOf(window)] as ArrayBuffer;
      values.set(format.decode(bytes, at * format.bytes, count), from);
    }
    return values;
  };
  const result: [string, TensorState][] = [];
  for (const tensor of tensors) {
    const slots = slotsOf(target, tensor).map(
      ({ name, size, pieces, signed }) => [name, gather(size, pieces, signed)] as const,
    );
    const decided = words.read(TENSOR_CONTROL, CONTROL.length + tensor.index * TENSOR_CONTROL.length);
    const step = (counts[tensor.index] as number) - decided.skipped;
    const { definition } = ruleOf(target, tensor);
    const scalars = definition.scalars?.((target.groups[tensor.group] as Group).hyper, step);
    const numbers = numbersOf(definition, "tensor", TENSOR_NUMBERS).map(({ name, field }) => [name, decided[field]]);
    const read = {
      shape: tensor.shape,
      step,
      param: paramOf(tensor),
      slots: Object.fromEntries(slots),
      ...(numbers.length > 0 && { numbers: Object.fromEntries(numbers) }),
      ...(scalars && { scalars }),
    };
    result.push([tensor.name, read]);
  }
  const decided = words.read(CONTROL, 0);
  const shared = sharedNumbers(target).map(({ name, field }) => [name, decided[field]]);
  const numbers = shared.length > 0 ? Object.fromEntries(shared) : undefined;
  return { skipped: decided.skipped, scale, numbers, tensors: Object.fromEntries(result) };
}

function sharedNumbers({ rules }: StateTarget): { name: string; field: (typeof SHARED_NUMBERS)[number] }[] {
  return rules.flatMap(({ definition }) => numbersOf(definition, "together", SHARED_NUMBERS));
}

/** A state dict of a snapshot. `pastOf` is asked for what the groups carry once the number of updates is known. */
export async function collectState(
  target: StateTarget,
  snapshot: Snapshot,
  pastOf: (applied: number) => readonly GroupPast[],
): Promise<StateDict> {
  const { skipped, scale, numbers, tensors } = await readTensors(target, snapshot);
  const { steps, groups } = snapshot;
  const stepsApplied = steps - skipped;
  const pasts = pastOf(stepsApplied);
  return {
    format: FORMAT,
    version: VERSION,
    rule: nameOf(target),
    ...(numbers && { numbers }),
    stepsApplied,
    stepsSkipped: skipped,
    ...(target.scale ? { lossScale: decodeScale(scale) } : {}),
    groups: groups.map((g, i) => ({
      name: g.name,
      tensors: snapshot.tensors.filter((t) => t.group === i).map((t) => t.name),
      lr: valueAt(g.lr, stepsApplied) * g.lrScale,
      weightDecay: valueAt(g.weightDecay, stepsApplied),
      decayMode: g.decayMode,
      hyper: g.hyper,
      decayDose: pasts[i]?.dose ?? null,
      ...(pasts[i]?.carry && { carry: pasts[i].carry }),
    })),
    tensors,
  };
}

/** Neither 0 nor infinite as the float32 that it becomes. */
function isScale(x: unknown): boolean {
  return typeof x === "number" && Math.fround(x) >= 2 ** -126 && Math.fround(x) < Infinity;
}

/** @throws {StateDictError} with every difference. */
export function checkState(state: StateDict, target: StateTarget): void {
  if (typeof state !== "object" || state === null)
    throw new StateDictError([`must be a state dict, got ${state === null ? "null" : typeof state}`]);
  if (state.format !== FORMAT)
    throw new StateDictError([`format must be ${FORMAT}, got ${JSON.stringify(state.format)}`]);
  if (state.version !== VERSION)
    throw new StateDictError([`version must be ${VERSION}, got ${JSON.stringify(state.version)}`]);
  const differences: string[] = [];
  const expect = (what: string, ok: boolean, must: string, got: unknown): void => {
    if (!ok)
      differences.push(`${what} must be ${must}, got ${typeof got === "string" ? JSON.stringify(got) : String(got)}`);
  };
  const count = (x: unknown): boolean => Number.isInteger(x) && (x as number) >= 0 && (x as number) < 2 ** 31;
  expect("rule", state.rule === nameOf(target), nameOf(target), state.rule);
  const finite = (what: string, got: unknown): void =>
    expect(what, typeof got === "number" && Number.isFinite(Math.fround(got)), "a finite number", got);
  for (const { name } of sharedNumbers(target)) finite(`numbers.${name}`, state.numbers?.[name]);
  expect("stepsApplied", count(state.stepsApplied), "a whole number >= 0", state.stepsApplied);
  expect("stepsSkipped", count(state.stepsSkipped), "a whole number >= 0", state.stepsSkipped);
  if (target.scale) {
    expect("lossScale.scale", isScale(state.lossScale?.scale), "a float32 > 0", state.lossScale?.scale);
    expect(
      "lossScale.growthTracker",
      count(state.lossScale?.growthTracker),
      "a whole number >= 0",
      state.lossScale?.growthTracker,
    );
  } else if (state.lossScale !== undefined) differences.push("lossScale: this optimizer has no dynamic loss scale");

  const groupNames = target.groups.map((g) => g.name).join(", ");
  if (!Array.isArray(state.groups)) differences.push(`groups must be a list, got ${String(state.groups)}`);
  else {
    expect(
      "groups",
      state.groups.map((g: GroupState | null) => g?.name).join(", ") === groupNames,
      groupNames,
      state.groups.map((g: GroupState | null) => g?.name).join(", "),
    );
    (state.groups as (GroupState | null)[]).forEach((g, i) => {
      const { recursion } = target.rules[target.groups[i]?.rule ?? 0]?.definition ?? {};
      for (const name of Object.keys(recursion?.start ?? {}))
        finite(`groups: ${g?.name}: carry.${name}`, g?.carry?.[name]);
      expect(
        `groups: ${g?.name}: decayDose`,
        g?.decayDose === null || (Number.isFinite(g?.decayDose) && (g?.decayDose ?? -1) >= 0),
        "a number >= 0 or null",
        g?.decayDose,
      );
    });
  }
  const tensors: Readonly<Record<string, TensorState>> =
    typeof state.tensors === "object" && state.tensors !== null ? state.tensors : {};
  const known = new Set(target.tensors.map((t) => t.name));
  for (const name of Object.keys(tensors)) if (!known.has(name)) differences.push(`tensors: ${name} is unknown here`);
  const values = (what: string, got: unknown, size: number): void => {
    expect(
      what,
      got instanceof Float32Array && got.length === size,
      `a Float32Array of ${size} elements`,
      got instanceof Float32Array ? `${got.length} elements` : typeof got,
    );
  };
  for (const tensor of target.tensors) {
    const at = `tensors: ${tensor.name}`;
    const got = Object.hasOwn(tensors, tensor.name) ? tensors[tensor.name] : undefined;
    if (typeof got !== "object" || got === null) {
      differences.push(`${at} is missing`);
      continue;
    }
    expect(
      `${at}: shape`,
      Array.isArray(got.shape) && got.shape.join() === tensor.shape.join(),
      `[${tensor.shape.join()}]`,
      `[${String(got.shape)}]`,
    );
    expect(
      `${at}: step`,
      count(got.step) && got.step <= state.stepsApplied,
      "a whole number of at most stepsApplied",
      got.step,
    );
    values(`${at}: param`, got.param, tensor.size);
    for (const { name } of numbersOf(ruleOf(target, tensor).definition, "tensor", TENSOR_NUMBERS))
      finite(`${at}: numbers.${name}`, got.numbers?.[name]);
    const { usage } = tensor.param.buffer;
    expect(`${at}: usage of the buffer to load into`, (usage & COPY_DST) !== 0, "COPY_DST", usage);
    const slots = slotsOf(target, tensor);
    const gotSlots = typeof got.slots === "object" && got.slots !== null ? got.slots : {};
    for (const { name, size } of slots) values(`${at}: slots.${name}`, gotSlots[name], size);
    for (const name of Object.keys(gotSlots))
      if (!slots.some((s) => s.name === name)) differences.push(`${at}: slots.${name} is unknown here`);
  }
  if (differences.length > 0) throw new StateDictError(differences);
}

/** Writes a checked state dict to the device. */
export function applyState(target: StateTarget, state: StateDict): void {
  const { queue } = target.device;
  for (const tensor of target.tensors) {
    const { param, slots } = state.tensors[tensor.name] as TensorState;
    queue.writeBuffer(tensor.param.buffer, tensor.param.offset, target.formats.param.encode(param));
    const master = masterOf(target, tensor);
    if (master !== undefined) writeSlot(queue, tensor, master, param);
    for (const { name, pieces, signed } of slotsOf(target, tensor)) {
      const values = slots[name] as Float32Array;
      for (const piece of pieces) {
        const { buffer, offset } = rangeOf(piece);
        const { from, count, scales: scalesAt } = piece;
        if (scalesAt === undefined) queue.writeBuffer(buffer, offset, values as Float32Array<ArrayBuffer>, from, count);
        else {
          const { codes, scales } = quantize(values.subarray(from, from + count), signed);
          queue.writeBuffer(buffer, offset, codes);
          queue.writeBuffer(buffer, piece.window.state.offset + scalesAt * 4, scales);
        }
      }
    }
  }
  const control = new Words(CONTROL.length + TENSOR_CONTROL.length * target.tensors.length);
  control.write(CONTROL, 0, {
    step: state.stepsApplied + state.stepsSkipped,
    skipped: state.stepsSkipped,
    loss_scale: 1,
    clip: 1,
    ...Object.fromEntries(sharedNumbers(target).map(({ name, field }) => [field, state.numbers?.[name] ?? 0])),
  });
  target.tensors.forEach((tensor, k) => {
    const { name: tensorName } = tensor;
    const numbers = numbersOf(ruleOf(target, tensor).definition, "tensor", TENSOR_NUMBERS).map(
      ({ name, field }) => [field, state.tensors[tensorName]?.numbers?.[name] ?? 0] as const,
    );
    const decided = { ...target.initialControl(tensor), ...Object.fromEntries(numbers) };
    control.write(TENSOR_CONTROL, CONTROL.length + k * TENSOR_CONTROL.length, decided);
  });
  queue.writeBuffer(target.control, 0, control.u32);
  if (target.scale && state.lossScale) writeScale(target.device, target.scale, state.lossScale);
}
