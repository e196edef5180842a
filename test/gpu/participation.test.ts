/** Who takes part in a step: tensors without a gradient and frozen ones are left alone, and their counts stand still. */

import { describe, expect, test } from "vitest";
import { adamw, type Figures, type Optimizer, OptionError } from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { adamw as adamwTwin } from "../reference/adam.ts";
import { RULES } from "../rules-table.ts";
import {
  bitsOf,
  criterionFor,
  expectPassed,
  gradientsAt,
  nameOf,
  type Problem,
  randomFrom,
  type SharedGroup,
  start,
  stepWith,
  Twins,
} from "./twin-run.ts";

const PROBLEM: Problem = {
  row: { rule: adamw(), twin: adamwTwin, options: {} },
  shapes: [[5], [64], [65], [130]],
  options: { lr: 0.1, weightDecay: 0.1, clip: { globalNorm: 1 } },
  tuning: { chunk: 64 },
};

async function finish(optimizer: Optimizer) {
  const state = await optimizer.stateDict();
  optimizer.destroy();
  return bitsOf(state);
}

test.each(RULES)("$name follows its twin with missing gradients, frozen tensors and skipped steps", async (row) => {
  const device = await testDevice();
  const groups: SharedGroup[] = [row.options, { ...row.options, ...row.change }];
  const problem: Problem = {
    ...PROBLEM,
    row,
    shapes: [[5], [64], [65], [130], [3], [70]].map((s) => row.shape?.(s) ?? s),
    groups,
    // A schedule that comes to 0 and goes on.
    options: { ...PROBLEM.options, lr: (t) => (t % 9 === 4 ? 0 : 0.1) },
  };
  const optimizer = await start(device, problem);
  // A number for all tensors carries the errors of all: more runs tell better how far it may be off.
  const twins = new Twins(problem, {}, row.joinsGroups ? 16 : 4);
  const comparison = criterionFor(device);
  const random = randomFrom(11);
  const frozen = new Set<number>();
  for (let step = 1; step <= 40; step++) {
    if (random() < 0.3) {
      const k = Math.floor(random() * 6);
      if (frozen.delete(k)) optimizer.unfreeze(nameOf(k));
      else {
        frozen.add(k);
        optimizer.freeze(nameOf(k));
      }
    }
    // t5 has its first gradient late, and t4 none after a while.
    const grads = gradientsAt(problem, step).map((grad, k) =>
      random() < 0.3 || (k === 5 && step < 20) || (k === 4 && step > 25) ? null : grad,
    );
    if (random() < 0.2) grads.find((grad) => grad !== null)?.set([Number.NaN], 1);
    // A frozen tensor has a gradient here, for the twin none.
    stepWith(optimizer, grads);
    twins.step(grads.map((grad, k) => (frozen.has(k) ? null : grad)));
    if (step % 10 === 0) twins.compare(comparison, await optimizer.stateDict(), `step ${step}`);
  }
  const { stepsApplied, stepsSkipped } = await optimizer.stateDict();
  optimizer.destroy();
  expectPassed(comparison);
  expect([stepsApplied, stepsSkipped]).toEqual([twins.truth.stepsApplied, 40 - twins.truth.stepsApplied]);
  expect(stepsSkipped).toBeGreaterThan(0);
});

