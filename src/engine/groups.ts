/** Parameter groups: which tensor follows which options. */
import { OptionError } from "../errors.ts";
import { checkBoolean, checkKeys, checkNumber, checkObject } from "./checks.ts";
import { DECAY_MODES, type DecayMode } from "./decay.ts";
import { checkChoice, type HyperOptions, type HyperValue, type Rule, resolveHyper, type StateFormat } from "./rule.ts";
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
  /**
   * Update only where the update has the sign of the gradient, and make up for the rest: u <- u s mask, in the convention of
   * `"timm"`, s = 1 / max(mean(mask), 1e-3); `"c-optim"`, s = size / (sum(mask) + 1); or lucidrains, who keeps `factor` of the
   * updates against the gradient. Default false. Not for rules that need sums themselves. Liang et al. (2024), arXiv:2411.16085.
   */
  cautiousUpdate?: CautiousUpdate;
}

/** See {@link GroupOptions.cautiousUpdate}. */
export type CautiousUpdate =
  | false
  | "timm"
  | "c-optim"
  | { readonly convention: "lucidrains"; readonly factor: number };

/** A group: which tensors, and their options; the rule's own options stand beside the common ones. */
export interface GroupSpec extends GroupOptions {
  match: Match;
  /** Name in figures and tables; default the pattern. */
  name?: string;
  [hyper: string]: unknown;
}

/** One of several rules, and the tensors it is for. Its options hold for all of these. */
export interface RuleSpec extends GroupOptions {
  match: Match;
  rule: Rule;
  /** Name of the group of those tensors that none of `groups` takes; default the rule's. */
  name?: string;
  groups?: readonly GroupSpec[];
  /** See `OptimizerOptions.state`, which is the default. */
  state?: StateFormat;
  /** Options of the rule. */
  [hyper: string]: unknown;
}

/** A rule, and which tensors it is for; without `match` those that no other rule takes. */
export interface MatchedRule extends Rule {
  readonly match: Match | undefined;
  /** Default float32. */
  readonly state?: StateFormat | undefined;
}

/** A group with every option settled. */
export interface Group {
  name: string;
  /** Place of its rule among the optimizer's. */
  rule: number;
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
  cautiousUpdate: CautiousUpdate;
  hyper: HyperOptions;
}

/** Names of what is in {@link GroupOptions}. */
export const GROUP_OPTIONS = [
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
  "cautiousUpdate",
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
  const single = (m: unknown) => (typeof m === "string" && m !== "") || m instanceof RegExp;
  if (single(match) || typeof match === "function" || (Array.isArray(match) && match.length > 0 && match.every(single)))
    return;
  throw new OptionError(where, option, "must be a name pattern, a RegExp, a function, or a list of patterns", match);
}

/** The group of all tensors of a rule that no other group takes. */
export function baseGroup(rule: Rule, index: number, name: string, options: GroupOptions): Group {
  const { definition } = rule;
  const base: Group = {
    name,
    rule: index,
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
    cautiousUpdate: false,
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
  checkKeys(where, "", changes, [...GROUP_OPTIONS, ...Object.keys(rule.definition.defaults)]);
  const changed: Group = { ...group };
  const hyper: Record<string, HyperValue> = {};
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) continue;
    if ((GROUP_OPTIONS as readonly string[]).includes(name)) Object.assign(changed, { [name]: value });
    else hyper[name] = value as HyperValue;
  }
  // The same object where nothing has changed: rows by step count are then kept.
  if (Object.keys(hyper).length > 0) changed.hyper = resolveHyper(rule.definition, where, group.hyper, hyper);
  if (initial) changed.initialLr = valueAt(changed.lr, 0);
  checkGroup(where, changed, rule);
  return changed;
}

