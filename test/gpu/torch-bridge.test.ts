/**
 * A run that PyTorch began goes on here: 20 steps from its checkpoint, with SGD with momentum, Adam, and AdamW with amsgrad, two
 * groups, and parameters whose first gradient comes late. The files come from `npm run verify:torch -- --update`.
 */
import { describe, expect, test } from "vitest";
import { readCheckpoint } from "../../src/checkpoint/index.ts";
import type { StateDict, TensorState } from "../../src/index.ts";
import * as library from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { continueRun } from "../torch-bridge/engine-run.ts";
import { CASES, compareWithTruth, STEPS } from "../torch-bridge/truth.ts";
import { criterionFor, expectPassed } from "./twin-run.ts";

const files = import.meta.glob<string>("../golden/torch-bridge/*.safetensors", {
  query: "?url",
  import: "default",
  eager: true,
});

async function load(name: string): Promise<ArrayBuffer> {
  const url = files[`../golden/torch-bridge/${name}.safetensors`];
  const response = await fetch(url ?? "");
  expect(response.ok, `${name} is there`).toBe(true);
  return response.arrayBuffer();
}

const rules = library as unknown as Parameters<typeof continueRun>[3];

describe.each(CASES)("%s", (id) => {
  test("goes on as in PyTorch", async () => {
    const device = await testDevice();
    const file = await continueRun(device, id, await load(`${id}-20`), rules);
    const comparison = criterionFor(device);
    compareWithTruth(comparison, 2 * STEPS, readCheckpoint(file), await load(`${id}-40-truth`));
    expectPassed(comparison);
    expect(comparison.compared).toBeGreaterThan(400);
  });

  test.each<[string, (state: StateDict) => StateDict]>([
    ["state", (state) => edited(state, (tensor) => ({ ...tensor, slots: zeros(tensor) }))],
    ["count of updates", (state) => edited({ ...state, stepsApplied: 0 }, (tensor) => ({ ...tensor, step: 0 }))],
  ])("and would not, if the %s were lost", async (_, edit) => {
    const device = await testDevice();
    const file = await load(`${id}-20`);
    const done = readCheckpoint(await continueRun(device, id, file, rules, edit));
    const comparison = criterionFor(device);
    compareWithTruth(comparison, done.state.stepsApplied, done, await load(`${id}-40-truth`));
    expect(comparison.passed).toBe(false);
    expect(comparison.worst).toBeGreaterThan(100);
  });
});

function edited(state: StateDict, change: (tensor: TensorState) => TensorState): StateDict {
  const tensors = Object.entries(state.tensors).map(([name, tensor]) => [name, change(tensor)]);
  return { ...state, tensors: Object.fromEntries(tensors) };
}

const zeros = ({ slots }: TensorState) =>
  Object.fromEntries(Object.entries(slots).map(([name, { length }]) => [name, new Float32Array(length)]));
