import type { Comparison } from "../compare.ts";
import type { SchedulerCase } from "../golden/schedulers.ts";

/** Learning rate (and momentum) of one group of a case, step after step, from the engine's schedules. */
export type RunSchedule = (one: SchedulerCase, group: number) => { lr: number[]; momentum?: number[] };

/** Learning rates and momenta per step. */
export function runSchedulers(one: SchedulerCase, runSchedule: RunSchedule, comparison: Comparison): void {
  one.baseLr.forEach((_, group) => {
    const made = runSchedule(one, group);
    compareColumn(
      comparison,
      `groups[${group}].lr`,
      made.lr,
      one.lr.map((row) => row[group]!),
    );
    if (!one.momentum) return;
    compareColumn(
      comparison,
      `groups[${group}].momentum`,
      made.momentum,
      one.momentum.map((row) => row[group]!),
    );
  });
}

function compareColumn(comparison: Comparison, where: string, actual: number[] | undefined, expected: number[]): void {
  if (actual?.length !== expected.length) {
    comparison.fail(`${where} must have ${expected.length} entries, got ${actual?.length}`);
    return;
  }
  // Both sides are float64, but PyTorch multiplies its way from step to step where a closed form does not: 1e-11 of the
  // largest value, since schedules run down to zero.
  const scale = 1e-5 * Math.max(...expected.map(Math.abs));
  expected.forEach((value, i) => {
    comparison.number(`${where}[${i}]`, actual[i], value, scale);
  });
}
