/** Parameters and groups that come later. Loaded when first used. */
import { LifecycleError, OptionError } from "../errors.ts";
import type { Memory, TensorSpec, Window } from "../host/memory.ts";
import { inScopes } from "../host/scopes.ts";
import { type Group, type GroupOptions, type GroupSpec, resolveGroups } from "./groups.ts";
import type { OptimizerParts, RulePart } from "./optimizer.ts";
import { checkParams, type ParamSpec } from "./options.ts";
import { checkOverrides, overridesOf } from "./overrides.ts";
import type { StateDict } from "./state.ts";
import type { Timeline } from "./timeline.ts";

/** The optimizer that parameters are added to. */
export interface Owner {
  /** @throws {LifecycleError} if the optimizer has been destroyed. */
  readonly checkAlive: () => void;
  /** Whether an `addParams` has begun and not ended. */
  readonly adding: () => boolean;
  /** Tensors have come. */
  readonly adopt: () => void;
  /** Loads a state dict, whatever is under way. @throws {StateDictError} */
  readonly load: (state: typeof import("./state.ts"), dict: StateDict) => void;
}

/** See `Optimizer.openParams`. */
export interface OpenParams {
  /** As `addParams`, at once, to groups that are there. */
  add(params: readonly ParamSpec[]): Promise<void>;
  /** As `loadStateDict`, at once; before the first step. */
  load(dict: StateDict): void;
}

type ExtraSlots = typeof import("./extra-slots.ts");

/** What is to be added, checked. */
interface Addition {
  readonly groups: readonly Group[];
  readonly tensors: readonly TensorSpec[];
}

/** See `Optimizer.addParams`. Steps may be taken while it waits: until everything has been made and tried out, nothing is changed. */
export async function addParams(
  parts: OptimizerParts,
  timeline: Timeline,
  params: readonly ParamSpec[],
  specs: readonly GroupSpec[],
  owner: Owner,
): Promise<void> {
  const where = "addParams";
  const { device, memory, step } = parts;
  const slots = await loadExtraSlots(parts);
  const addition = check(where, parts, params, specs, slots);
  const extension = memory.extension(where);
  try {
    await inScopes(device, where, () => extension.add(addition.tensors));
    await step.compile(extension.windows, extension.tensors);
    await inScopes(device, where, () => step.rehearse(extension.windows));
    owner.checkAlive();
  } catch (error) {
    step.drop(extension.windows);
    for (const buffer of extension.buffers) buffer.destroy();
    // That is then the reason why.
    owner.checkAlive();
    throw error;
  }
  await inScopes(device, where, () => {
    join(parts, timeline, addition, extension, owner, slots);
    step.rehearse();
  });
}

/** See `Optimizer.openParams`. */
export async function openParams(parts: OptimizerParts, timeline: Timeline, owner: Owner): Promise<OpenParams> {
  const where = "openParams";
  const { device, memory, step } = parts;
  const [slots, state] = await Promise.all([loadExtraSlots(parts), import("./state.ts")]);
  // All that `compile` asks of a window is how its elements are packed.
  const matrices = parts.rules.find(({ definition }) => definition.orthogonalizes);
  if (matrices)
    throw new OptionError(where, "rule", "must not be one that orthogonalizes matrices", matrices.definition.name);
  const any = parts.rules.flatMap((_, rule) => memory.storages.map((storage) => ({ storage, rule }) as Window));
  await step.compile(any, []);
  owner.checkAlive();
  if (memory.chunks.length === 0) memory.tensors.splice(0);
  const add = (params: readonly ParamSpec[]): Promise<void> => {
    owner.checkAlive();
    if (owner.adding()) throw new LifecycleError(`${where}: addParams is under way; await it first`);
    const addition = check(where, parts, params, [], slots);
    const extension = memory.extension(where);
    let thrown: { error: unknown } | undefined;
    const accepted = inScopes(device, where, () => {
      try {
        extension.add(addition.tensors);
      } catch (error) {
        for (const buffer of extension.buffers) buffer.destroy();
        thrown = { error };
        throw error;
      }
      join(parts, timeline, addition, extension, owner, slots);
    });
    if (!thrown) return accepted;
    accepted.catch(() => {});
    throw thrown.error;
  };
  const load = (dict: StateDict): void => {
    owner.checkAlive();
    if (timeline.steps > 0) throw new LifecycleError(`${where}: after a step, await loadStateDict`);
    owner.load(state, dict);
  };
  return { add, load };
}

async function loadExtraSlots({ rules }: OptimizerParts): Promise<ExtraSlots | undefined> {
  return rules.some(({ overrides }) => overrides.extraSlots.length > 0) ? import("./extra-slots.ts") : undefined;
}

/** @throws {OptionError} */
function check(
  where: string,
  { memory, rules, groups, settled }: OptimizerParts,
  params: readonly ParamSpec[],
  specs: readonly GroupSpec[],
  slots: ExtraSlots | undefined,
): Addition {
  const { name: _name, match: _match, initialLr: _initialLr, rule: _rule, hyper, ...defaults } = groups[0] as Group;
  const first = rules[0] as RulePart;
  const added = resolveGroups(first, { ...defaults, ...hyper } as GroupOptions, specs).slice(1);
  const clash = added.find((g) => groups.some((old) => old.name === g.name));
  if (clash) throw new OptionError(where, "groups: name", "must be unique", clash.name);
  const all = [...groups, ...added];
  const ofFirst = all.filter((g) => g.rule === 0);
  checkOverrides(where, "groups", specs, first.overrides, overridesOf(first, ofFirst, settled));
  const tensors = checkParams(where, params, rules, all, new Set(memory.tensors.map((t) => t.name)), settled);
  slots?.checkAnchors(where, all, tensors);
  return { groups: added, tensors };
}

/** Takes over what has been made. Within error scopes. */
function join(
  parts: OptimizerParts,
  timeline: Timeline,
  addition: Addition,
  extension: Memory,
  owner: Owner,
  slots: ExtraSlots | undefined,
): void {
  const { memory, step, records, groups } = parts;
  const applied = timeline.possible.first - 1;
  const pasts = groups.map((_, g) => records.at(applied, g));
  memory.join(extension);
  groups.push(...addition.groups);
  step.buffers.layOut();
  records.restart(applied, pasts, groups.length);
  timeline.adopt();
  owner.adopt();
  slots?.fillExtraSlots(parts, extension.windows, extension.tensors, addition.tensors);
}
