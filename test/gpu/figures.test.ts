/** Figures: every field against float64, delivered without waiting. */

import { describe, expect, test } from "vitest";
import {
  type Figures,
  type NormFigures,
  type Optimizer,
  type OptimizerOptions,
  type StateDict,
  sgd,
} from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { clipFactor, norm } from "../reference/clip.ts";
import { sgd as sgdTwin } from "../reference/sgd.ts";
import { RULES } from "../rules-table.ts";
import { attach } from "./attached.ts";
import { bitsOf, CHUNK, gradientsAt, type Problem, type SharedGroup, SIZES, start, stepWith } from "./twin-run.ts";

const ROW = { rule: sgd({ momentum: 0.9 }), twin: sgdTwin, options: { momentum: 0.9 } };
const GROUPS: SharedGroup[] = [{}, { lr: 0.2 }, { weightDecay: 0.5, decayMode: "independent" }];
const PROBLEM = {
  row: ROW,
  shapes: SIZES.map((size) => [size]),
  groups: GROUPS,
  options: { lr: 0.1, monitor: {} },
  tuning: { chunk: CHUNK },
} satisfies Problem;
/** Float32 sums of up to a few thousand terms, in blocks. */
const RELATIVE = 1e-6;

/** An optimizer and the figures it has delivered so far. */
async function monitored(problem: Problem): Promise<{ optimizer: Optimizer; seen: Figures[] }> {
  const optimizer = await start(await testDevice(), problem);
  const seen: Figures[] = [];
  optimizer.on("figures", (figures) => seen.push(figures));
  return { optimizer, seen };
}

/** What unscaling and clipping make of gradients, in float64. `grads` are raw, `null` where there is none. */
function clip(grads: readonly (Float32Array | null)[], { options = {}, groups = [] }: Partial<Problem>) {
  const { globalNorm, tensorNorm, normType = 2, value } = options.clip ?? {};
  const limits = grads.map((_, k) => groups[k % groups.length]?.clipValue ?? value);
  const p = globalNorm === undefined && tensorNorm === undefined ? 2 : normType;
  const unscaled = grads.map((g) => Float64Array.from(g ?? [], (x) => x / ((options.lossScale as number) ?? 1)));
  const globalFactor = globalNorm === undefined ? 1 : clipFactor(norm(unscaled, p), globalNorm);
  const factors = unscaled.map((g) => {
    return globalFactor * (tensorNorm === undefined ? 1 : clipFactor(norm([g], p) * globalFactor, tensorNorm));
  });
  const clipped = unscaled.map((g, k) => {
    const limit = limits[k] ?? Infinity;
    return g.map((x) => Math.max(-limit, Math.min(limit, x * factors[k]!)));
  });
  const clippedType = limits.some((limit) => limit !== undefined) ? 2 : p;
  return { p, clippedType, unscaled, globalFactor, factors, clipped };
}

/** What the figures of some tensors must be. */
function expected(
  tensors: readonly number[],
  { p, clippedType, unscaled, factors, clipped }: ReturnType<typeof clip>,
  [before, after]: readonly StateDict[],
): NormFigures {
  const param = (state: StateDict, k: number) => Float64Array.from(state.tensors[`t${k}`]!.param);
  const update = (k: number) => param(before!, k).map((x, i) => x - after!.tensors[`t${k}`]!.param[i]!);
  const joint = (of: (k: number) => Float64Array, type: number) => norm(tensors.map(of), type);
  const paramNorm = joint((k) => param(after!, k), 2);
  const updateNorm = joint(update, 2);
  return {
    gradNorm: joint((k) => unscaled[k]!, p),
    gradNormClipped: joint((k) => clipped[k]!, clippedType),
    paramNorm,
    updateNorm,
    updateRatio: updateNorm === 0 ? 0 : updateNorm / paramNorm,
    maxGrad: joint((k) => unscaled[k]!, Infinity),
    nonFinite: 0,
    clipFactor: Math.min(1, ...tensors.map((k) => factors[k]!)),
  };
}

