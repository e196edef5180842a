/** State in 8 bits: which rules and slots may be kept so. Loaded where it is asked for. */
import { OptionError } from "../errors.ts";
import { BLOCKS8 } from "../kernels/blocks8.ts";
import type { Storage } from "../kernels/storage.ts";
import type { MatchedRule } from "./groups.ts";
import type { Overrides } from "./overrides.ts";

export const FORMAT: Storage = BLOCKS8;

/** @throws {OptionError} */
export function checkFormats(rules: readonly MatchedRule[], several: boolean): void {
  rules.forEach(({ definition: { name, quantizes }, state = "f32" as unknown }, i) => {
    const option = several ? `rules[${i}].state` : "state";
    if (state !== "f32" && state !== "8-bit") throw new OptionError(name, option, 'must be "f32" or "8-bit"', state);
    if (state === "8-bit" && !quantizes) throw new OptionError(name, option, 'must be "f32" for this rule', state);
  });
}

/** Bits by slot, as `shaders/state/blocks8.wgsl` has them: those that are quantized, and of these those whose values have either sign. */
export function quantizedSlots(
  { definition: { slots, quantizes = {} } }: MatchedRule,
  { ruleSlots }: Overrides,
): { readonly QUANTIZED: number; readonly SIGNED: number } {
  const bits = (holds: (slot: string) => boolean): number =>
    slots.slice(0, ruleSlots).reduce((all, slot, i) => all | (Number(holds(slot)) << i), 0);
  return {
    QUANTIZED: bits((slot) => quantizes[slot] !== undefined),
    SIGNED: bits((slot) => quantizes[slot] === "signed"),
  };
}
