/** What an optimizer rule is, and how a user brings one of their own. */
import { OptionError } from "../errors.ts";
import type { Matrices } from "../kernels/newton-schulz-plan.ts";
import { checkBoolean, checkKeys, checkNumber, checkObject } from "./checks.ts";
import { DECAY_MODES, type DecayMode } from "./decay.ts";

/** A hyper-parameter's value. Lists are what PyTorch writes as tuples, such as `betas`. */
export type HyperValue = number | boolean | string | readonly number[];

/** Options of a rule by name. */
export type HyperOptions = Readonly<Record<string, HyperValue>>;

/** Numbers that a group carries from update to update, by name. */
export type Carry = Readonly<Record<string, number>>;

/** What follows, update by update, from a group's learning rates: computed on the host in float64. */
export interface Recursion<O> {
  /** Before the first update. */
  readonly start: Carry;
  /** Update `update` (1 for the first) at learning rate `lr`: what is carried on, and further fields of `struct Hyper` (`f32`). */
  readonly next: (
    options: O,
    carry: Carry,
    at: { readonly lr: number; readonly update: number },
  ) => { readonly carry: Carry; readonly hyper: Readonly<Record<string, number>> };
}

/** State of a tensor that is not one number per element: `elements` numbers, of which `parts` are saved, each by its name. */
export interface ExtraState {
  readonly elements: number;
  readonly parts: readonly { readonly name: string; readonly at: number; readonly size: number }[];
  /** The tensor is seen as [outer, rows, cols, inner], and its second moments are factored; see `shaders/factor.wgsl`. */
  readonly factored?: { readonly rows: number; readonly cols: number; readonly inner: number };
}