function expectFigures(where: string, actual: NormFigures, truth: NormFigures): void {
  for (const [name, value] of Object.entries(truth)) {
    const got = actual[name as keyof NormFigures];
    // The update is seen here as the difference of rounded parameters.
    const absolute = name === "updateNorm" ? 2 ** -24 * truth.paramNorm : name === "updateRatio" ? 2 ** -24 : 0;
    expect(Math.abs(got - value), `${where}: ${name} is ${got}, must be ${value}`).toBeLessThanOrEqual(
      2 * RELATIVE * Math.abs(value) + absolute,
    );
  }
}

describe("every field, of every tensor and group and of all, is that of float64", () => {
  test.each([
    ["nothing else", {}, GROUPS],
    ["a static loss scale", { lossScale: 3 }, GROUPS],
    ["clipping by value", { clip: { value: 0.3 } }, GROUPS],
    ["clipping by value in one group", {}, [{}, { clipValue: 0.25 }, {}]],
    ["clipping by the global norm", { clip: { globalNorm: 1 } }, GROUPS],
    ["clipping by the 3-norm of tensors", { clip: { tensorNorm: 2, normType: 3 } }, GROUPS],
    ["clipping by largest elements and by value", { clip: { globalNorm: 1, normType: Infinity, value: 0.2 } }, GROUPS],
    [
      "all at once",
      { clip: { globalNorm: 9, tensorNorm: 3, value: 0.4 }, lossScale: 0.5, skipNonFinite: true },
      GROUPS,
    ],
  ] as [string, Partial<OptimizerOptions>, SharedGroup[]][])("with %s", async (_, options, groups) => {
    const problem = { ...PROBLEM, groups, options: { ...PROBLEM.options, ...options } };
    const { optimizer, seen } = await monitored(problem);
    optimizer.freeze("t12");
    const all = SIZES.map((_, k) => k);
    for (let step = 1; step <= 3; step++) {
      const before = await optimizer.stateDict();
      const grads: (Float32Array | null)[] = gradientsAt(PROBLEM, step);
      grads[step + 4] = null;
      stepWith(optimizer, grads);
      const states = [before, await optimizer.stateDict()];
      await optimizer.flush();
      grads[12] = null;
      const clipping = clip(grads, problem);
      const figures = seen.at(-1)!;
      expect(figures).toMatchObject({
        step,
        skipped: false,
        stepsApplied: step,
        stepsSkipped: 0,
        nonFiniteTensors: [],
      });
      expect(figures.lossScale).toBe(options.lossScale ?? 1);
      for (const k of all) {
        const truth = expected([k], clipping, states);
        // The factor of a tensor without a gradient is of no meaning.
        const { clipFactor } = grads[k] === null ? truth : figures.tensors[`t${k}`]!;
        expectFigures(`t${k}`, { ...figures.tensors[`t${k}`]!, clipFactor }, truth);
      }
      for (const g of [0, 1, 2]) {
        const group = figures.groups[`g${g}`]!;
        const members = all.filter((k) => k % 3 === g);
        expectFigures(`g${g}`, group, expected(members, clipping, states));
        expect([group.lr, group.weightDecay]).toEqual([groups[g]!.lr ?? 0.1, groups[g]!.weightDecay ?? 0]);
      }
      expect(figures.groups.default).toMatchObject({ gradNorm: 0, paramNorm: 0, updateRatio: 0, maxGrad: 0 });
      // Of all together the factor is that of the global norm alone.
      expectFigures("all", figures, { ...expected(all, clipping, states), clipFactor: clipping.globalFactor });
    }
    optimizer.destroy();
  });

  test("of a skipped step: nothing moved, and the gradients are told as they were", async () => {
    const { optimizer, seen } = await monitored({
      ...PROBLEM,
      options: { ...PROBLEM.options, clip: { globalNorm: 1 } },
    });
    stepWith(optimizer, gradientsAt(PROBLEM, 1));
    const state = await optimizer.stateDict();
    const grads = gradientsAt(PROBLEM, 2);
    grads[8]![3] = -Infinity;
    grads[8]![60] = Infinity;
    grads[9]!.fill(Number.NaN);
    stepWith(optimizer, grads);
    await optimizer.flush();
    optimizer.destroy();
    const figures = seen[1]!;
    const finite = grads.map((g) => g.map((x) => (Number.isFinite(x) ? x : 0)));
    expect(figures).toMatchObject({ skipped: true, nonFinite: 2 + SIZES[9]!, nonFiniteTensors: ["t8", "t9"] });
    expect(figures).toMatchObject({ gradNorm: Number.NaN, gradNormClipped: Number.NaN, updateNorm: 0, updateRatio: 0 });
    expect(figures.maxGrad).toBe(
      norm(
        finite.map((g) => Float64Array.from(g)),
        Infinity,
      ),
    );
    expect(figures.tensors.t8).toMatchObject({ gradNorm: Infinity, nonFinite: 2, updateNorm: 0 });
    expect(figures.tensors.t9).toMatchObject({ gradNorm: Number.NaN, nonFinite: SIZES[9], maxGrad: 0 });
    const truth = expected([10], clip(grads, {}), [state, state]);
    expectFigures("t10", { ...figures.tensors.t10!, clipFactor: 1, gradNormClipped: truth.gradNorm }, truth);
    expect(figures.tensors.t10!.paramNorm).toBe(seen[0]!.tensors.t10!.paramNorm);
  });

  test.each(RULES)("and computing them changes nothing, bit for bit: $name", async (row) => {
    const bitsWith = async (options: Partial<OptimizerOptions>) => {
      const shapes = PROBLEM.shapes.map(row.shape ?? ((shape) => shape));
      const problem: Problem = { row, shapes, tuning: PROBLEM.tuning, options };
      const optimizer = await start(await testDevice(), problem);
      for (let step = 1; step <= 4; step++) stepWith(optimizer, gradientsAt(problem, step));
      const state = await optimizer.stateDict();
      optimizer.destroy();
      return bitsOf(state);
    };
    const options = { lr: 0.1, weightDecay: 0.1, clip: { globalNorm: 2, value: 0.5 } };
    expect(await bitsWith({ ...options, monitor: { every: 2 } })).toEqual(await bitsWith(options));
  });
});

