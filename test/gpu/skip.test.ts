/** Steps with a gradient that is not finite are skipped whole; the loss scale backs off and grows. */

import { describe, expect, test } from "vitest";
import {
  adamw,
  cosine,
  createLossScaler,
  createOptimizer,
  type Figures,
  type Optimizer,
  type OptimizerOptions,
  sgd,
} from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { adamw as adamwTwin } from "../reference/adam.ts";
import { TwinLossScaler } from "../reference/loss-scale.ts";
import { sgd as sgdTwin } from "../reference/sgd.ts";
import { Twin } from "../reference/twin.ts";
import { attach, readWords } from "./attached.ts";
import {
  bitsOf,
  criterionFor,
  expectPassed,
  gradientsAt,
  initialData,
  type Problem,
  randomFrom,
  someValues,
  start,
  stepWith,
  Twins,
} from "./twin-run.ts";

const ADAMW = { rule: adamw(), twin: adamwTwin, options: {} };
const MOMENTUM = { rule: sgd({ momentum: 0.9 }), twin: sgdTwin, options: { momentum: 0.9 } };
const PROBLEM: Problem = {
  row: ADAMW,
  shapes: [[5], [64], [65], [257]],
  options: { lr: 0.1, weightDecay: 0.1, skipNonFinite: true },
  tuning: { chunk: 64 },
};

describe.each([
  ["skipNonFinite", { skipNonFinite: true }],
  ["clipping by norm", { clip: { globalNorm: 1 } }],
  ["clipping each tensor by its largest element", { clip: { tensorNorm: 1, normType: Infinity } }],
  ["a dynamic loss scale", { lossScale: { initial: 2 ** 10 } }],
  ["a static loss scale and value clipping", { skipNonFinite: true, lossScale: 8, clip: { value: 1 } }],
] as [string, Partial<OptimizerOptions>][])("with %s", (_, options) => {
  test.each(["arena", "attached"])("one bad element anywhere skips the step, in the %s", async (memory) => {
    const device = await testDevice();
    const problem: Problem = { ...PROBLEM, options: { lr: 0.1, weightDecay: 0.1, ...options, monitor: {} } };
    const attached = memory === "attached" ? attach(device, problem) : undefined;
    const optimizer = await start(device, { ...problem, ...(attached && { params: attached.params }) });
    const seen: Figures[] = [];
    optimizer.on("figures", (figures) => seen.push(figures));
    stepWith(optimizer, gradientsAt(problem, 1));
    const before = bitsOf(await optimizer.stateDict()).tensors;

    const places = problem.shapes.flatMap(([size], k) => [
      [k, 0],
      [k, size! - 1],
    ]);
    const bad = [Infinity, -Infinity, Number.NaN];
    for (const [i, [k, at]] of places.entries()) {
      const grads = gradientsAt(problem, 2 + i);
      grads[k!]![at!] = bad[i % bad.length]!;
      stepWith(optimizer, grads);
      await optimizer.flush();
      expect(seen.at(-1)).toMatchObject({
        step: 2 + i,
        skipped: true,
        stepsApplied: 1,
        stepsSkipped: 1 + i,
        nonFinite: 1,
        nonFiniteTensors: [`t${k}`],
      });
      expect(seen.at(-1)!.gradNorm).toBe(Math.abs(bad[i % bad.length]!));
    }
    expect(bitsOf(await optimizer.stateDict()).tensors).toEqual(before);
    stepWith(optimizer, gradientsAt(problem, 2));
    await optimizer.flush();
    expect(seen.at(-1)).toMatchObject({ skipped: false, stepsApplied: 2, nonFinite: 0, nonFiniteTensors: [] });
    expect(bitsOf(await optimizer.stateDict()).tensors).not.toEqual(before);
    optimizer.destroy();
    attached?.destroy();
  });
});

