/**
 * Bias corrections and other numbers that depend on a tensor's own step count, as rows by count. The device looks them up by a
 * count that the host need not know (a step may have been skipped), so the rows of all counts that are possible must be there.
 *
 * Each distinct set of options has one table. It ends with the row from which nothing changes in float32 (beta2 = 0.999: 18 013);
 * where that is far away, or never, the table grows by doubling.
 */
import type { HyperOptions, RuleDefinition } from "./rule.ts";

/** A table of rows within the common array; counts begin with 1. */
export interface StepTable {
  readonly options: HyperOptions;
  /** From this count on all rows are equal. */
  readonly last: number;
  /** Index of row 1 in the common array. */
  base: number;
  capacity: number;
  /** Rows `from` to `to - 1` have been computed. */
  from: number;
  to: number;
}

/** Rows that have to be uploaded: words `at * width` onward of the common array. */
export interface RowUpload {
  readonly at: number;
  readonly words: Float32Array<ArrayBuffer>;
}

const FIRST_CAPACITY = 32_768;

/** All tables of an optimizer. */
export class StepRows {
  /** Words per row. */
  readonly width: number;
  /** Rows in the common array. */
  length = 0;
  /** How many rows are computed ahead of need: all at first, so that a steady run uploads none; few when options keep changing. */
  ahead: number = FIRST_CAPACITY;
  readonly #rule: RuleDefinition;
  readonly #tables = new Map<string, StepTable>();

  /** Rows go by the number of updates; see `RuleDefinition.countsUpdates`. */
  get byUpdate(): boolean {
    return this.#rule.countsUpdates === true;
  }

  constructor(rule: RuleDefinition) {
    this.#rule = rule;
    this.width = Object.keys(rule.stepRow?.(rule.defaults, 1) ?? { unused: 0 }).length;
  }

  /** The table of these options; a new one lengthens the array. */
  table(options: HyperOptions): StepTable {
    const key = JSON.stringify(options);
    let table = this.#tables.get(key);
    if (table === undefined) {
      const last = Math.max(1, this.#rule.stepRow ? (this.#rule.lastStepRow?.(options) ?? 1) : 1);
      const capacity = Math.min(last, FIRST_CAPACITY);
      table = { options, last, base: this.length, capacity, from: 1, to: 1 };
      this.length += capacity;
      this.#tables.set(key, table);
    }
    return table;
  }

  /** Forgets all tables but those in use, and lays them out again; every row has to be uploaded anew. */
  compact(used: ReadonlySet<StepTable>): void {
    this.length = 0;
    for (const [key, table] of this.#tables) {
      if (!used.has(table)) {
        this.#tables.delete(key);
        continue;
      }
      table.base = this.length;
      table.from = 1;
      table.to = 1;
      this.length += table.capacity;
    }
  }

  /** Makes room for count `hi`; true if the layout has changed. */
  grow(table: StepTable, hi: number): boolean {
    const needed = Math.min(hi + 1, table.last);
    if (needed <= table.capacity) return false;
    while (table.capacity < needed) table.capacity *= 2;
    table.capacity = Math.min(table.capacity, table.last);
    return true;
  }

  /** The rows of counts `lo` to `hi` that are not there yet, and some more. */
  missing(table: StepTable, lo: number, hi: number): RowUpload | undefined {
    const first = Math.min(lo, table.last);
    const end = Math.min(hi, table.last) + 1;
    if (table.from <= first && end <= table.to && table.to > table.from) return undefined;
    const contiguous = table.to > table.from && first >= table.from && first <= table.to;
    const from = contiguous ? table.to : first;
    const to = Math.min(end + this.ahead, table.capacity + 1);
    table.from = contiguous ? table.from : from;
    table.to = to;
    const words = new Float32Array((to - from) * this.width);
    for (let t = from; t < to; t++) words.set(this.#row(table.options, t), (t - from) * this.width);
    return { at: table.base + from - 1, words };
  }

  #row(options: HyperOptions, t: number): number[] {
    return Object.values(this.#rule.stepRow?.(options, t) ?? { unused: 0 });
  }
}
