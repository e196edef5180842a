/**
 * Which optimizers of the golden files the engine has, and how their options are called here. This is the one place to
 * extend when the engine learns a rule. An option without an entry is an error: ignoring it would test something else.
 */

import type { DecayMode } from "../reference/decay.ts";
import type { OptionValue, ReferenceOptions } from "./golden/tensor.ts";

export type RuleName = "sgd" | "adam" | "adamw";

/** Options of one group, in the words of the engine. */
export interface GroupOptions {
  lr?: number;
  weightDecay?: number;
  decayMode?: DecayMode;
  maximize?: boolean;
  momentum?: number;
  dampening?: number;
  nesterov?: boolean;
  betas?: [number, number];
  eps?: number;
  amsgrad?: boolean;
}

type Convert = (value: OptionValue, complain: (must: string) => never) => GroupOptions;

function number(name: "lr" | "weightDecay" | "momentum" | "dampening" | "eps"): Convert {
  return (value, complain) => (typeof value === "number" ? { [name]: value } : complain("must be a number"));
}

function flag(name: "maximize" | "nesterov" | "amsgrad"): Convert {
  return (value, complain) => (typeof value === "boolean" ? { [name]: value } : complain("must be true or false"));
}

const betas: Convert = (value, complain) => {
  if (!Array.isArray(value) || value.length !== 2) return complain("must be two numbers");
  const [beta1, beta2] = value;
  if (typeof beta1 !== "number" || typeof beta2 !== "number") return complain("must be two numbers");
  return { betas: [beta1, beta2] };
};

const shared = { lr: number("lr"), weight_decay: number("weightDecay"), maximize: flag("maximize") };
const ofAdam = { ...shared, betas, eps: number("eps"), amsgrad: flag("amsgrad") };

interface Entry {
  readonly rule: RuleName;
  readonly options: Readonly<Record<string, Convert>>;
}

const OPTIMIZERS: Readonly<Record<string, Entry>> = {
  SGD: {
    rule: "sgd",
    options: {
      ...shared,
      momentum: number("momentum"),
      dampening: number("dampening"),
      nesterov: flag("nesterov"),
    },
  },
  Adam: { rule: "adam", options: ofAdam },
  AdamW: { rule: "adamw", options: ofAdam },
};

/** Why cases of this optimizer cannot be run; undefined if they can. */
export function whyUnsupported(optimizer: string): string | undefined {
  return Object.hasOwn(OPTIMIZERS, optimizer) ? undefined : `the engine has no optimizer ${optimizer} yet`;
}

/** The rule that stands for an optimizer of the reference. @throws Error if there is none. */
export function ruleOf(optimizer: string): RuleName {
  return entryOf(optimizer).rule;
}

/**
 * Options of the reference in the engine's words; of two sources of the same option the later one counts.
 *
 * @throws Error for an unknown option or a value of a wrong type.
 */
export function groupOptions(optimizer: string, ...sources: readonly (ReferenceOptions | undefined)[]): GroupOptions {
  const { options } = entryOf(optimizer);
  const out: GroupOptions = {};
  for (const [name, value] of Object.entries(Object.assign({}, ...sources) as ReferenceOptions)) {
    const convert = Object.hasOwn(options, name) ? options[name] : undefined;
    if (!convert) throw new Error(`${optimizer} has no option ${name} here`);
    const complain = (must: string): never => {
      throw new Error(`${optimizer}: ${name} ${must}, got ${JSON.stringify(value)}`);
    };
    Object.assign(out, convert(value, complain));
  }
  return out;
}

function entryOf(optimizer: string): Entry {
  const reason = whyUnsupported(optimizer);
  if (reason) throw new Error(reason);
  return OPTIMIZERS[optimizer]!;
}
