/** Parameters and groups that come later. Loaded when first used. */
import { OptionError } from "../errors.ts";
import { type Group, type GroupOptions, type GroupSpec, resolveGroups } from "./groups.ts";
import type { OptimizerParts } from "./optimizer.ts";
import { checkParams, type ParamSpec } from "./options.ts";
import { checkOverrides, overridesOf } from "./overrides.ts";
import type { Timeline } from "./timeline.ts";

/** See `Optimizer.addParams`. */
export async function addParams(
  parts: OptimizerParts,
  timeline: Timeline,
  params: readonly ParamSpec[],
  specs: readonly GroupSpec[],
  adopt: () => void,
): Promise<void> {
  const where = "addParams";
  const { memory, step, rule, records, groups, settled, overrides, complete } = parts;
  const { name: _name, match: _match, initialLr: _initialLr, hyper, ...defaults } = groups[0] as Group;
  const added = resolveGroups(rule, { ...defaults, ...hyper } as GroupOptions, specs).slice(1);
  const clash = added.find((g) => groups.some((old) => old.name === g.name));
  if (clash) throw new OptionError(where, "groups: name", "must be unique", clash.name);
  const all = [...groups, ...added];
  checkOverrides(where, "groups", specs, overrides, overridesOf(rule, all, settled));
  const known = memory.tensors.length;
  const tensors = checkParams(where, params, all, new Set(memory.tensors.map((t) => t.name)));
  const { first } = timeline.possible;
  const doses = groups.map((_, g) => records.at(first - 1, g).dose);
  memory.add(tensors);
  groups.push(...added);
  step.layOut();
  await step.compile();
  records.restart(first - 1, doses, groups.length);
  timeline.adopt();
  adopt();
  await complete(groups, known);
}