test("by default gradients are only looked at where they are measured anyway", async () => {
  const device = await testDevice();
  const bad = (problem: Problem) => gradientsAt(problem, 1).map((g) => g.fill(Number.NaN));
  for (const [options, skips] of [
    [{}, false],
    [{ clip: { value: 1 } }, false],
    [{ lossScale: 4 }, false],
    [{ clip: { globalNorm: 1 } }, true],
    [{ clip: { tensorNorm: 1 } }, true],
    [{ lossScale: {} }, true],
  ] as [Partial<OptimizerOptions>, boolean][]) {
    const problem = { ...PROBLEM, options };
    const optimizer = await start(device, problem);
    stepWith(optimizer, bad(problem));
    const { tensors, stepsSkipped } = await optimizer.stateDict();
    expect(stepsSkipped, JSON.stringify(options)).toBe(Number(skips));
    expect(tensors.t0!.param.every(Number.isFinite), JSON.stringify(options)).toBe(skips);
    optimizer.destroy();
  }
});

describe("a dynamic loss scale", () => {
  test("backs off and grows as the twin, and gradients are divided by it", async () => {
    const device = await testDevice();
    const lossScale = { initial: 1024, growthFactor: 4, backoffFactor: 0.25, growthInterval: 3 };
    const problem: Problem = { ...PROBLEM, row: MOMENTUM, options: { lr: 0.1, lossScale, monitor: {} } };
    const twins = new Twins(problem);
    const optimizer = await start(device, problem);
    const seen: Figures[] = [];
    optimizer.on("figures", (figures) => seen.push(figures));
    const random = randomFrom(5);
    const comparison = criterionFor(device);
    const scales = new Set<number>();
    for (let step = 1; step <= 40; step++) {
      const scale = twins.truth.lossScale;
      scales.add(scale);
      const grads = gradientsAt(problem, step).map((g) => g.map((x) => x * scale));
      if (random() < 0.25) grads[step % 4]![2] = Infinity;
      stepWith(optimizer, grads);
      const { skipped } = twins.step(grads);
      await optimizer.flush();
      expect(seen.at(-1)).toMatchObject({ step, skipped, lossScale: scale });
      expect(await optimizer.readLossScale()).toEqual({
        scale: twins.truth.lossScale,
        growthTracker: twins.truth.growthTracker,
      });
    }
    expect(scales.size).toBeGreaterThan(3);
    twins.compare(comparison, await optimizer.stateDict(), "step 40");
    optimizer.destroy();
    expectPassed(comparison);
  });

  test("has PyTorch's defaults, lies on the device for the caller's kernels, and never overflows", async () => {
    const device = await testDevice();
    const read = async (optimizer: Optimizer) => {
      const { buffer, offset, size } = optimizer.lossScaleBinding!;
      expect([offset, size]).toEqual([0, 4]);
      return new Float32Array((await readWords(device, buffer)).buffer)[0];
    };
    const plain = await start(device, { ...PROBLEM, options: { lossScale: {} } });
    expect(await plain.readLossScale()).toEqual({ scale: 65536, growthTracker: 0 });
    expect(await read(plain)).toBe(65536);
    plain.destroy();

    const large = await start(device, { ...PROBLEM, options: { lossScale: { initial: 2 ** 126, growthInterval: 1 } } });
    const scales: number[] = [];
    for (let step = 1; step <= 3; step++) {
      stepWith(large, gradientsAt(PROBLEM, step));
      scales.push((await large.readLossScale()).scale);
    }
    expect(scales).toEqual([2 ** 127, 2 ** 127, 2 ** 127]);
    expect(await read(large)).toBe(2 ** 127);
    large.destroy();

    const none = await start(device, { ...PROBLEM, options: { lossScale: 4 } });
    expect(none.lossScaleBinding).toBeUndefined();
    expect(await none.readLossScale()).toEqual({ scale: 4, growthTracker: 0 });
    none.destroy();
  });

  test("shared by two optimizers: each skips by its own gradients, the scale follows both", async () => {
    const device = await testDevice();
    const options = { initial: 256, growthInterval: 4 };
    const scaler = await createLossScaler(device, options);
    const twinScaler = new TwinLossScaler(options);
    const problems = [MOMENTUM, ADAMW].map((row, seed): Problem => ({ ...PROBLEM, row, seed, options: { lr: 0.1 } }));
    const optimizers = await Promise.all(
      problems.map((one) => start(device, { ...one, options: { ...one.options, lossScale: scaler } })),
    );
    const twins = problems.map(
      (one) =>
        new Twin({
          rule: one.row.twin,
          tensors: initialData(one).map((data) => ({ data })),
          groups: [{ ...one.row.options, lr: 0.1 }],
          lossScale: twinScaler,
        }),
    );
    const random = randomFrom(6);
    for (let step = 1; step <= 30; step++) {
      const scale = twinScaler.scale;
      expect(await scaler.read()).toEqual({ scale, growthTracker: twinScaler.growthTracker });
      problems.forEach((one, i) => {
        const grads = gradientsAt(one, step).map((g) => g.map((x) => x * scale));
        if (random() < 0.2) grads[1]![i] = Number.NaN;
        stepWith(optimizers[i]!, grads);
        twins[i]!.step(grads);
      });
      scaler.update();
      twinScaler.update();
    }
    const states = await Promise.all(optimizers.map((optimizer) => optimizer.stateDict()));
    const applied = states.map((state) => state.stepsApplied);
    expect(applied).toEqual(twins.map((twin) => twin.stepsApplied));
    expect(applied[0]).not.toBe(applied[1]);
    states.forEach((state, i) => {
      Object.values(state.tensors).forEach(({ param }, k) => {
        const expected = twins[i]!.param(k);
        // About 30 roundings of parameters and updates below 4.
        const error = Math.max(...param.map((x, e) => Math.abs(x - expected[e]!)));
        expect(error).toBeLessThan(30 * 4 * 2 ** -24);
      });
    });
    for (const optimizer of optimizers) optimizer.destroy();
    expect((await scaler.read()).scale).toBe(twinScaler.scale);
    scaler.destroy();
  });
});

