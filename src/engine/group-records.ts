/**
 * Group records in time: one row per coming update, computed in float64 and rounded once. Rows are addressed by the number of
 * updates applied, which only the device knows for sure (a step may have been skipped), so a ring holds every row that is still
 * possible; a change of options rewrites them.
 */
import { OptionError } from "../errors.ts";
import { GROUP_RECORD, MODIFIER, Words } from "../kernels/layouts.ts";
import { decayFactors } from "./decay.ts";
import { type Group, referenceLr, valueAt } from "./groups.ts";
import { type Carry, hyperNames, type Rule } from "./rule.ts";
import type { StepTable } from "./step-rows.ts";

// The largest float32: a clamp that changes nothing.
const F32_MAX = 3.4028234663852886e38;
const FIRST_ROWS = 256;

/** What a group carries from update to update. */
export interface GroupPast {
  readonly dose: number | null;
  /** Of the rule's recursion. */
  readonly carry?: Carry | undefined;
}

/** Weights with which the parameters after an update go into their averages. */
export interface AverageWeights {
  readonly lookahead: number;
  readonly average: number;
}

/** What the host remembers of a group in an update. */
export interface GroupMoment extends GroupPast {
  readonly lr: number;
  readonly weightDecay: number;
  readonly l1: number;
  readonly fraction: number | null;
}

/** The ring. */
export class GroupRecords {
  /** Rows; a power of two. */
  rows: number = FIRST_ROWS;
  readonly #rules: readonly Rule[];
  readonly #weights: (update: number) => AverageWeights;
  /** Words per group, by rule. */
  readonly widths: readonly number[];
  /** What the host remembers of each update, by row. */
  #moments: (readonly GroupMoment[] | undefined)[] = new Array(FIRST_ROWS).fill(undefined);
  /** Rows up to this update have been written; 0 for none. */
  #written = 0;
  #dirty = false;
  /** What was carried after update `#before`, where this ring begins. */
  #pasts: readonly GroupPast[] = [];
  #before = 0;
  /** The row being written, by rule. Each has room for all groups; only those of the rule are read. */
  #words: readonly Words[];

  constructor(rules: readonly Rule[], groupCount: number, weights: (update: number) => AverageWeights) {
    this.#rules = rules;
    this.#weights = weights;
    this.widths = rules.map((rule) => GROUP_RECORD.length + hyperNames(rule.definition).length);
    this.#words = this.widths.map((width) => new Words(groupCount * width));
  }

  /** Options have changed: the rows of updates that have not happened yet are to be written again. */
  touch(): void {
    this.#dirty = true;
  }

  /** Begins after `applied` updates, with what the groups carried then. */
  restart(applied: number, pasts: readonly GroupPast[], groupCount: number): void {
    this.#words = this.widths.map((width) => new Words(groupCount * width));
    this.#moments.fill(undefined);
    this.#written = applied;
    this.#before = applied;
    this.#dirty = false;
    this.#pasts = pasts;
  }

