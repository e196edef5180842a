/** Which parts of the kernels are compiled in: those that some group can need. Numbers never are part of a pipeline. */
import { OptionError } from "../errors.ts";
import type { Group } from "./groups.ts";
import type { Settled } from "./options.ts";
import type { Rule } from "./rule.ts";

/** What the kernels of one rule are compiled for. */
export interface Overrides {
  /** Values of overrides: of what opens chunks and decays, of averages, of the rule itself. */
  readonly shell: Readonly<Record<string, number>>;
  readonly average: Readonly<Record<string, number>>;
  readonly rule: Readonly<Record<string, number>>;
  /** Of what loads and stores parameters. */
  readonly params: Readonly<Record<string, number>>;
  /** State slots of the rule that are allocated. */
  readonly ruleSlots: number;
  /** Slots behind these: masters of 16-bit parameters, values that decay pulls toward, slow weights of lookahead, averages. */
  readonly extraSlots: readonly ExtraSlot[];
  /** Bit by slot: it begins with the parameters, or it is made later and begins with NaN. */
  readonly begins: { readonly slots: number; readonly later: number };
  /** Some group has `toward`, `cautious`, `l1` or `cautiousUpdate`. */
  readonly modified: boolean;
  readonly cautiousUpdates: boolean;
}

/** A state slot that belongs to no rule, by its name in state dicts. */
export type ExtraSlot = "master_param" | "anchor" | "lookahead_slow_buff" | "average";

/** Place of an extra slot among the state slots; undefined if there is none. */
export function extraSlot({ ruleSlots, extraSlots }: Overrides, name: ExtraSlot): number | undefined {
  const i = extraSlots.indexOf(name);
  return i < 0 ? undefined : ruleSlots + i;
}

/** What these groups, which follow `rule`, need. */
export function overridesOf({ definition }: Rule, groups: readonly Group[], settled: Settled): Overrides {
  const hypers = groups.map((g) => g.hyper);
  const used = definition.slots.map((slot) => hypers.some((h) => definition.usesSlot?.(slot, h) ?? true));
  const ruleSlots = used.lastIndexOf(true) + 1;
  const anchors = groups.some((g) => g.toward !== undefined);
  const cautiousUpdates = groups.some((g) => g.cautiousUpdate !== false);
  const modified = anchors || cautiousUpdates || groups.some((g) => g.cautious || g.l1 !== 0);
  const extraSlots: ExtraSlot[] = [];
  if (settled.master) extraSlots.push("master_param");
  if (anchors) extraSlots.push("anchor");
  if (settled.lookahead) extraSlots.push("lookahead_slow_buff");
  if (settled.average) extraSlots.push("average");
  const place = (slot: ExtraSlot): number => ruleSlots + Math.max(0, extraSlots.indexOf(slot));
  // Each tensor's slow weights are made at its own first synchronization.
  const later = settled.lookahead?.init === "first-sync" ? 1 << place("lookahead_slow_buff") : 0;
  return {
    shell: {
      COUPLED: Number(groups.some((g) => g.decayMode === "coupled")),
      CLIP_VALUE: Number(groups.some((g) => g.clipValue !== Infinity)),
      KEEP_NON_FINITE: Number(settled.measures && !settled.skipNonFinite),
      ...(modified ? { ANCHOR_SLOT: place("anchor") } : {}),
      ...(cautiousUpdates ? { CAUTIOUS_UPDATES: 1 } : {}),
      ...(definition.settles || definition.numbersOf || definition.decayMode === "rule" ? { NUMBERS: 1 } : {}),
      ...(settled.clip.adaptive ? { CLIP_UNITS: 1 } : {}),
      ...(definition.countsUpdates ? { BY_UPDATE: 1 } : {}),
      ...(definition.extraState ? { EXTRA_STATE: 1 } : {}),
      ...(definition.decayFrom === undefined ? {} : { DECAY_FROM: definition.decayFrom }),
    },
    average: {
      ...(settled.lookahead ? { LOOKAHEAD: 1, LOOKAHEAD_SLOT: place("lookahead_slow_buff") } : {}),
      ...(settled.average ? { AVERAGE: 1, AVERAGE_SLOT: place("average") } : {}),
    },
    rule: definition.overrides?.(hypers) ?? {},
    params: settled.master ? { MASTER: 1, MASTER_SLOT: place("master_param") } : {},
    ruleSlots,
    extraSlots,
    begins: { slots: (((1 << extraSlots.length) - 1) << ruleSlots) & ~later, later },
    modified,
    cautiousUpdates,
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
    ([name, wanted]) => !name.endsWith("_SLOT") && wanted > (have.shell[name] ?? have.rule[name] ?? 0),
  );
  const fits =
    need.ruleSlots <= have.ruleSlots &&
    need.extraSlots.every((slot) => have.extraSlots.includes(slot)) &&
    need.modified <= have.modified;
  if (missing || !fits) {
    const must = "must not need kernel code or state that no group asked for at creation";
    throw new OptionError(where, option, must, value);
  }
}
