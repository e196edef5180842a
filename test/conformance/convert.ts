/** How options of the references become options of the engine. */

import type { CautiousUpdate } from "../reference/cautious-update.ts";
import type { DecayMode } from "../reference/decay.ts";
import type { LookaheadOptions } from "../reference/lookahead.ts";
import type { TwinClip } from "../reference/twin.ts";
import type { OptionValue, ReferenceOptions } from "./golden/tensor.ts";

/** The name by which the library exports a rule. */
export type RuleName = string;

/** Options of one group, in the words of the engine. */
export interface GroupOptions {
  /** Where it is not the optimizer's. */
  rule?: RuleName;
  lr?: number;
  referenceLr?: number;
  weightDecay?: number;
  decayMode?: Exclude<DecayMode, "rule">;
  cautiousUpdate?: CautiousUpdate;
  /** Options of the rule. */
  [hyper: string]: unknown;
}

/** Options of an optimizer as a whole. */
export interface WholeOptions {
  clip?: TwinClip;
  lookahead?: LookaheadOptions;
}

type Complain = (must: string) => never;

/** From the value of one option to options of a group. */
export type Convert = (value: OptionValue, complain: Complain) => GroupOptions;

/** From the value of one option of the constructor to options of the whole; the groups' options are given for what they share. */
export type ConvertWhole = (
  value: OptionValue,
  complain: Complain,
  groups: readonly ReferenceOptions[],
) => WholeOptions;

export const number =
  (name: string): Convert =>
  (value, complain) =>
    typeof value === "number" ? { [name]: value } : complain("must be a number");

/** An exponent: negative there, positive here. */
export const negated =
  (name: string): Convert =>
  (value, complain) =>
    typeof value === "number" && value <= 0 ? { [name]: -value } : complain("must be a number of at most 0");

export const flag =
  (name: string): Convert =>
  (value, complain) =>
    typeof value === "boolean" ? { [name]: value } : complain("must be true or false");

const COUNTS = ["no", "one", "two", "three"];
export const numbers =
  (name: string, count: number): Convert =>
  (value, complain) =>
    Array.isArray(value) && value.length === count && value.every((x) => typeof x === "number")
      ? { [name]: value }
      : complain(`must be ${COUNTS[count]} numbers`);

export const word =
  (name: string, ...words: string[]): Convert =>
  (value, complain) =>
    typeof value === "string" && words.includes(value) ? { [name]: value } : complain(`must be ${words.join(" or ")}`);

/** A switch that chooses a mode of decay in one of its positions. */
export const decayWhen =
  (position: boolean, decayMode: Exclude<DecayMode, "rule">): Convert =>
  (value, complain) => {
    if (typeof value !== "boolean") return complain("must be true or false");
    return value === position ? { decayMode } : {};
  };

/** What is off at 0 here, and not there: the least float32, which has the same effect. */
const SMALLEST = 2 ** -126;
export const notOff =
  (name: string): Convert =>
  (value, complain) =>
    number(name)(value === 0 ? SMALLEST : value, complain);

/** What may be absent. */
export const orNone =
  (convert: Convert): Convert =>
  (value, complain) =>
    value === null ? {} : convert(value, complain);

/** What is off where it is absent or without bound, and 0 here. */
export const orOff =
  (name: string): Convert =>
  (value, complain) =>
    value === null || value === "inf" ? { [name]: 0 } : notOff(name)(value, complain);