  /** Whether rows of updates from `first` on and before `last` are to be written again. To be called before every `write`. */
  outdated(groups: readonly Group[], first: number, last: number): boolean {
    // A schedule may have a memory, as reduceOnPlateau has: then rows that are there already do not hold any more.
    const there = Math.min(last, this.#written);
    if (there >= first && this.#hasChanged(groups, there)) this.#dirty = true;
    return this.#dirty && first < last;
  }

  /** Makes room for updates `first` to `last`; true if the ring has grown, and every row is to be written again. */
  grow(first: number, last: number): boolean {
    // One more row for the doses of the update before.
    if (last - first + 2 <= this.rows) return false;
    const old = this.#moments;
    const before = this.rows;
    while (last - first + 2 > this.rows) this.rows *= 2;
    this.#moments = new Array(this.rows).fill(undefined);
    for (let s = Math.max(first - 1, last - before + 1); s <= last; s++) this.#moments[s % this.rows] = old[s % before];
    this.#dirty = true;
    return true;
  }

  /**
   * Writes the rows of updates up to `last` that are missing; after a change, all from `first` on.
   *
   * @throws {OptionError} if a schedule gives no finite value >= 0. Nothing has been written then.
   */
  write(
    groups: readonly Group[],
    tables: readonly StepTable[],
    first: number,
    last: number,
    put: (rule: number, row: number, words: Words) => void,
  ): void {
    // Rows beyond `last` are there too where more steps have been skipped than was known: they are written again as they come.
    if (this.#dirty) this.#written = Math.min(first - 1, this.#written);
    for (let s = this.#written + 1; s <= last; s++) {
      const before: readonly GroupPast[] = this.#moments[(s - 1) % this.rows] ?? this.#pasts;
      const weights = this.#weights(s);
      // Unless steps have been skipped meanwhile, the updates before the last have happened, with the options of their time.
      const past = this.#dirty && s < last ? this.#moments[s % this.rows] : undefined;
      const moments = groups.map((group, g) => this.#write(group, g, tables[g] as StepTable, s, before[g], weights));
      this.#moments[s % this.rows] = past ?? moments;
      this.#words.forEach((words, rule) => {
        put(rule, s % this.rows, words);
      });
      this.#written = s;
    }
    this.#dirty = false;
  }

  #hasChanged(groups: readonly Group[], update: number): boolean {
    const moments = this.#moments[update % this.rows];
    return groups.some((group, g) => {
      const { lr, weightDecay, l1 } = moments?.[g] ?? {};
      return (
        lr !== valueAt(group.lr, update - 1) * group.lrScale ||
        weightDecay !== valueAt(group.weightDecay, update - 1) ||
        l1 !== valueAt(group.l1, update - 1)
      );
    });
  }

  /** What was true in update `applied`; the newest known row where that is gone. */
  at(applied: number, group: number): GroupMoment {
    const moments =
      applied > this.#before
        ? (this.#moments[applied % this.rows] ?? this.#moments[this.#written % this.rows])
        : undefined;
    return (
      moments?.[group] ?? {
        lr: Number.NaN,
        weightDecay: Number.NaN,
        l1: Number.NaN,
        fraction: null,
        dose: this.#pasts[group]?.dose ?? null,
        carry: this.#pasts[group]?.carry,
      }
    );
  }

  #write(
    group: Group,
    index: number,
    table: StepTable,
    update: number,
    before: GroupPast | undefined,
    weights: AverageWeights,
  ): GroupMoment {
    const step = update - 1;
    const { definition } = this.#rules[group.rule] as Rule;
    const words = this.#words[group.rule] as Words;
    const width = this.widths[group.rule] as number;
    const where = definition.name;
    const rate = (option: "lr" | "weightDecay" | "l1"): number => {
      const value = valueAt(group[option], step);
      if (typeof value !== "number" || !(value >= 0 && Number.isFinite(Math.fround(value))))
        throw new OptionError(
          where,
          `${option} at step ${step} (group ${group.name})`,
          "must be a finite number >= 0",
          value,
        );
      return value;
    };
    const unscaledLr = rate("lr");
    const lr = unscaledLr * group.lrScale;
    const weightDecay = rate("weightDecay");
    const l1 = rate("l1");
    const scheduled = group.decayMode === "scheduled";
    const factors = decayFactors(
      group.decayMode,
      scheduled ? unscaledLr : lr,
      scheduled ? referenceLr(group) : 1,
      weightDecay,
      l1,
    );
    const at = index * width;
    const { cautiousUpdate } = group;
    words.write(GROUP_RECORD, at, {
      lr,
      grad_scale: group.hyper.maximize === true ? -1 : 1,
      coupled: factors.coupled,
      shrink: factors.shrink,
      decay: factors.decay,
      l1: factors.l1,
      clip_value: Math.min(group.clipValue, F32_MAX),
      modifiers:
        (group.cautious ? MODIFIER.cautious : 0) |
        (group.toward !== undefined ? MODIFIER.toward : 0) |
        (group.decayMode === "coupled" ? MODIFIER.l1Coupled : 0) |
        // Without l1 the plain formula is the more exact one.
        (group.decayMode === "proximal" && l1 > 0 ? MODIFIER.l1Proximal : 0) |
        (cautiousUpdate === false ? 0 : MODIFIER.cautiousUpdate) |
        (cautiousUpdate === "c-optim" ? MODIFIER.cautiousCOptim : 0) |
        (typeof cautiousUpdate === "object" ? MODIFIER.cautiousLucidrains : 0),
      lambda: weightDecay,
      rule_decay: group.decayMode === "rule" ? weightDecay : 0,
      cautious_factor: typeof cautiousUpdate === "object" ? cautiousUpdate.factor : cautiousUpdate === false ? 1 : 0,
      ...weights,
      first_step_row: (table.base - 1) >>> 0,
      // Infinity as an integer would be 0.
      last_step_row: Math.min(table.last, 2 ** 32 - 1),
    });
    const { recursion } = definition;
    const next = recursion?.next(group.hyper, before?.carry ?? recursion.start, { lr, update });
    const hyper = [...Object.values(definition.hyper(group.hyper)), ...Object.values(next?.hyper ?? {})];
    words.f32.set(hyper, at + GROUP_RECORD.length);
    const dose = factors.fraction === null ? null : (before?.dose ?? 0) + factors.fraction;
    return { lr, weightDecay, l1, fraction: factors.fraction, dose, carry: next?.carry };
  }
}
