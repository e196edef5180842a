/** Which parts of the update kernel are compiled in: those that some group can need. Numbers never are part of a pipeline. */
import { OptionError } from "../errors.ts";
import type { Group } from "./groups.ts";
import type { Settled } from "./options.ts";
import type { Rule } from "./rule.ts";

/** Values of the update kernel's overrides. */
export interface Overrides {
  readonly shell: Readonly<Record<string, number>>;
  readonly rule: Readonly<Record<string, number>>;
  /** State slots of the rule that are allocated. */
  readonly ruleSlots: number;
  /** Some group has `toward`, `cautious` or `l1`. */
  readonly modified: boolean;
  /** With `toward` one more slot holds the anchors. */
  readonly anchors: boolean;
}

/** What these groups need. */
export function overridesOf(rule: Rule, groups: readonly Group[], settled: Settled): Overrides {
  const { definition } = rule;
  const hypers = groups.map((g) => g.hyper);
  const used = definition.slots.map((slot) => hypers.some((h) => definition.usesSlot?.(slot, h) ?? true));
  const ruleSlots = used.lastIndexOf(true) + 1;
  const anchors = groups.some((g) => g.toward !== undefined);
  const modified = anchors || groups.some((g) => g.cautious || g.l1 !== 0);
  return {
    shell: {
      COUPLED: Number(groups.some((g) => g.decayMode === "coupled")),
      CLIP_VALUE: Number(groups.some((g) => g.clipValue !== Infinity)),
      KEEP_NON_FINITE: Number(settled.measures && !settled.skipNonFinite),
      ...(modified ? { ANCHOR_SLOT: ruleSlots } : {}),
    },
    rule: definition.overrides?.(hypers) ?? {},
    ruleSlots,
    modified,
    anchors,
  };
}

/**
 * Whether kernels compiled for `have` serve groups that need `need` too.
 *
 * @param option what was asked for, and `value` what it was given: for the message.
 * @throws {OptionError} if they do not.
 */
export function checkOverrides(where: string, option: string, value: unknown, have: Overrides, need: Overrides): void {
  const missing = [...Object.entries(need.shell), ...Object.entries(need.rule)].some(
    ([name, wanted]) => name !== "ANCHOR_SLOT" && wanted > (have.shell[name] ?? have.rule[name] ?? 0),
  );
  const fits = need.ruleSlots <= have.ruleSlots && need.anchors <= have.anchors && need.modified <= have.modified;
  if (missing || !fits) {
    const must = "must not need kernel code or state that no group asked for at creation";
    throw new OptionError(where, option, must, value);
  }
}
