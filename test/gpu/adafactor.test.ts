/** Adafactor's means of rows, which are made before the walk over a chunk where they are few, and else where they are needed. */
import { describe, test } from "vitest";
import { adafactor } from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { adafactor as twin } from "../reference/adafactor.ts";
import { CHUNK, expectTwinRun } from "./twin-run.ts";

/** By PyTorch's convention the last two dimensions are rows and columns: a pair for each of what is before them. */
const TORCH = [
  [70, 3, 3],
  [64, 5, 7],
  [3, 40, 9],
  [200, 6],
  [2, 3, 1, 50],
];
/** timm's takes the first two, and a pair for each of what is behind them: 9 and 81. */
const TIMM = [
  [20, 18, 3, 3],
  [17, 19, 9, 9],
];

describe.each([
  ["torch", TORCH],
  ["timm", TIMM],
] as const)("%s", (convention, shapes) => {
  const row = { rule: adafactor({ convention }), twin, options: { convention } };

  test.each([
    ["tensors in one chunk", {}],
    ["tensors in many chunks", { chunk: CHUNK }],
    ["workgroups of 64", { chunk: 256, workgroup: 64 }],
  ])("%s", async (_, tuning) => {
    await expectTwinRun(await testDevice(), { row, shapes, tuning, groups: [{ lr: 0.01 }] }, 3);
  });
});
