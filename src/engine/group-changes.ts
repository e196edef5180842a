/** Changes of options while an optimizer runs. */
import { OptionError } from "../errors.ts";
import { changeGroup, type Group } from "./groups.ts";
import type { OptimizerParts, RulePart } from "./optimizer.ts";
import { checkOverrides, overridesOf } from "./overrides.ts";

/**
 * The groups as they are with `changes`; nothing has been changed yet.
 *
 * @throws {OptionError} for a bad value, and for what would need kernel code or state that no group asked for at creation.
 */
export function changedGroups(
  { groups, rules, settled }: Pick<OptimizerParts, "groups" | "rules" | "settled">,
  concerns: (group: Group, index: number) => boolean,
  changes: Readonly<Record<string, unknown>>,
): Group[] {
  const changed = groups.map((g, i) => {
    const rule = rules[g.rule] as RulePart;
    return concerns(g, i) ? changeGroup(rule, rule.definition.name, g, changes) : g;
  });
  rules.forEach((rule, r) => {
    const { name, fixed = [] } = rule.definition;
    const settledOnes = changed.some((g, i) => g.rule === r && g !== groups[i]) ? fixed : [];
    for (const option of settledOnes)
      if (option in changes) throw new OptionError(name, option, "cannot be changed after creation", changes[option]);
    const ofRule = changed.filter((g) => g.rule === r);
    checkOverrides(name, Object.keys(changes).join(", "), changes, rule.overrides, overridesOf(rule, ofRule, settled));
  });
  const moved = changed.find((g, i) => (g.toward === undefined) !== (groups[i]?.toward === undefined));
  if (moved) {
    const { name } = (rules[moved.rule] as RulePart).definition;
    throw new OptionError(name, "toward", "cannot be changed after creation", changes.toward);
  }
  return changed;
}
