/** Gradient accumulation: several micro-batches make one step. */

import { describe, expect, test } from "vitest";
import { type Figures, LifecycleError, type Optimizer, sgd } from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { RULES } from "../rules-table.ts";
import { attach } from "./attached.ts";
import {
  bitsOf,
  CHUNK,
  criterionFor,
  expectPassed,
  gradientsAt,
  type Problem,
  SIZES,
  start,
  stepWith,
  Twins,
} from "./twin-run.ts";

const MICRO = 3;
const PROBLEM = {
  row: RULES[1]!,
  shapes: SIZES.map((size) => [size]),
  options: { lr: 0.1, weightDecay: 0.1, accumulate: MICRO },
  tuning: { chunk: CHUNK },
} satisfies Problem;

/** Micro-batch `i` of a step, both counted from 1. */
const microBatch = (problem: Problem, step: number, i: number) => gradientsAt(problem, step * 100 + i);

/** All micro-batches of a step; `edit` may change the gradients. */
function stepOf(
  optimizer: Optimizer,
  problem: Problem,
  step: number,
  edit = (grads: Float32Array[], _i: number) => grads,
) {
  for (let i = 1; i <= MICRO; i++) {
    edit(microBatch(problem, step, i), i).forEach((grad, k) => {
      optimizer.writeGrad(`t${k}`, grad);
    });
    optimizer.step();
  }
}

/** Sum, or mean, of the micro-batches of a step in float64. */
function wholeBatch(problem: Problem, step: number, divisor: number): Float64Array[] {
  const micro = Array.from({ length: MICRO }, (_, i) => microBatch(problem, step, i + 1));
  return micro[0]!.map((first, k) =>
    Float64Array.from(first, (_, e) => micro.reduce((sum, grads) => sum + grads[k]![e]!, 0) / divisor),
  );
}

describe.each([
  ["mean", MICRO],
  ["sum", 1],
] as const)("the %s", (reduce, divisor) => {
  const accumulate = { microBatches: MICRO, reduce };

  test.each(RULES)("of micro-batches equals one big batch: $name", async (row) => {
    const device = await testDevice();
    const shapes = PROBLEM.shapes.map(row.shape ?? ((shape) => shape));
    const problem: Problem = { ...PROBLEM, row, shapes, options: { ...PROBLEM.options, accumulate } };
    const optimizer = await start(device, problem);
    const twins = new Twins(problem);
    const comparison = criterionFor(device);
    for (let step = 1; step <= 5; step++) {
      stepOf(optimizer, problem, step);
      twins.step(wholeBatch(problem, step, divisor));
      twins.compare(comparison, await optimizer.stateDict(), `step ${step}`);
    }
    optimizer.destroy();
    expectPassed(comparison);
  });

  test("is what is clipped, unscaled and reported", async () => {
    const device = await testDevice();
    const clip = { globalNorm: 2, tensorNorm: 1.5, value: 0.2 };
    const options = { ...PROBLEM.options, accumulate, clip, lossScale: 8 };
    const problem: Problem = { ...PROBLEM, options };
    const optimizer = await start(device, { ...problem, options: { ...options, monitor: {} } });
    const seen: Figures[] = [];
    optimizer.on("figures", (figures) => seen.push(figures));
    const twins = new Twins(problem);
    const comparison = criterionFor(device);
    for (let step = 1; step <= 3; step++) {
      stepOf(optimizer, problem, step);
      const { gradNorm, clipFactor } = twins.step(wholeBatch(problem, step, divisor));
      twins.compare(comparison, await optimizer.stateDict(), `step ${step}`);
      await optimizer.flush();
      expect(seen).toHaveLength(step);
      expect(seen.at(-1)!.gradNorm / gradNorm).toBeCloseTo(1, 5);
      expect(seen.at(-1)!.clipFactor / clipFactor).toBeCloseTo(1, 5);
    }
    optimizer.destroy();
    expectPassed(comparison);
  });
});

test("one micro-batch is as good as none, bit for bit", async () => {
  const device = await testDevice();
  const after = async (problem: Problem) => {
    const optimizer = await start(device, problem);
    for (let step = 1; step <= 3; step++) stepWith(optimizer, gradientsAt(problem, step));
    const state = await optimizer.stateDict();
    optimizer.destroy();
    return bitsOf(state);
  };
  const one = await after({ ...PROBLEM, options: { ...PROBLEM.options, accumulate: 1 } });
  const { accumulate: _, ...options } = PROBLEM.options;
  expect(one).toEqual(await after({ ...PROBLEM, options }));
});

