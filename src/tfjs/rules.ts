/** The rules by name, for optimizers that TF.js makes from a saved model: what is not imported is not in the bundle. */
import { type Rule, type RuleDefinition, resolveHyper } from "../engine/rule.ts";
import { OptionError } from "../errors.ts";

const known = new Map<string, RuleDefinition>();

/** @throws {OptionError} */
export function remember(rule: Rule): void {
  const definition = rule?.definition;
  if (typeof definition?.name !== "string")
    throw new OptionError("loadable", "rules", "must be rules such as adamw()", rule);
  known.set(definition.name, definition);
}

/** @throws {OptionError} */
export function ruleOf(name: string, hyper: unknown): Rule {
  const definition = known.get(name);
  if (!definition)
    throw new OptionError("loadLayersModel", "rule", "must be made known first, by loadable(...rules)", name);
  return { definition, options: resolveHyper(definition, name, definition.defaults, hyper) };
}
