/** Parameters and groups that come later. Loaded when first used. */
import { OptionError } from "../errors.ts";
import { inScopes } from "../host/scopes.ts";
import { type Group, type GroupOptions, type GroupSpec, resolveGroups } from "./groups.ts";
import type { OptimizerParts, RulePart } from "./optimizer.ts";
import { checkParams, type ParamSpec } from "./options.ts";
import { checkOverrides, overridesOf } from "./overrides.ts";
import type { Timeline } from "./timeline.ts";

/**
 * See `Optimizer.addParams`. Steps may be taken while it waits: until everything has been made and tried out, nothing is changed.
 *
 * @param owner `checkAlive` throws if the optimizer has been destroyed; `adopt` is called when the tensors are there.
 */
export async function addParams(
  parts: OptimizerParts,
  timeline: Timeline,
  params: readonly ParamSpec[],
  specs: readonly GroupSpec[],
  owner: { readonly checkAlive: () => void; readonly adopt: () => void },
): Promise<void> {
  const where = "addParams";
  const { device, memory, step, rules, records, groups, settled } = parts;
  const { name: _name, match: _match, initialLr: _initialLr, rule: _rule, hyper, ...defaults } = groups[0] as Group;
  const first = rules[0] as RulePart;
  const added = resolveGroups(first, { ...defaults, ...hyper } as GroupOptions, specs).slice(1);
  const clash = added.find((g) => groups.some((old) => old.name === g.name));
  if (clash) throw new OptionError(where, "groups: name", "must be unique", clash.name);
  const all = [...groups, ...added];
  const ofFirst = all.filter((g) => g.rule === 0);
  checkOverrides(where, "groups", specs, first.overrides, overridesOf(first, ofFirst, settled));
  const tensors = checkParams(where, params, rules, all, new Set(memory.tensors.map((t) => t.name)));
  const copies = rules.some(({ overrides }) => overrides.extraSlots.length > 0);
  const anchors = copies && (await import("./extra-slots.ts"));
  if (anchors) anchors.checkAnchors(where, all, tensors);

  const extension = memory.extension(where);
  try {
    await inScopes(device, where, () => extension.add(tensors));
    await step.compile(extension.windows);
    await inScopes(device, where, () => step.rehearse(extension.windows));
    owner.checkAlive();
  } catch (error) {
    for (const buffer of extension.buffers) buffer.destroy();
    // That is then the reason why.
    owner.checkAlive();
    throw error;
  }
  await inScopes(device, where, () => {
    const applied = timeline.possible.first - 1;
    const pasts = groups.map((_, g) => records.at(applied, g));
    memory.join(extension);
    groups.push(...added);
    step.layOut();
    records.restart(applied, pasts, groups.length);
    timeline.adopt();
    owner.adopt();
    if (anchors) anchors.fillExtraSlots(device, settled.label, rules, groups, extension.tensors);
    step.rehearse();
  });
}
