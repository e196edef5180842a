/** What rules compute on the host: numbers by step count, and the count from which these stand still. */
import { describe, expect, test } from "vitest";
import type { HyperOptions } from "../../src/index.ts";
import * as library from "../../src/index.ts";
import { words } from "../reference/prng.ts";
import { exportOf, OFFERED } from "../rules-table.ts";

const SEED = 4;

/** Options as the table draws them, and those that are there already. */
function optionsOf({ rule, draw, change }: (typeof OFFERED)[number]): HyperOptions[] {
  let i = 0;
  const random = () => words(SEED, 0, 0, i++).w1 / 2 ** 32;
  const drawn = Array.from({ length: 20 }, () => draw(random));
  return [{}, change, ...drawn].map((own) => ({ ...rule.options, ...own }) as HyperOptions);
}

describe.each(OFFERED)("$name", (row) => {
  const { definition } = row.rule;

  test("is exported by its name, which is that of its twin", () => {
    const make = (library as Readonly<Record<string, unknown>>)[exportOf(definition)] as () => typeof row.rule;
    expect(make().definition).toBe(definition);
    expect(row.twin.name).toBe(definition.name);
    expect(row.twin.lr ?? 1e-3).toBe(definition.lr ?? 1e-3);
    expect(row.twin.weightDecay).toBe(definition.weightDecay ?? 0);
    expect(row.twin.decayMode).toBe(definition.decayMode ?? "decoupled");
  });

  test("all its numbers are float32, whatever the options and the count", () => {
    for (const options of optionsOf(row)) {
      const rows = [1, 2, 3, 5, 6, 7, 100, 10_000, 10_000_000].map((t) => definition.stepRow?.(options, t) ?? {});
      for (const numbers of [definition.hyper(options), ...rows])
        for (const [name, x] of Object.entries(numbers))
          expect(Number.isFinite(Math.fround(x)) && x >= 0, `${name} = ${x} of ${JSON.stringify(options)}`).toBe(true);
    }
  });

  test("its step rows stand still from the last on", ({ skip }) => {
    if (!definition.stepRow) return skip("it has no step rows");
    for (const options of optionsOf(row)) {
      const last = definition.lastStepRow?.(options) ?? 1;
      if (last === Number.POSITIVE_INFINITY) continue;
      expect(Number.isInteger(last) && last >= 1, String(last)).toBe(true);
      const still = Object.entries(definition.stepRow(options, last));
      for (const t of [last + 1, last + 7, 2 * last, 10 * last]) {
        const later = definition.stepRow(options, t);
        // What differs by less than half of the last place of float32 may still be rounded the other way.
        for (const [name, x] of still)
          expect(Math.abs(later[name]! - x), `${name} at ${t} after ${last}`).toBeLessThanOrEqual(2 ** -24 * x);
      }
    }
  });
});
