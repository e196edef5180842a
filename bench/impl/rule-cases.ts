/**
 * The elementwise rules of the library, each with options that ask for all its slots: those that read every element once a step,
 * with no pass before the update that must see all elements of a tensor.
 */

import * as library from "../../src/engine/rules.ts";
import type { HyperOptions, Rule } from "../../src/index.ts";
import type { TwinRule } from "../../test/reference/rule.ts";
import { TWINS } from "../../test/reference/twins.ts";
import type { SlotUse } from "./stream-kernel.ts";

export interface RuleCase {
  /** Export of the library, and options that are not its defaults. */
  readonly name: string;
  readonly rule: Rule;
  readonly twin: TwinRule;
  readonly options: HyperOptions;
  /** The slots that it has, and what a step that is not the first does with each. */
  readonly slots: readonly (readonly [name: string, use: SlotUse])[];
}

/** Options besides the defaults, where these leave slots or a part of the kernel out. */
const FURTHER: Readonly<Record<string, readonly HyperOptions[]>> = {
  adabelief: [{ amsgrad: true }],
  adam: [{ amsgrad: true }],
  adamw: [{ amsgrad: true }],
  asgd: [{ t0: 1 }],
  madgrad: [{ momentum: 0 }],
  rmsprop: [{ momentum: 0.9 }, { centered: true, momentum: 0.9 }],
  scheduleFreeAdamw: [{ innerMomentum: 0.9 }],
  sgd: [{ momentum: 0.9 }],
  signum: [{ momentum: 0 }],
};

/** Slots that are not both loaded and stored in a step; the suite checks that what is only loaded stays as it is. */
function useOf(rule: string, slot: string, options: HyperOptions): SlotUse {
  // The point that MADGRAD started from, and the Hessian between two estimates of it.
  if (`${rule} ${slot}` === "madgrad x0" || `${rule} ${slot}` === "sophiag hessian") return "loaded";
  // The mean is the newest parameter until averaging begins, which it does by default after 1e6 steps.
  if (`${rule} ${slot}` === "asgd ax" && options.t0 === undefined) return "stored";
  return "both";
}

export const ruleCases: readonly RuleCase[] = Object.entries(library).flatMap(([name, make]) => {
  const made = make();
  // Several rules in one: each is there by itself.
  if (!("definition" in made)) return [];
  const { definition } = made;
  const { prepares, estimates, orthogonalizes, extraState, slots, usesSlot } = definition;
  if ((prepares && !estimates) || orthogonalizes || extraState) return [];
  const cases = [{}, ...(FURTHER[name] ?? [])].map((options: HyperOptions): RuleCase => {
    const rule = make(options as never) as Rule;
    const used = slots.filter((slot) => usesSlot?.(slot, rule.options) ?? true);
    const words = Object.entries(options).map(([key, value]) => ` ${key} ${value}`);
    return {
      name: `${name}${words.join()}`,
      rule,
      twin: TWINS[name]!,
      options,
      slots: used.map((slot) => [slot, useOf(name, slot, options)]),
    };
  });
  for (const slot of slots) {
    if (!cases.some((own) => own.slots.some(([used]) => used === slot)))
      throw new Error(`rules: no case of ${name} uses its slot ${slot}`);
  }
  return cases;
});
