/** Checkpoint files of real optimizers: of every rule, and broken ones, after which nothing has changed. */
import { describe, expect, test } from "vitest";
import documentation from "../../docs/checkpoints.md?raw";
import { CheckpointError, readCheckpoint, writeCheckpoint } from "../../src/checkpoint/index.ts";
import { adamw, OptimError, type Optimizer, type OptimizerOptions, type StateDict } from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { mutations } from "../checkpoint-mutations.ts";
import { adamw as adamwTwin } from "../reference/adam.ts";
import { RULES, type RuleRow } from "../rules-table.ts";
import { load, save } from "./checkpoint-example.ts";
import exampleSource from "./checkpoint-example.ts?raw";
import { bitsOf, gradientsAt, type Problem, randomFrom, start, stepWith } from "./twin-run.ts";

const shapes = [[5], [2, 32], [65], [], [3, 1, 2], [7]];

const OPTIONS: Partial<OptimizerOptions> = { lr: (step) => 0.05 / (1 + step), weightDecay: 0.1, skipNonFinite: true };
const MORE: Partial<OptimizerOptions> = { ...OPTIONS, lossScale: { initial: 4, growthInterval: 3 } };

const problemOf = (row: Problem["row"] & Partial<RuleRow>, options = OPTIONS): Problem => ({
  row,
  // Muon takes matrices only.
  shapes: shapes.map(row.shape ?? ((shape) => shape)),
  options,
});

/** Steps with a skipped one, a tensor that starts late and one that pauses. */
function run(optimizer: Optimizer, problem: Problem, from: number, to: number): void {
  for (let step = from; step <= to; step++) {
    const grads: (Float32Array | null)[] = gradientsAt(problem, step);
    if (step === 2) grads[0]![0] = Number.NaN;
    if (step < 6) grads[2] = null;
    if (step % 3 === 0) grads[4] = null;
    stepWith(optimizer, grads);
  }
}

async function expectExact(problem: Problem): Promise<void> {
  const optimizer = await start(await testDevice(), problem);
  run(optimizer, problem, 1, 4);
  const saved = await optimizer.stateDict();
  const { state } = readCheckpoint(writeCheckpoint(saved));
  expect(state).toEqual(saved);
  expect(bitsOf(state)).toEqual(bitsOf(saved));
  run(optimizer, problem, 5, 8);
  const uncut = bitsOf(await optimizer.stateDict());
  // Back into the one that has gone on: whatever were not loaded would be that of step 8.
  await optimizer.loadStateDict(state);
  run(optimizer, problem, 5, 8);
  expect(bitsOf(await optimizer.stateDict())).toEqual(uncut);
  optimizer.destroy();
}

// One row of each rule: what they keep differs, what they do with it is not the file's business.
const rows = new Map(RULES.map((row) => [row.rule.definition.name, row]));

test.each([...rows])("%s: saved to a file and loaded, the run goes on bit for bit", (_, row) =>
  expectExact(problemOf(row)),
);

const ADAMW = { rule: adamw({ amsgrad: true }), twin: adamwTwin, options: {} };

test.each<[string, Partial<OptimizerOptions>]>([
  ["a dynamic loss scale", MORE],
  ["decay toward the initial values", { ...OPTIONS, toward: "initial" }],
  ["lookahead", { ...OPTIONS, lookahead: {} }],
  ["slow weights still to be made", { ...OPTIONS, lookahead: { init: "first-sync" } }],
  ["an average of the parameters", { ...OPTIONS, ema: { decay: 0.9 } }],
])("with %s too", (_, options) => expectExact(problemOf(ADAMW, options)));

test("the example of docs/checkpoints.md is test/gpu/checkpoint-example.ts, and runs", async () => {
  const block = /```ts\n([\s\S]*?)```/.exec(documentation)?.[1];
  const lines = (code = "") =>
    code
      .replaceAll(/"\.\.\/\.\.\/src\/index.ts"/g, '"webgpu-optim"')
      .trim()
      .split("\n");
  const file = exampleSource.replace("../../src/checkpoint/index.ts", "webgpu-optim/checkpoint");
  expect(lines(block).toSorted()).toEqual(lines(file).toSorted());
  const device = await testDevice();
  const problem = problemOf(ADAMW, MORE);
  const [one, other] = [await start(device, problem), await start(device, problem)];
  run(one, problem, 1, 4);
  expect(await load(other, await save(one))).toBe(3);
  for (const optimizer of [one, other]) run(optimizer, problem, 5, 6);
  expect(bitsOf(await other.stateDict())).toEqual(bitsOf(await one.stateDict()));
  one.destroy();
  other.destroy();
});

describe("broken files", () => {
  const problem = problemOf(ADAMW, MORE);

  test("leave the optimizer as it was", async () => {
    const optimizer = await start(await testDevice(), problem);
    run(optimizer, problem, 1, 4);
    const base = await optimizer.stateDict();
    const before = bitsOf(base);
    const like = structuredClone(base);
    const outcomes = { refusedByReader: 0, refusedByOptimizer: 0, loaded: 0 };
    const expectUnchanged = async (kind: string) => expect(bitsOf(await optimizer.stateDict()), kind).toEqual(before);
    let i = 0;
    for (const { kind, file, must } of mutations(writeCheckpoint(base), 400)) {
      let state: StateDict;
      try {
        state = readCheckpoint(file, i++ % 2 ? { like } : {}).state;
      } catch (error) {
        expect(error, kind).toBeInstanceOf(CheckpointError);
        outcomes.refusedByReader++;
        continue;
      }
      try {
        await optimizer.loadStateDict(state);
        outcomes.loaded++;
        if (must === "read") await expectUnchanged(kind);
        await optimizer.loadStateDict(base);
      } catch (error) {
        expect(error, kind).toBeInstanceOf(OptimError);
        outcomes.refusedByOptimizer++;
      }
      await expectUnchanged(kind);
    }
    await expectUnchanged("all");
    expect(outcomes.refusedByReader).toBeGreaterThan(250);
    expect(outcomes.loaded).toBeGreaterThan(25);
    optimizer.destroy();
  });

  test("and so do files that are whole, but of another optimizer", async () => {
    const device = await testDevice();
    const optimizer = await start(device, problem);
    run(optimizer, problem, 1, 4);
    const base = await optimizer.stateDict();
    const random = randomFrom(5);
    const names = Object.keys(base.tensors);
    for (let i = 0; i < 60; i++) {
      const state = structuredClone(base) as { -readonly [K in keyof StateDict]: StateDict[K] };
      const name = names[Math.floor(random() * names.length)]!;
      const tensor = state.tensors[name]!;
      const { exp_avg: _, ...slots } = tensor.slots;
      const tensors = (more: object) => ({ ...state.tensors, [name]: { ...tensor, ...more } });
      const changes: (() => Partial<StateDict>)[] = [
        () => ({ rule: "adam" }),
        () => ({ stepsApplied: 0 }),
        () => ({ groups: state.groups.map((group) => ({ ...group, name: `${group.name}2` })) }),
        () => ({ tensors: tensors({ slots }) }),
        () => ({ tensors: tensors({ slots: { ...tensor.slots, sum: tensor.param } }) }),
        () => ({ tensors: tensors({ shape: [tensor.param.length, 1] }) }),
      ];
      Object.assign(state, changes[i % changes.length]!());
      const read = readCheckpoint(writeCheckpoint(state)).state;
      await expect(optimizer.loadStateDict(read)).rejects.toBeInstanceOf(OptimError);
    }
    expect(bitsOf(await optimizer.stateDict())).toEqual(bitsOf(base));
    optimizer.destroy();
  });
});
