/** Trajectories of PyTorch's SGD, Adam and AdamW, driven through the adapter for TensorFlow.js. */
import { beforeAll, describe, expect, test } from "vitest";
import { Comparison, SOFTWARE } from "../conformance/compare.ts";
import { parseGolden } from "../conformance/golden/parse.ts";
import type { TrajectoryCase } from "../conformance/golden/trajectory.ts";
import { runTrajectory, whyUnsupportedCase } from "../conformance/kinds/trajectory.ts";
import adam from "../golden/torch-adam.json?raw";
import adamw from "../golden/torch-adamw.json?raw";
import sgd from "../golden/torch-sgd.json?raw";
import { tfjsBackend } from "./tfjs-backend.ts";
import { tfjsMaker } from "./tfjs-subject.ts";

beforeAll(async () => {
  await tfjsBackend();
});

describe.each([
  ["SGD", sgd],
  ["Adam", adam],
  ["AdamW", adamw],
])("%s", (_, text) => {
  const file = parseGolden(text);
  const cases = file.cases as readonly TrajectoryCase[];
  test.each(cases.map((one) => [one.id, one] as const))("%s", async (_id, one) => {
    expect(file.kind).toBe("trajectory");
    expect(whyUnsupportedCase(one)).toBeUndefined();
    const comparison = new Comparison(SOFTWARE);
    await runTrajectory(one, tfjsMaker, comparison);
    expect(comparison.messages).toEqual([]);
    expect(comparison.compared).toBeGreaterThan(0);
  });
});