test("arena, windows and attached are equal bit for bit; the caller's gradients are only read", async () => {
  const device = await testDevice();
  const attached = attach(device, PROBLEM);
  const limits = { maxStorageBufferBindingSize: 2 * CHUNK * 4, maxComputeWorkgroupsPerDimension: 2 };
  const states = [];
  for (const problem of [
    PROBLEM,
    { ...PROBLEM, tuning: { chunk: CHUNK, limits } },
    { ...PROBLEM, params: attached.params },
  ]) {
    const optimizer = await start(device, problem);
    for (let step = 1; step <= 2; step++) stepOf(optimizer, problem, step);
    states.push(bitsOf(await optimizer.stateDict()));
    optimizer.destroy();
  }
  expect(states[1]).toEqual(states[0]);
  expect(states[2]).toEqual(states[0]);
  expect(await attached.deadCanaries()).toEqual([]);
  attached.destroy();
});

describe("a micro-batch that is not finite", () => {
  // An infinity, one of the other sign after it, and a NaN: the sum must not forget any of them.
  test.each([
    [1, Infinity],
    [2, -Infinity],
    [3, Number.NaN],
  ])("skips the whole step, and nothing of it stays: micro-batch %i", async (which, value) => {
    const device = await testDevice();
    const problem: Problem = { ...PROBLEM, options: { ...PROBLEM.options, skipNonFinite: true } };
    const run = async (withBad: boolean) => {
      const optimizer = await start(device, problem);
      for (let step = 1; step <= 4; step++) {
        const bad = step === 2;
        if (bad && !withBad) continue;
        stepOf(optimizer, problem, step, (grads, i) => {
          if (bad && i === which) grads[5]![7] = value;
          if (bad && i === which + 1) grads[5]![7] = -value;
          return grads;
        });
      }
      const state = await optimizer.stateDict();
      optimizer.destroy();
      expect(state.stepsSkipped).toBe(Number(withBad));
      return bitsOf(state);
    };
    expect(await run(true)).toEqual(await run(false));
  });
});

test("the update comes with the last micro-batch, in one more dispatch, and the step counts once", async () => {
  const device = await testDevice();
  const optimizer = await start(device, { ...PROBLEM, row: { ...PROBLEM.row, rule: sgd() } });
  const counter = countCalls(device);
  const dispatches: number[] = [];
  const before = await optimizer.readParam("t4");
  for (let i = 1; i <= 6; i++) {
    counter.reset();
    optimizer.writeGrad("t4", new Float32Array(5).fill(i));
    optimizer.step();
    const { dispatches: n, submits, createBuffer, createBindGroup } = counter.read();
    expect({ submits, createBuffer, createBindGroup }).toEqual({ submits: 1, createBuffer: 0, createBindGroup: 0 });
    dispatches.push(n);
    if (i === 2) expect(await optimizer.readParam("t4")).toEqual(before);
  }
  counter.stop();
  expect(dispatches).toEqual([1, 1, 2, 1, 1, 2]);
  expect((await optimizer.readState("t4")).step).toBe(2);
  optimizer.destroy();
});

test("tensors without a gradient are named at the last micro-batch; a load starts the sum anew", async () => {
  const device = await testDevice();
  const optimizer = await start(device, PROBLEM);
  const saved = await optimizer.stateDict();
  stepOf(optimizer, PROBLEM, 1, (grads, i) => {
    if (i === MICRO) optimizer.withoutGrad("t6");
    return grads;
  });
  const state = bitsOf(await optimizer.stateDict());
  expect(state.tensors.t6).toEqual(bitsOf(saved).tensors.t6);
  expect(state.tensors.t7!.step).toBe(1);

  // One micro-batch of another step is under way.
  optimizer.writeGrad("t7", new Float32Array(CHUNK).fill(1e6));
  optimizer.step();
  await expect(optimizer.stateDict()).rejects.toThrow(LifecycleError);
  await optimizer.loadStateDict(saved);
  stepOf(optimizer, PROBLEM, 1, (grads, i) => {
    if (i === MICRO) optimizer.withoutGrad("t6");
    return grads;
  });
  expect(bitsOf(await optimizer.stateDict())).toEqual(state);
  optimizer.destroy();
});