describe("delivery", () => {
  test("every third step, with what has happened since", async () => {
    const options = { ...PROBLEM.options, monitor: { every: 3 }, skipNonFinite: true };
    const { optimizer, seen } = await monitored({ ...PROBLEM, options });
    const counter = countCalls(optimizer.device);
    const dispatches: number[] = [];
    for (let step = 1; step <= 10; step++) {
      const grads = gradientsAt(PROBLEM, step);
      if (step === 4) grads[2]![0] = Number.NaN;
      if (step === 5) grads[7]![1] = Infinity;
      counter.reset();
      stepWith(optimizer, grads);
      dispatches.push(counter.read().dispatches);
      await optimizer.flush();
    }
    counter.stop();
    expect(seen.map((f) => [f.step, f.skipped, f.stepsApplied, f.nonFiniteTensors])).toEqual([
      [3, false, 3, []],
      [6, false, 4, ["t2", "t7"]],
      [9, false, 7, []],
    ]);
    // Only the steps with figures pay for them.
    expect(dispatches).toEqual([3, 3, 4, 3, 3, 4, 3, 3, 4, 3]);
    optimizer.destroy();
  });

  test("to any number of listeners and iterators, until they leave or the optimizer goes", async () => {
    const { optimizer, seen } = await monitored(PROBLEM);
    const iterated: number[] = [];
    const all = (async () => {
      for await (const { step } of optimizer.figures()) iterated.push(step);
    })();
    const firstTwo = (async () => {
      const steps: number[] = [];
      for await (const { step } of optimizer.figures()) if (steps.push(step) === 2) break;
      return steps;
    })();
    const off = optimizer.on("figures", () => off());
    const left = optimizer.figures();
    await left.return?.();
    for (let step = 1; step <= 4; step++) {
      stepWith(optimizer, gradientsAt(PROBLEM, step));
      await optimizer.flush();
    }
    expect(await firstTwo).toEqual([1, 2]);
    expect(await left.next()).toEqual({ done: true, value: undefined });
    optimizer.destroy();
    await all;
    expect(iterated).toEqual([1, 2, 3, 4]);
    expect(seen).toHaveLength(4);
    expect(await optimizer.figures().next()).toEqual({ done: true, value: undefined });
  });

  test("though a listener throws, whose error is told as an uncaught one", async () => {
    const { optimizer, seen } = await monitored(PROBLEM);
    const calls: string[] = [];
    optimizer.on("figures", () => {
      calls.push("first");
      throw new Error("of a listener");
    });
    optimizer.on("figures", () => calls.push("second"));
    const uncaught: unknown[] = [];
    const queue = globalThis.queueMicrotask;
    globalThis.queueMicrotask = (callback) =>
      queue(() => {
        try {
          callback();
        } catch (error) {
          uncaught.push(error);
        }
      });
    try {
      stepWith(optimizer, gradientsAt(PROBLEM, 1));
      await optimizer.flush();
      await Promise.resolve();
    } finally {
      globalThis.queueMicrotask = queue;
    }
    expect(calls).toEqual(["first", "second"]);
    expect(seen).toHaveLength(1);
    expect(uncaught).toEqual([new Error("of a listener")]);
    optimizer.destroy();
  });

  test("rather drops than waits: of 100 steps in a loop some arrive, and the others are counted", async () => {
    const { optimizer, seen } = await monitored(PROBLEM);
    const counter = countCalls(optimizer.device);
    for (let step = 1; step <= 100; step++) optimizer.step();
    expect(counter.stop()).toMatchObject({ submits: 100, createBuffer: 0, createBindGroup: 0 });
    expect(seen).toEqual([]);
    await optimizer.flush();
    expect(seen.length).toBeGreaterThanOrEqual(1);
    expect(seen.length + optimizer.figuresDropped).toBe(100);
    const steps = seen.map((f) => f.step);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    optimizer.step();
    await optimizer.flush();
    expect(seen.at(-1)!.step).toBe(101);

    const dropped = optimizer.figuresDropped;
    await optimizer.addParams([{ name: "late", shape: [3] }]);
    expect(optimizer.figuresDropped).toBe(dropped);
    optimizer.destroy();
  });

  test("ends without an error where the optimizer is destroyed while figures are under way", async () => {
    const { optimizer, seen } = await monitored(PROBLEM);
    for (let step = 1; step <= 6; step++) stepWith(optimizer, gradientsAt(PROBLEM, step));
    const flushed = optimizer.flush();
    const next = optimizer.figures().next();
    optimizer.destroy();
    optimizer.destroy();
    await flushed;
    expect(await next).toEqual({ done: true, value: undefined });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(seen).toEqual([]);
    expect(() => optimizer.step()).toThrow("step: the optimizer is destroyed");
  });

  test("needs no arena: attached tensors have the same figures", async () => {
    const device = await testDevice();
    const problem = {
      ...PROBLEM,
      shapes: [[4], [64], [256]],
      options: { ...PROBLEM.options, clip: { globalNorm: 1 } },
    };
    const attached = attach(device, problem);
    const figures = [];
    for (const params of [undefined, attached.params]) {
      const { optimizer, seen } = await monitored({ ...problem, ...(params && { params }) });
      stepWith(optimizer, gradientsAt(problem, 1));
      await optimizer.flush();
      figures.push(seen);
      optimizer.destroy();
    }
    expect(figures[1]).toEqual(figures[0]);
    attached.destroy();
  });
});
