/** Every rule of the table has every property here. */

import { describe, test } from "vitest";
import { testDevice } from "../browser/device.ts";
import { RULES } from "../rules-table.ts";
import { CHUNK, expectTwinRun, type Problem, randomFrom, type SharedGroup, SIZES } from "./twin-run.ts";

const shapes = SIZES.map((size) => [size]);
const tuning = { chunk: CHUNK };

describe.each(RULES)("$name", (row) => {
  test.each([1, 2, 3])("follows its float64 twin: random problem %i", async (seed) => {
    const random = randomFrom(seed);
    const groups = [0, 1, 2].map((): SharedGroup => {
      return { ...row.draw(random), lr: 10 ** (-3 * random()) / 10, weightDecay: random() / 2 };
    });
    const problem: Problem = { row, seed, shapes, groups, tuning };
    await expectTwinRun(await testDevice(), problem, 20);
  });
});
