/** Several rules in one optimizer. Loaded where they are given. */
import { OptionError } from "../errors.ts";
import {
  addGroups,
  baseGroup,
  checkMatch,
  type Group,
  type GroupOptions,
  type MatchedRule,
  nameOf,
  type RuleSpec,
} from "./groups.ts";
import type { StateFormat } from "./rule.ts";

/**
 * Groups of several rules: of each rule the group of the rest, and then its own.
 *
 * @param options hold for every group that does not say otherwise.
 * @throws {OptionError}
 */
export function resolveRules(
  where: string,
  specs: readonly RuleSpec[],
  options: GroupOptions,
  stateOfAll?: StateFormat,
): { rules: MatchedRule[]; groups: Group[] } {
  if (!Array.isArray(specs) || specs.length === 0)
    throw new OptionError(where, "rules", "must be a list of at least one { match, rule }", specs);
  const rules: MatchedRule[] = [];
  const groups: Group[] = [];
  specs.forEach((spec, i) => {
    const at = `rules[${i}]`;
    if (typeof spec !== "object" || spec === null) throw new OptionError(where, at, "must be an object", spec);
    const { match, rule, name, state = stateOfAll, groups: own = [], ...changes } = spec as RuleSpec;
    checkMatch(where, `${at}.match`, match);
    if (typeof rule?.definition?.name !== "string")
      throw new OptionError(where, `${at}.rule`, "must be a rule such as adamw()", rule);
    const label = nameOf(where, `${at}.name`, groups, name ?? rule.definition.name);
    rules.push({ ...rule, match, state });
    groups.push(baseGroup(rule, i, label, { ...options, ...changes }));
    addGroups(groups, rule, `${where}: ${at}`, own);
  });
  return { rules, groups };
}
