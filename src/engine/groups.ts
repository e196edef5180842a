/** Parameter groups: which tensor follows which options. */
import { OptionError } from "../errors.ts";
import { checkBoolean, checkKeys, checkNumber } from "./checks.ts";
import { DECAY_MODES, type DecayMode } from "./decay.ts";
import { type HyperOptions, type HyperValue, type Rule, resolveHyper } from "./rule.ts";
import type { Schedule } from "./schedules.ts";

/** What a pattern is tested against. */
export interface TensorInfo {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * Which tensors: a name pattern in which `*` stands for any text (`"*.bias"`), a regular expression (tested anywhere in the
 * name), a function, or a list of patterns.
 */
export type Match = string | RegExp | ((tensor: TensorInfo) => boolean) | readonly (string | RegExp)[];

/** Options that every group has, whatever the rule. */
export interface GroupOptions {
  /** Learning rate, >= 0, or a schedule; default the rule's. */
  lr?: number | Schedule;
  /** Factor on lr, for layer-wise lr decay; default 1. */
  lrScale?: number;
  /** lr_0 of the decay mode `scheduled`; default the lr of step 0. */
  referenceLr?: number;
  /** lambda >= 0, or a schedule; default the rule's. */
  weightDecay?: number | Schedule;
  /** Default the rule's. */
  decayMode?: DecayMode;
  /** Decay only where it goes the way of the update: u (theta - a) >= 0. Not for `coupled`. arXiv:2510.12402. Default false. */
  cautious?: boolean;
  /** Decay toward these values instead of zero (L2-SP): the initial ones, or values by tensor name. */
  toward?: "initial" | Readonly<Record<string, Float32Array>> | undefined;
  /** L1 pull toward the same point, scaled as decay is; it never crosses it. Default 0. */
  l1?: number | Schedule;
  /** Clamp gradients to +- this; default `clip.value`. */
  clipValue?: number;
  /** Leave these tensors alone; default false. */
  frozen?: boolean;
}

/** A group: which tensors, and their options; the rule's own options stand beside the common ones. */
export interface GroupSpec extends GroupOptions {
  match: Match;
  /** Name in figures and tables; default the pattern. */
  name?: string;
  [hyper: string]: unknown;
}

/** A group with every option settled. */
export interface Group {
  name: string;
  match: Match | undefined;
  lr: number | Schedule;
  lrScale: number;
  referenceLr: number | undefined;
  /** lr of step 0 as it was at creation. */
  initialLr: number;
  weightDecay: number | Schedule;
  decayMode: DecayMode;
  cautious: boolean;
  toward: GroupOptions["toward"];
  l1: number | Schedule;
  clipValue: number;
  frozen: boolean;
  hyper: HyperOptions;
}

const COMMON = [
  "lr",
  "lrScale",
  "referenceLr",
  "weightDecay",
  "decayMode",
  "cautious",
  "toward",
  "l1",
  "clipValue",
  "frozen",
] as const;

/** Whether `match` selects `tensor`. */
export function matches(match: Match, tensor: TensorInfo): boolean {
  if (typeof match === "function") return match(tensor);
  if (match instanceof RegExp) return new RegExp(match.source, match.flags.replace(/[gy]/g, "")).test(tensor.name);
  if (typeof match !== "string") return match.some((m) => matches(m, tensor));
  const pattern = match.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
  return new RegExp(`^${pattern}$`, "s").test(tensor.name);
}

/** Refuses what is no {@link Match}. */
export function checkMatch(where: string, option: string, match: unknown): asserts match is Match {
  const single = (m: unknown) => typeof m === "string" || m instanceof RegExp;
  if (single(match) || typeof match === "function" || (Array.isArray(match) && match.length > 0 && match.every(single)))
    return;
  throw new OptionError(where, option, "must be a name pattern, a RegExp, a function, or a list of patterns", match);
}

/** The group of all tensors that no other group takes. */
function baseGroup(rule: Rule, options: GroupOptions): Group {
  const { definition } = rule;
  const base: Group = {
    name: "default",
    match: undefined,
    lr: definition.lr ?? 1e-3,
    lrScale: 1,
    referenceLr: undefined,
    initialLr: 0,
    weightDecay: definition.weightDecay ?? 0,
    decayMode: definition.decayMode ?? "decoupled",
    cautious: false,
    toward: undefined,
    l1: 0,
    clipValue: Infinity,
    frozen: false,
    hyper: rule.options,
  };
  return changeGroup(rule, definition.name, base, options as Record<string, unknown>, true);
}

/**
 * `group` with the given options changed: common ones, and the rule's own by their names. With `initial` the group is being
 * made, and its lr of step 0 becomes lr_0; a later change of lr is what `scheduled` decay is to follow.
 *
 * @throws {OptionError}
 */
export function changeGroup(
  rule: Rule,
  where: string,
  group: Group,
  changes: Readonly<Record<string, unknown>>,
  initial = false,
): Group {
  checkKeys(where, "", changes, [...COMMON, ...Object.keys(rule.definition.defaults)]);
  const changed: Group = { ...group };
  const hyper: Record<string, HyperValue> = {};
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) continue;
    if ((COMMON as readonly string[]).includes(name)) Object.assign(changed, { [name]: value });
    else hyper[name] = value as HyperValue;
  }
  // The same object where nothing has changed: rows by step count are then kept.
  if (Object.keys(hyper).length > 0) changed.hyper = resolveHyper(rule.definition, where, group.hyper, hyper);
  if (initial) changed.initialLr = valueAt(changed.lr, 0);
  checkGroup(where, changed);
  return changed;
}