describe("a tensor that sits out", () => {
  /** Runs 6 steps in which t3 never takes part. */
  async function without(sitOut: (optimizer: Optimizer) => void, problem = PROBLEM) {
    const optimizer = await start(await testDevice(), problem);
    const before = bitsOf(await optimizer.stateDict()).tensors.t3;
    for (let step = 1; step <= 6; step++) {
      sitOut(optimizer);
      const grads = gradientsAt(problem, step);
      // Nobody looks at it.
      if (step === 3) grads[3]?.fill(Number.NaN);
      stepWith(optimizer, grads);
    }
    const after = await finish(optimizer);
    return { before, after, others: { ...after.tensors, t3: undefined }, steps: after.stepsApplied };
  }

  test.each([
    ["withoutGrad", (o: Optimizer) => o.withoutGrad("t3"), PROBLEM],
    ["freeze", (o: Optimizer) => o.freeze(/^t3$/), PROBLEM],
    ["a frozen group", () => {}, { ...PROBLEM, groups: [{}, {}, {}, { frozen: true }] }],
    ["setGroup frozen", (o: Optimizer) => o.setGroup("g3", { frozen: true }), { ...PROBLEM, groups: [{}, {}, {}, {}] }],
  ])("by %s: untouched bit for bit, and the others as if it were not there", async (_, sitOut, problem) => {
    const { before, after, others, steps } = await without(sitOut, problem);
    expect(after.tensors.t3).toEqual(before);
    expect(after.tensors.t3!.step).toBe(0);
    expect(steps).toBe(6);
    const alone = await without(() => {}, { ...PROBLEM, shapes: PROBLEM.shapes.slice(0, 3) });
    expect(others).toEqual(alone.others);
  });

  test("sits out one step by withoutGrad, and is back at the next without a word", async () => {
    const optimizer = await start(await testDevice(), PROBLEM);
    const steps: number[] = [];
    for (let step = 1; step <= 4; step++) {
      if (step === 2) {
        optimizer.withoutGrad(["t0", /t1/]);
        optimizer.withoutGrad(({ shape }) => shape[0] === 65);
      }
      optimizer.step();
      steps.push((await optimizer.readState("t1")).step);
    }
    expect(steps).toEqual([1, 1, 2, 3]);
    const { tensors } = await optimizer.stateDict();
    expect(Object.values(tensors).map((t) => t.step)).toEqual([3, 3, 3, 4]);
    optimizer.destroy();
  });

  test("takes its state and count up again when it is unfrozen", async () => {
    const device = await testDevice();
    const run = async (pause: boolean) => {
      const optimizer = await start(device, { ...PROBLEM, options: { lr: 0.1 } });
      for (let step = 1; step <= 7; step++) {
        const paused = pause && step > 2 && step < 5;
        if (paused) optimizer.freeze("t2");
        else optimizer.unfreeze("*");
        // Without the pause it goes on with the gradients it has missed.
        const own = pause || step < 3 ? step : step + 2;
        if (!pause && step > 5) optimizer.freeze("t2");
        const grads = gradientsAt(PROBLEM, step);
        grads[2] = gradientsAt(PROBLEM, own)[2]!;
        stepWith(optimizer, grads);
      }
      return (await finish(optimizer)).tensors.t2;
    };
    const paused = await run(true);
    expect(paused).toEqual(await run(false));
    expect(paused!.step).toBe(5);
  });

  test("has figures of its own: a norm, and nothing that moved", async () => {
    const optimizer = await start(await testDevice(), { ...PROBLEM, options: { ...PROBLEM.options, monitor: {} } });
    const seen: Figures[] = [];
    optimizer.on("figures", (figures) => seen.push(figures));
    const grads = gradientsAt(PROBLEM, 1);
    grads[1]!.fill(Infinity);
    optimizer.withoutGrad("t1");
    stepWith(optimizer, grads);
    await optimizer.flush();
    const norm = Math.hypot(...(await optimizer.readParam("t1")));
    optimizer.destroy();
    const { skipped, nonFinite, tensors } = seen[0]!;
    expect({ skipped, nonFinite }).toEqual({ skipped: false, nonFinite: 0 });
    expect(tensors.t1).toMatchObject({ gradNorm: 0, updateNorm: 0, updateRatio: 0, maxGrad: 0, nonFinite: 0 });
    expect(tensors.t1!.paramNorm / norm).toBeCloseTo(1, 6);
  });
});

test("a step in which nobody takes part is a step: schedules go on, and nothing moves", async () => {
  const optimizer = await start(await testDevice(), PROBLEM);
  stepWith(optimizer, gradientsAt(PROBLEM, 1));
  const before = bitsOf(await optimizer.stateDict());
  optimizer.withoutGrad("*");
  optimizer.step();
  const after = await finish(optimizer);
  expect(after.stepsApplied).toBe(2);
  expect(after.tensors).toEqual(before.tensors);
});

test("a pattern that matches nothing is refused, and nothing is changed", async () => {
  const optimizer = await start(await testDevice(), PROBLEM);
  for (const call of ["withoutGrad", "freeze", "unfreeze"] as const) {
    expect(() => optimizer[call]("t9")).toThrow(new OptionError(call, "match", "must match a tensor", "t9").message);
    expect(() => optimizer[call]([])).toThrow(OptionError);
  }
  optimizer.step();
  const { tensors } = await finish(optimizer);
  expect(Object.values(tensors).map((t) => t.step)).toEqual([1, 1, 1, 1]);
});
