/**
 * From an optimizer of the golden files to one of the engine; see `optimizer-table.ts`. An option without an entry is an error:
 * ignoring it would test something else.
 */

import type { GroupOptions, RuleName, WholeOptions } from "./convert.ts";
import type { OptionValue, ReferenceOptions } from "./golden/tensor.ts";
import { type Entry, OPTIMIZERS } from "./optimizer-table.ts";

export type { GroupOptions, RuleName, WholeOptions } from "./convert.ts";

const LOOKAHEAD = "Lookahead@timm";

function lookaheadOf({ alpha = 0.5, k = 6, paper = false }: ReferenceOptions): WholeOptions {
  return { lookahead: { k: Number(k), alpha: Number(alpha), init: paper ? "initial" : "first-sync" } };
}

/** Options of the constructor without those of Lookahead, which may have the names of others: RMSprop has an alpha too. */
function withoutLookahead(optimizer: string, constructorOptions: ReferenceOptions): ReferenceOptions {
  if (optimizer !== LOOKAHEAD) return constructorOptions;
  const { base, alpha, k, paper, ...rest } = constructorOptions;
  return rest;
}

/** Why cases of this optimizer cannot be run; undefined if they can. */
export function whyUnsupported(optimizer: string, constructorOptions: ReferenceOptions = {}): string | undefined {
  return entryOf(optimizer, constructorOptions) ? undefined : `the engine has no optimizer ${optimizer} yet`;
}

/** An optimizer of the reference in the words of the engine. */
export interface Plan extends WholeOptions {
  readonly rule: RuleName;
  readonly groups: readonly GroupOptions[];
}

/** @throws Error for an unknown option or a value of a wrong type. */
export function planOf(
  optimizer: string,
  constructorOptions: ReferenceOptions = {},
  groups: readonly ReferenceOptions[] = [{}],
): Plan {
  const { rule, whole = {}, defaults = {} } = entryFor(optimizer, constructorOptions);
  const given = { ...defaults, ...withoutLookahead(optimizer, constructorOptions) };
  const own = groups.map((options) => groupOptions(optimizer, constructorOptions, options));
  const parts = Object.entries(whole).map(([name, convert]) =>
    given[name] === undefined
      ? {}
      : convert(
          given[name],
          complaint(optimizer, name, given[name]),
          groups.map((options) => ({ ...given, ...options })),
        ),
  );
  const lookahead = optimizer === LOOKAHEAD ? lookaheadOf(constructorOptions) : {};
  return Object.assign({ rule, groups: own }, ...parts, lookahead) as Plan;
}

/** The rule that stands for an optimizer of the reference. @throws Error if there is none. */
export function ruleOf(optimizer: string, constructorOptions: ReferenceOptions = {}): RuleName {
  return entryFor(optimizer, constructorOptions).rule;
}

/** Options of a group: its own before the constructor's before the defaults. @throws as {@link planOf} */
export function groupOptions(
  optimizer: string,
  constructorOptions: ReferenceOptions = {},
  own: ReferenceOptions = {},
): GroupOptions {
  const { options, whole = {}, defaults, fixed, finish } = entryFor(optimizer, constructorOptions);
  const constructed = withoutLookahead(optimizer, constructorOptions);
  const out: GroupOptions = { ...fixed };
  for (const [name, value] of Object.entries({ ...defaults, ...constructed, ...own })) {
    if (Object.hasOwn(whole, name)) continue;
    const convert = Object.hasOwn(options, name) ? options[name] : undefined;
    if (!convert) throw new Error(`${optimizer} has no option ${name} here`);
    Object.assign(out, convert(value, complaint(optimizer, name, value)));
  }
  return finish ? finish(out, constructed) : out;
}

/** A slot as the reference keeps it, of a tensor that has had `step` updates. */
export function slotOf(
  { optimizer, constructorOptions = {} }: { optimizer: string; constructorOptions?: ReferenceOptions },
  name: string,
  values: ArrayLike<number>,
  options: GroupOptions,
  step: number,
): number[] {
  const { slot } = entryFor(optimizer, constructorOptions);
  return slot ? slot(name, Array.from(values), options, step) : Array.from(values);
}

function complaint(optimizer: string, name: string, value: OptionValue) {
  return (must: string): never => {
    throw new Error(`${optimizer}: ${name} ${must}, got ${JSON.stringify(value)}`);
  };
}

function entryOf(optimizer: string, { base }: ReferenceOptions): Entry | undefined {
  const name = optimizer === LOOKAHEAD ? String(base) : optimizer;
  return Object.hasOwn(OPTIMIZERS, name) ? OPTIMIZERS[name] : undefined;
}

function entryFor(optimizer: string, constructorOptions: ReferenceOptions): Entry {
  const entry = entryOf(optimizer, constructorOptions);
  if (!entry) throw new Error(whyUnsupported(optimizer, constructorOptions));
  return entry;
}