function checkGroup(where: string, g: Group): void {
  checkRate(where, "lr", g.lr);
  checkRate(where, "weightDecay", g.weightDecay);
  checkRate(where, "l1", g.l1);
  checkNumber(where, "lrScale", g.lrScale, { min: 0 });
  if (g.clipValue !== Infinity) checkNumber(where, "clipValue", g.clipValue, { min: 0 });
  if (!DECAY_MODES.includes(g.decayMode))
    throw new OptionError(where, "decayMode", `must be one of ${DECAY_MODES.join(", ")}`, g.decayMode);
  checkBoolean(where, "cautious", g.cautious);
  checkBoolean(where, "frozen", g.frozen);
  if (g.cautious && g.decayMode === "coupled")
    throw new OptionError(
      where,
      "cautious",
      "is not defined for decayMode coupled, whose decay is part of the gradient",
      g.cautious,
    );
  if (g.toward !== undefined && g.toward !== "initial" && (typeof g.toward !== "object" || g.toward === null)) {
    throw new OptionError(where, "toward", 'must be "initial" or Float32Arrays by tensor name', g.toward);
  }
  if (g.referenceLr !== undefined) checkNumber(where, "referenceLr", g.referenceLr, { min: 2 ** -126 });
  if (g.decayMode === "scheduled" && !(referenceLr(g) > 0)) {
    throw new OptionError(
      where,
      "referenceLr",
      "must be given for decayMode scheduled, since lr is 0 at step 0",
      g.referenceLr,
    );
  }
}

function checkRate(where: string, option: string, value: unknown): void {
  if (typeof value === "function") checkNumber(where, `${option} at step 0`, value(0), { min: 0 });
  else checkNumber(where, option, value, { min: 0 });
}

/** A number, or a schedule's value at `step`. */
export function valueAt(value: number | Schedule, step: number): number {
  return typeof value === "function" ? value(step) : value;
}

/** lr_0 of the decay mode `scheduled`. */
export function referenceLr(g: Group): number {
  return g.referenceLr ?? g.initialLr;
}

/** Groups from their specifications: `groups[0]` is the group of the rest. Names are made unique. */
export function resolveGroups(rule: Rule, options: GroupOptions, specs: readonly GroupSpec[]): Group[] {
  const where = rule.definition.name;
  const base = baseGroup(rule, options);
  const groups = [base];
  if (!Array.isArray(specs)) throw new OptionError(where, "groups", "must be a list", specs);
  specs.forEach((spec, i) => {
    const at = `groups[${i}]`;
    if (typeof spec !== "object" || spec === null) throw new OptionError(where, at, "must be an object", spec);
    const { match, name, ...changes } = spec;
    checkMatch(where, `${at}.match`, match);
    const label = name === undefined ? (typeof match === "function" ? match.name || at : String(match)) : name;
    if (typeof label !== "string" || label === "") throw new OptionError(where, `${at}.name`, "must be a text", name);
    if (groups.some((g) => g.name === label)) throw new OptionError(where, `${at}.name`, "must be unique", label);
    groups.push({ ...changeGroup(rule, `${where}: ${at}`, base, changes, true), name: label, match });
  });
  return groups;
}

/** Index of the group that takes `tensor`: the first match wins, 0 is the group of the rest. */
export function groupOf(groups: readonly Group[], tensor: TensorInfo): number {
  return Math.max(
    0,
    groups.findIndex((g) => g.match !== undefined && matches(g.match, tensor)),
  );
}

/**
 * The usual split: `weightDecay` for matrices and convolution kernels; none for biases, normalization scales and shifts, other
 * 1-D tensors and scalars, and positional embeddings.
 *
 * @returns groups `decay` and `noDecay` for `createOptimizer`.
 * @throws {OptionError}
 */
export function decayGroups(params: readonly TensorInfo[], options: { weightDecay: number | Schedule }): GroupSpec[] {
  const where = "decayGroups";
  checkKeys(where, "", options, ["weightDecay"]);
  const weightDecay = options.weightDecay as number | Schedule;
  checkRate(where, "weightDecay", weightDecay);
  if (!Array.isArray(params))
    throw new OptionError(where, "params", "must be a list of tensors with name and shape", params);
  params.forEach((p: Partial<TensorInfo> | null, i) => {
    if (typeof p?.name !== "string" || !Array.isArray(p.shape))
      throw new OptionError(where, `params[${i}]`, "must be a tensor with name and shape", p);
  });
  const plain = new Set(params.filter(isPlain).map((p) => p.name));
  return [
    { name: "noDecay", match: (t) => plain.has(t.name), weightDecay: 0 },
    { name: "decay", match: "*", weightDecay },
  ];
}

function isPlain({ name, shape }: TensorInfo): boolean {
  return (
    shape.length <= 1 ||
    /(^|[._/])bias$/i.test(name) ||
    // What a normalization itself owns, whatever its shape: `layer_norm.weight`, `bn1.gamma`, `h.0.ln_2/scale`.
    /(^|[._/]|layer|batch|group|instance|rms)(norm|normalization|ln|bn|gn)(_?[\da-z])?[._/][^._/]+$/i.test(name) ||
    /(^|[._/])(pos(ition(al)?)?_?emb(ed(ding)?s?)?|wpe)([._/]|$)/i.test(name)
  );
}