function checkGroup(where: string, g: Group, { definition }: Rule): void {
  checkRate(where, "lr", g.lr);
  checkRate(where, "weightDecay", g.weightDecay);
  checkRate(where, "l1", g.l1);
  checkNumber(where, "lrScale", g.lrScale, { min: 0 });
  if (g.clipValue !== Infinity) checkNumber(where, "clipValue", g.clipValue, { min: 0 });
  checkChoice(where, "decayMode", g.decayMode, DECAY_MODES);
  if (g.decayMode === "rule" && definition.decayMode !== "rule") {
    const must = "may be rule only for rules whose default it is";
    throw new OptionError(where, "decayMode", must, g.decayMode);
  }
  checkCautiousUpdate(where, g.cautiousUpdate, definition.prepares !== undefined);
  checkBoolean(where, "cautious", g.cautious);
  checkBoolean(where, "frozen", g.frozen);
  if (g.cautious && (g.decayMode === "coupled" || g.decayMode === "rule"))
    throw new OptionError(
      where,
      "cautious",
      `is not defined for decayMode ${g.decayMode}, whose decay is no term of its own`,
      true,
    );
  if (g.toward !== undefined && g.toward !== "initial" && (typeof g.toward !== "object" || g.toward === null)) {
    throw new OptionError(where, "toward", 'must be "initial" or Float32Arrays by tensor name', g.toward);
  }
  if (g.referenceLr !== undefined) checkNumber(where, "referenceLr", g.referenceLr, { min: 2 ** -126 });
  if (g.decayMode === "scheduled" && !(referenceLr(g) > 0)) {
    throw new OptionError(
      where,
      "referenceLr",
      "must be given for decayMode scheduled: lr is 0 at step 0",
      g.referenceLr,
    );
  }
}

function checkCautiousUpdate(where: string, value: unknown, prepares: boolean): void {
  const option = "cautiousUpdate";
  if (value === false) return;
  if (typeof value === "object" && value !== null) {
    checkKeys(where, option, value, ["convention", "factor"]);
    if (value.convention !== "lucidrains")
      throw new OptionError(where, `${option}.convention`, "must be lucidrains", value.convention);
    checkNumber(where, `${option}.factor`, value.factor, { min: 0, max: 1 });
  } else if (value !== "timm" && value !== "c-optim") {
    const must = 'must be false, "timm", "c-optim" or { convention: "lucidrains", factor }';
    throw new OptionError(where, option, must, value);
  }
  if (prepares) throw new OptionError(where, option, "is not defined for a rule that needs sums of its own", value);
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
  const groups = [baseGroup(rule, 0, "default", options)];
  addGroups(groups, rule, rule.definition.name, specs);
  return groups;
}

/** Adds groups of the rule of the newest group that has no pattern; they begin with its options. */
export function addGroups(groups: Group[], rule: Rule, where: string, specs: readonly GroupSpec[]): void {
  const base = groups.at(-1) as Group;
  if (!Array.isArray(specs)) throw new OptionError(where, "groups", "must be a list", specs);
  specs.forEach((spec, i) => {
    const at = `groups[${i}]`;
    checkObject(where, at, spec);
    const { match, name, ...changes } = spec;
    checkMatch(where, `${at}.match`, match);
    const label = name === undefined ? (typeof match === "function" ? match.name || at : String(match)) : name;
    const unique = nameOf(where, `${at}.name`, groups, label);
    groups.push({ ...changeGroup(rule, `${where}: ${at}`, base, changes, true), name: unique, match });
  });
}

/** @throws {OptionError} unless `name` is a text that no group has. */
export function nameOf(where: string, option: string, groups: readonly Group[], name: unknown): string {
  if (typeof name !== "string" || name === "") throw new OptionError(where, option, "must be a text", name);
  if (groups.some((g) => g.name === name)) throw new OptionError(where, option, "must be unique", name);
  return name;
}

/**
 * Index of the group that takes `tensor`: of the first rule that matches, the first group that does, or the group of the rest.
 * -1 if no rule takes it.
 */
export function groupOf(rules: readonly MatchedRule[], groups: readonly Group[], tensor: TensorInfo): number {
  const rule = rules.findIndex(({ match }) => match === undefined || matches(match, tensor));
  const own = groups.findIndex((g) => g.rule === rule && g.match !== undefined && matches(g.match, tensor));
  return own >= 0 ? own : groups.findIndex((g) => g.rule === rule && g.match === undefined);
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