describe("a long synchronous loop, in which the host does not know what has been skipped", () => {
  const LENGTH = 3000;
  const isBad = (step: number) => step % 3 === 0 || (step > 1000 && step < 1400);
  const lr = cosine(0.01, LENGTH);

  test.each([
    ["sgd with momentum", sgd({ momentum: 0.9, dampening: 0.5 })],
    ["adamw", adamw({ betas: [0.9, 0.95] })],
  ])("%s: 3000 steps, a third and more of them skipped, equal the run without the bad batches", async (_, rule) => {
    const device = await testDevice();
    const params = [70, 5].map((size, k) => ({ name: `t${k}`, shape: [size], data: someValues(k, size) }));
    const run = async (withBad: boolean) => {
      const optimizer = await createOptimizer(device, {
        rule,
        params,
        lr,
        weightDecay: 0.1,
        clip: { globalNorm: 0.5 },
      });
      const grads = [1, 2, 3, 4].map((i) => params.map((p, k) => someValues(10 * i + k, p.shape[0]!)));
      const bad = params.map((p) => new Float32Array(p.shape[0]!).fill(Infinity));
      for (let step = 1; step <= LENGTH; step++) {
        if (isBad(step) && !withBad) continue;
        // t1 sometimes has no gradient, in good and in bad batches.
        const [g0, g1] = isBad(step) ? bad : grads[step % 4]!;
        stepWith(optimizer, [g0!, step % 7 === 0 ? null : g1!]);
      }
      // What is known now shortens the table of what is possible; the schedule must go on where it was.
      await optimizer.flush();
      for (let step = 1; step <= 70; step++) stepWith(optimizer, grads[step % 4]!);
      const state = await optimizer.stateDict();
      optimizer.destroy();
      return state;
    };
    const [disturbed, undisturbed] = [await run(true), await run(false)];
    expect(bitsOf(disturbed)).toEqual(bitsOf(undisturbed));
    expect(disturbed.stepsSkipped).toBeGreaterThan(LENGTH / 3);
    expect(undisturbed.stepsSkipped).toBe(0);
    expect(disturbed.stepsApplied + disturbed.stepsSkipped).toBe(LENGTH + 70);
  });
});