/** A rule: its WGSL, its state, and how its options become numbers. `O` are its options, all present. */
export interface RuleDefinition<O extends HyperOptions = HyperOptions> {
  /** Name in messages and state dicts, kebab-case. */
  readonly name: string;
  /**
   * The WGSL: `struct Hyper`, `struct StepRow` and
   * `fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane`, which returns what is subtracted
   * from theta and reads and writes state by `load_state(slot, at)` and `store_state(slot, at, value)`. Where theta and g
   * are 0 and always were, it must return 0, whatever it leaves in the state: so the padding of tensors stays 0. `Lane` is `vec4f` or `f32`: write for both.
   */
  readonly wgsl: string;
  /** Path below `shaders/` for messages; default `rules/<name>.wgsl`. */
  readonly path?: string;
  /** Options and their defaults. Numbers must be finite and >= 0 unless `check` says otherwise. */
  readonly defaults: O;
  /** Options whose numbers may be negative. */
  readonly signed?: readonly string[];
  /** Options that cannot be changed after creation. */
  readonly fixed?: readonly string[];
  /** What options that are words may be. */
  readonly choices?: Readonly<Record<string, readonly string[]>>;
  /** Names of the state slots, in order. */
  readonly slots: readonly string[];
  /** Whether a group with these options uses `slot`; default all. A slot is allocated if any group uses it or a later one. */
  readonly usesSlot?: (slot: string, options: O) => boolean;
  /**
   * Slots, of the first four, that may be kept in 8 bits (see `OptimizerOptions.state`), and whether their values have either sign or are
   * never negative. The WGSL must load such a slot before it stores to it.
   */
  readonly quantizes?: Readonly<Record<string, "signed" | "unsigned">>;
  /** Slots that hold nothing from one step to the next: they are not saved. */
  readonly scratch?: readonly string[];
  /**
   * The WGSL has `fn prepare_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Prepared` too, which runs over
   * all elements before the update and gives two sums per tensor. With `sums` it may not store state; with `state` it may.
   */
  readonly prepares?: "sums" | "state";
  /** `prepare_rule` does not run in every step but in `Optimizer.estimate`, where the gradients hold what it estimates from. */
  readonly estimates?: boolean;
  /**
   * The WGSL settles on numbers between `prepare_rule` and the update: with `tensor`,
   * `fn settle_rule(s: Settling, lr: f32, h: Hyper, t: StepRow) -> vec4f` gives those of each tensor, which `update_rule` finds in
   * `tensor_numbers`; with `together`, `fn settle_all(...)`, alike, gives those of all tensors, found in `shared_numbers`. Both
   * get what they gave before, and `update_rule` finds lambda of decay mode `rule` in `rule_decay`.
   */
  readonly settles?: "tensor" | "together";
  /** Names of these numbers, as PyTorch's state has them; `undefined` for one that is not kept from step to step. */
  readonly numbers?: readonly (string | undefined)[];
  /** Numbers of a tensor that follow from its shape and are settled at creation; found in `tensor_numbers`. Not with `settles`. */
  readonly numbersOf?: (options: O, shape: readonly number[]) => readonly number[];
  /** State that is not one number per element; found by `load_extra` and its like. The WGSL has `factor_square` and `factor_mean`. */
  readonly extraState?: (options: O, shape: readonly number[]) => ExtraState;
  /** Why a tensor of this shape cannot follow the rule, as "must ..."; undefined if it can. */
  readonly refuses?: (shape: readonly number[]) => string | undefined;
  /** What lies in a slot after `prepare_rule` is orthogonalized as matrices before the update. */
  readonly orthogonalizes?: {
    readonly slot: string;
    readonly matrices: (options: O, shape: readonly number[]) => Omit<Matrices, "offset">;
  };
  /** See {@link Recursion}. */
  readonly recursion?: Recursion<O>;
  /**
   * The parameters to evaluate are others than those that are trained: the WGSL has
   * `fn evaluation_point(at: u32, theta: Lane, h: Hyper, t: StepRow) -> Lane`.
   */
  readonly evaluates?: boolean;
  /**
   * The WGSL has `fn open_rule(chunk: vec4u, of_tensor: TensorControl, lane: u32)`, which all invocations of a workgroup run before
   * they walk over a chunk. It may store state that is not in 8 bits; barriers may depend on its arguments alone. Not with `finishes`.
   */
  readonly opens?: boolean;
  /** The WGSL has `fn finish_rule(at: u32, theta: Lane)`, which sees theta after update and decay, and may store state. */
  readonly finishes?: boolean;
  /** The own step count from which decay acts on a tensor; default 1. */
  readonly decayFrom?: number;
  /** Fields of `struct Hyper` (all `f32`), in order, from the options. Computed in float64, rounded once. */
  readonly hyper: (options: O) => Readonly<Record<string, number>>;
  /** Step rows go by the number of updates of the optimizer, as in references that count per group, not by a tensor's own. */
  readonly countsUpdates?: boolean;
  /** Fields of `struct StepRow` (all `f32`), in order, for a tensor's own step count t >= 1 (see `countsUpdates`). */
  readonly stepRow?: (options: O, t: number) => Readonly<Record<string, number>>;
  /**
   * The t from which all step rows are equal in float32, or differ by less than half of its last place; default 1. `Infinity`
   * where there is none.
   */
  readonly lastStepRow?: (options: O) => number;
  /** Numbers that PyTorch keeps in a tensor's state and that follow from its step count t >= 0, by PyTorch's names. */
  readonly scalars?: (options: O, t: number) => Readonly<Record<string, number>>;
  /** Values for the WGSL's `override` declarations, from the options of all groups. */
  readonly overrides?: (groups: readonly O[]) => Readonly<Record<string, number>>;
  /** Refuses options: throws an {@link OptionError}. Runs after types, finiteness and sign have been checked. */
  readonly check?: (where: string, options: O) => void;
  /** Default learning rate; 1e-3. */
  readonly lr?: number;
  /** Default decay; 0. */
  readonly weightDecay?: number;
  /** Default decay mode; `decoupled`. A rule whose default is `rule` does that mode itself. */
  readonly decayMode?: DecayMode;
}

/** How state lies in memory. */
export type StateFormat = "f32" | "8-bit";

/** A rule with its options, as `createOptimizer` takes it. */
export interface Rule {
  readonly definition: RuleDefinition;
  /** Options for every group that does not say otherwise. */
  readonly options: HyperOptions;
}

/**
 * Makes a rule of one's own. It gets groups, every decay mode, clipping, skipping, figures and state dicts.
 *
 * @returns a function from options to a {@link Rule}, as `adamw` is one.
 * @throws {OptionError} if `definition` is no object; and, when the function is called, if the WGSL's `struct Hyper` or `struct StepRow` does not list the fields that `hyper` and `stepRow` give.
 */
export function defineRule<O extends HyperOptions>(definition: RuleDefinition<O>): (options?: Partial<O>) => Rule {
  const rule = definition as unknown as RuleDefinition;
  checkObject("defineRule", "definition", definition);
  return (options = {}) => {
    checkDefinition(rule);
    return { definition: rule, options: resolveHyper(rule, rule.name, rule.defaults, options as HyperOptions) };
  };
}

