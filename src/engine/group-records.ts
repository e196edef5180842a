/**
 * Group records in time: one row per coming update, computed in float64 and rounded once. Rows are addressed by the number of
 * updates applied, which only the device knows for sure (a step may have been skipped), so a ring holds every row that is still
 * possible; a change of options rewrites them.
 */
import { OptionError } from "../errors.ts";
import { GROUP_RECORD, MODIFIER, Words } from "../kernels/layouts.ts";
import { decayFactors } from "./decay.ts";
import { type Group, referenceLr, valueAt } from "./groups.ts";
import type { Rule } from "./rule.ts";
import type { StepTable } from "./step-rows.ts";

// The largest float32: a clamp that changes nothing.
const F32_MAX = 3.4028234663852886e38;
const FIRST_ROWS = 256;

/** What the host remembers of a group in an update. */
export interface GroupMoment {
  readonly lr: number;
  readonly weightDecay: number;
  readonly l1: number;
  readonly fraction: number | null;
  readonly dose: number | null;
}

/** The ring. */
export class GroupRecords {
  /** Rows; a power of two. */
  rows: number = FIRST_ROWS;
  readonly #rule: Rule;
  readonly #hyperNames: readonly string[];
  /** What the host remembers of each update, by row. */
  #moments: (readonly GroupMoment[] | undefined)[] = new Array(FIRST_ROWS).fill(undefined);
  /** Rows up to this update have been written; 0 for none. */
  #written = 0;
  #dirty = false;
  /** Doses after update `#before`, where this ring begins. */
  #doses: readonly (number | null)[] = [];
  #before = 0;
  #words: Words;

  constructor(rule: Rule, groupCount: number) {
    this.#rule = rule;
    this.#hyperNames = Object.keys(rule.definition.hyper(rule.definition.defaults));
    this.#words = new Words(groupCount * this.width);
  }

  /** Words per group. */
  get width(): number {
    return GROUP_RECORD.length + this.#hyperNames.length;
  }

  /** Options have changed: the rows of updates that have not happened yet are to be written again. */
  touch(): void {
    this.#dirty = true;
  }

  /** Begins after `applied` updates, with these doses. */
  restart(applied: number, doses: readonly (number | null)[], groupCount: number): void {
    this.#words = new Words(groupCount * this.width);
    this.#moments.fill(undefined);
    this.#written = applied;
    this.#before = applied;
    this.#dirty = false;
    this.#doses = doses;
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
    put: (row: number, words: Words) => void,
  ): void {
    // Rows beyond `last` are there too where more steps have been skipped than was known: they are written again as they come.
    if (this.#dirty) this.#written = Math.min(first - 1, this.#written);
    for (let s = this.#written + 1; s <= last; s++) {
      const doses = this.#moments[(s - 1) % this.rows]?.map((m) => m.dose) ?? this.#doses;
      // Unless steps have been skipped meanwhile, the updates before the last have happened, with the options of their time.
      const past = this.#dirty && s < last ? this.#moments[s % this.rows] : undefined;
      const moments = groups.map((group, g) => this.#write(group, g, tables[g] as StepTable, s, doses[g] ?? null));
      this.#moments[s % this.rows] = past ?? moments;
      put(s % this.rows, this.#words);
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
        dose: this.#doses[group] ?? null,
      }
    );
  }

  #write(group: Group, index: number, table: StepTable, update: number, doseBefore: number | null): GroupMoment {
    const step = update - 1;
    const where = this.#rule.definition.name;
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
    const at = index * this.width;
    this.#words.write(GROUP_RECORD, at, {
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
        (group.decayMode === "proximal" && l1 > 0 ? MODIFIER.l1Proximal : 0),
      first_step_row: (table.base - 1) >>> 0,
      // Infinity as an integer would be 0.
      last_step_row: Math.min(table.last, 2 ** 32 - 1),
    });
    this.#words.f32.set(Object.values(this.#rule.definition.hyper(group.hyper)), at + GROUP_RECORD.length);
    const dose = factors.fraction === null ? null : (doseBefore ?? 0) + factors.fraction;
    return { lr, weightDecay, l1, fraction: factors.fraction, dose };
  }
}
