/**
 * What the host knows of time, and the rows it keeps ready on the device. Only the device knows how many steps have been skipped;
 * the host learns of it late, and until then every row that may still be needed stays there.
 */
import type { Memory } from "../host/memory.ts";
import type { StepBuffers } from "../host/step-buffers.ts";
import type { GroupPast, GroupRecords } from "./group-records.ts";
import type { Group } from "./groups.ts";
import { Participation } from "./participation.ts";
import type { StepRows, StepTable } from "./step-rows.ts";

// How far ahead rows by step count are computed: all at first, so that a steady run uploads none; few once options change.
const ROWS_AHEAD_AT_FIRST = Infinity;
const ROWS_AHEAD = 256;

/** What a timeline looks after. */
export interface TimelineParts {
  readonly groups: readonly Group[];
  readonly memory: Memory;
  readonly buffers: StepBuffers;
  readonly records: GroupRecords;
  /** By rule. */
  readonly rows: readonly StepRows[];
  /** Steps can be skipped. */
  readonly measures: boolean;
}

/** Steps, counts and rows of an optimizer. */
export class Timeline {
  /** Steps encoded, skipped ones included. */
  steps = 0;
  readonly participation: Participation = new Participation();
  readonly #parts: TimelineParts;
  #tables: StepTable[] = [];
  /** After step `#knownStep`, `#knownSkipped` steps had been skipped. */
  #knownStep = 0;
  #knownSkipped = 0;

  constructor(parts: TimelineParts) {
    this.#parts = parts;
    for (const rows of parts.rows) rows.ahead = ROWS_AHEAD_AT_FIRST;
    this.adopt();
    for (const rows of parts.rows) rows.ahead = ROWS_AHEAD;
  }

  /** The updates that the coming step may turn out to be, by the number of steps that have been skipped. */
  get possible(): { first: number; last: number } {
    return { first: this.#knownStep + 1 - this.#knownSkipped, last: this.steps + 1 - this.#knownSkipped };
  }

  /** Steps so far in which tensor `k` took part, skipped ones included. */
  count(k: number): number {
    return this.steps - this.participation.lag(k, this.steps);
  }

  /** Takes on tensors and groups that are new. */
  adopt(): void {
    this.participation.adopt(this.#parts.memory.tensors.length, this.steps);
    this.#resizeRecords();
    this.layOutRows();
  }

  /** Makes everything ready for the next step. */
  prepare(): void {
    const { groups, memory, buffers, records } = this.#parts;
    const groupIndex = (k: number): number => memory.tensors[k]?.group ?? 0;
    const rows = this.participation.settle(this.steps, (k) => groups[groupIndex(k)]?.frozen === true);
    if (rows) buffers.setTensors(rows.map((row, k) => ({ group: groupIndex(k), ...row })));
    this.#writeStepRows();
    const { first, last } = this.possible;
    const overwrites = records.outdated(groups, first, last) && buffers.lends;
    if (records.grow(first, last) || overwrites) this.#resizeRecords();
    records.write(groups, this.#tables, first, last, (rule, row, words) => buffers.writeRecords(rule, row, words));
  }

  #resizeRecords(): void {
    const { buffers, records, groups } = this.#parts;
    records.widths.forEach((width, rule) => {
      buffers.resizeRecords(rule, records.rows, width * groups.length);
    });
  }

  /** The step has been encoded. */
  advance(): void {
    this.steps += 1;
    this.participation.stepped();
    if (!this.#parts.measures) this.#knownStep = this.steps;
  }

  /** The device tells that after step `step`, `skipped` steps had been skipped. */
  learn(step: number, skipped: number): void {
    if (step <= this.#knownStep || step > this.steps) return;
    this.#knownStep = step;
    this.#knownSkipped = skipped;
  }

  /** Begins after `applied` updates and `skipped` skipped steps. `countOf` gives a tensor's own updates. */
  restart(applied: number, skipped: number, pasts: readonly GroupPast[], countOf: (k: number) => number): void {
    const { records, memory, groups } = this.#parts;
    this.steps = applied + skipped;
    this.#knownStep = this.steps;
    this.#knownSkipped = skipped;
    for (const { index } of memory.tensors) this.participation.reset(index, this.steps - countOf(index), this.steps);
    records.restart(applied, pasts, groups.length);
    this.layOutRows();
  }

  /** Options that rows by step count depend on have changed. */
  layOutRows(): void {
    const { groups, rows } = this.#parts;
    this.#tables = groups.map((g) => (rows[g.rule] as StepRows).table(g.hyper));
    this.#layOutTables();
    this.#writeStepRows();
  }

  #layOutTables(): void {
    const { rows, buffers, records } = this.#parts;
    const used = new Set(this.#tables);
    rows.forEach((ofRule, rule) => {
      ofRule.compact(used);
      buffers.resizeStepRows(rule, ofRule.length * ofRule.width);
    });
    records.touch();
  }

  /** Uploads rows by step count, for every count that a tensor may have reached. */
  #writeStepRows(): void {
    const { rows, buffers, groups } = this.#parts;
    const { least, most } = this.participation.bounds;
    const { first, last } = this.possible;
    const rowsOf = (g: number): StepRows => rows[groups[g]?.rule ?? 0] as StepRows;
    const highest = (g: number): number => (rowsOf(g).byUpdate ? last : this.steps + 1 - least);
    const lowest = (g: number): number => (rowsOf(g).byUpdate ? first : Math.max(1, first - most));
    let grown = false;
    this.#tables.forEach((table, g) => {
      grown = rowsOf(g).grow(table, highest(g)) || grown;
    });
    if (grown) this.#layOutTables();
    this.#tables.forEach((table, g) => {
      const upload = rowsOf(g).missing(table, lowest(g), highest(g));
      if (upload) buffers.writeStepRows(groups[g]?.rule ?? 0, upload.at * rowsOf(g).width, upload.words);
    });
  }
}