/** Options of a group: `base`, overridden by those of `changes`; checked. */
export function resolveHyper(rule: RuleDefinition, where: string, base: HyperOptions, changes: unknown): HyperOptions {
  checkKeys(where, "", changes, Object.keys(rule.defaults));
  const options: Record<string, HyperValue> = { ...base };
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) continue;
    const like = rule.defaults[name];
    const range = rule.signed?.includes(name) ? {} : { min: 0 };
    if (typeof like === "boolean") checkBoolean(where, name, value);
    else if (typeof like === "number") checkNumber(where, name, value, range);
    else if (typeof like === "string") checkChoice(where, name, value, rule.choices?.[name] ?? []);
    else {
      const size = like?.length ?? 0;
      if (!Array.isArray(value) || value.length !== size)
        throw new OptionError(where, name, `must be a list of ${size} numbers`, value);
      value.forEach((v, i) => {
        checkNumber(where, `${name}[${i}]`, v, range);
      });
    }
    options[name] = value as HyperValue;
  }
  rule.check?.(where, options);
  return options;
}

/** One of `choices`. */
export function checkChoice(where: string, option: string, value: unknown, choices: readonly unknown[]): void {
  if (!choices.includes(value)) throw new OptionError(where, option, `must be one of ${choices.join(", ")}`, value);
}

/** Names of the fields of `struct Hyper`. */
export function hyperNames({ hyper, recursion, defaults }: RuleDefinition): string[] {
  const carried = recursion?.next(defaults, recursion.start, { lr: 1, update: 1 }).hyper ?? {};
  return [...Object.keys(hyper(defaults)), ...Object.keys(carried)];
}

/** Fields of a WGSL struct, in order, with their types if these are not `f32`; undefined where it is not declared. */
function structFields(wgsl: string, name: string): string[] | undefined {
  const body = new RegExp(`struct\\s+${name}\\s*\\{([^}]*)\\}`).exec(wgsl.replace(/\/\/.*$/gm, ""))?.[1];
  return body
    ?.split(",")
    .map((field) => field.trim().replace(/\s*:\s*f32$/, ""))
    .filter(Boolean);
}

function checkDefinition(rule: RuleDefinition): void {
  const where = "defineRule";
  if (typeof rule.name !== "string" || !/^[a-z][a-z0-9-]*$/.test(rule.name))
    throw new OptionError(where, "name", "must be kebab-case", rule.name);
  if (typeof rule.wgsl !== "string") throw new OptionError(where, "wgsl", "must be a text", rule.wgsl);
  if (rule.decayMode !== undefined) checkChoice(where, "decayMode", rule.decayMode, DECAY_MODES);
  checkSlots(where, rule.slots);
  checkFunction(where, "hyper", rule.hyper);
  if (rule.stepRow !== undefined) checkFunction(where, "stepRow", rule.stepRow);
  checkDefaults(where, rule.defaults, rule.choices ?? {});
  const expected = {
    Hyper: hyperNames(rule),
    StepRow: Object.keys(rule.stepRow?.(rule.defaults, 1) ?? { unused: 0 }),
  };
  for (const [struct, fields] of Object.entries(expected)) {
    const declared = structFields(rule.wgsl, struct);
    if (declared?.join() !== fields.join())
      throw new OptionError(
        where,
        `wgsl of ${rule.name}: struct ${struct}`,
        `must have the f32 fields ${fields.join(", ")}`,
        declared,
      );
  }
}

function checkSlots(where: string, slots: unknown): void {
  const names = Array.isArray(slots) ? slots : [undefined];
  if (names.some((slot) => typeof slot !== "string" || slot === "") || new Set(names).size < names.length)
    throw new OptionError(where, "slots", "must be a list of different names", slots);
}

function checkFunction(where: string, option: string, value: unknown): void {
  if (typeof value !== "function") throw new OptionError(where, option, "must be a function", value);
}

/** Defaults say of which type an option is: a number, a yes or no, or a list of so many numbers. */
function checkDefaults(where: string, defaults: unknown, choices: Readonly<Record<string, readonly string[]>>): void {
  checkKeys(where, "defaults", defaults, Object.keys(defaults ?? {}));
  for (const [name, value] of Object.entries(defaults)) {
    if (typeof value === "string") {
      checkChoice(where, `defaults.${name}`, value, choices[name] ?? []);
      continue;
    }
    const numbers = Array.isArray(value) && value.length >= 2 ? value : [value];
    if (typeof value !== "boolean" && !numbers.every(Number.isFinite))
      throw new OptionError(
        where,
        `defaults.${name}`,
        "must be a finite number, a list of two or more, true or false",
        value,
      );
  }
}
