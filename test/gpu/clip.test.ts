/** Clipping by global norm, by the norm of each tensor, and by value, against the twin and in float64. */

import { describe, expect, test } from "vitest";
import { type ClipOptions, type Figures, sgd } from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { clipFactor, norm } from "../reference/clip.ts";
import { sgd as sgdTwin } from "../reference/sgd.ts";
import {
  CHUNK,
  criterionFor,
  expectPassed,
  expectTwinRun,
  gradientsAt,
  type Problem,
  type SharedGroup,
  SIZES,
  start,
  stepWith,
  Twins,
} from "./twin-run.ts";

// The norm of the gradients is about 10 to 40, by type.
const PROBLEM: Problem = {
  row: { rule: sgd({ momentum: 0.9 }), twin: sgdTwin, options: { momentum: 0.9 } },
  shapes: SIZES.map((size) => [size]),
  options: { lr: 0.1 },
  tuning: { chunk: CHUNK },
};
const TYPES = [2, Infinity, 1, 3, 2.5, 12];
/** A float32 sum of a few thousand terms in blocks, and for an odd type `exp2` and `log2`: what golden norms are held to. */
const NORM_TOLERANCE = 1e-6;

const withClip = (clip: ClipOptions, more: Partial<Problem> = {}): Problem => ({
  ...PROBLEM,
  ...more,
  options: { ...PROBLEM.options, ...more.options, clip },
});

function expectRelative(actual: number, expected: number, tolerance: number): void {
  expect(Math.abs(actual - expected), `${actual} instead of ${expected}`).toBeLessThanOrEqual(
    tolerance * Math.abs(expected),
  );
}

/** The figures of one step on these gradients, and the parameters as they were and became. */
async function oneStep(problem: Problem, grads: Float32Array[]) {
  const optimizer = await start(await testDevice(), { ...problem, options: { ...problem.options, monitor: {} } });
  const before = await optimizer.stateDict();
  const seen: Figures[] = [];
  optimizer.on("figures", (f) => seen.push(f));
  stepWith(optimizer, grads);
  await optimizer.flush();
  const after = await optimizer.stateDict();
  optimizer.destroy();
  return { figures: seen[0]!, before, after };
}

describe("against the twin", () => {
  test.each(TYPES)("by global norm of type %d", async (normType) => {
    await expectTwinRun(await testDevice(), withClip({ globalNorm: 2, normType }), 6);
  });

  test.each(TYPES)("by the norm of each tensor, type %d", async (normType) => {
    await expectTwinRun(await testDevice(), withClip({ tensorNorm: 1.5, normType }), 6);
  });

  test("by value, a limit for each group", async () => {
    const groups: SharedGroup[] = [{}, { clipValue: 1.2 }, { clipValue: 0 }];
    await expectTwinRun(await testDevice(), withClip({ value: 0.5 }, { groups }), 6);
  });

  test("by all of them: global norm, then tensors, then values", async () => {
    const clip = { globalNorm: 10, tensorNorm: 4, value: 0.4 };
    const grads = gradientsAt(PROBLEM, 1).map((g) => Float64Array.from(g));
    const factor = clipFactor(norm(grads, 2), clip.globalNorm);
    const largest = grads.map((g) => norm([g], 2) * factor);
    const values = grads.flatMap((g, k) => [
      ...g.map((x) => Math.abs(x * factor * clipFactor(largest[k]!, clip.tensorNorm))),
    ]);
    // Each of the three has something to do, and none does everything.
    expect(factor).toBeLessThan(1);
    expect(largest.some((n) => n > clip.tensorNorm) && largest.some((n) => n < clip.tensorNorm)).toBe(true);
    expect(values.some((x) => x > clip.value) && values.some((x) => x < clip.value)).toBe(true);
    await expectTwinRun(await testDevice(), withClip(clip), 6);
  });

  test("gradients are unscaled first, and tensors without one do not count", async () => {
    const problem = withClip({ globalNorm: 2, tensorNorm: 0.5 }, { options: { lossScale: 16, accumulate: 1 } });
    await expectTwinRun(await testDevice(), problem, 6, (grads, step) => {
      return grads.map((g, k) => ((k + step) % 3 === 0 ? null : g.map((x) => 16 * x)));
    });
  });
});

describe("the factor", () => {
  test.each([
    ["far too large", 0.25],
    ["just too large", 0.999],
    ["just small enough", 1.001],
    ["small", 100],
  ])("where the norm is %s, in the figures and on the GPU", async (_, share) => {
    const grads = gradientsAt(PROBLEM, 1);
    const total = norm(
      grads.map((g) => Float64Array.from(g)),
      2,
    );
    const globalNorm = share * total;
    const expected = clipFactor(total, globalNorm);
    expect(expected < 1).toBe(share < 1);
    const row = { rule: sgd(), twin: sgdTwin, options: {} };
    const { figures, before, after } = await oneStep(
      withClip({ globalNorm }, { row, options: { lr: 2 ** 20 } }),
      grads,
    );
    expectRelative(figures.gradNorm, total, NORM_TOLERANCE);
    expectRelative(figures.clipFactor, expected, NORM_TOLERANCE);
    expectRelative(figures.gradNormClipped, total * expected, 2 * NORM_TOLERANCE);
    // With this lr the update swallows the parameter: theta' / -lr is the gradient that came out.
    const applied = grads.flatMap((grad, k) => {
      const theta = before.tensors[`t${k}`]!.param;
      return [...after.tensors[`t${k}`]!.param].map((x, i) => (theta[i]! - x) / 2 ** 20 / grad[i]!);
    });
    for (const factor of applied) expectRelative(factor, figures.clipFactor, 2 ** -20);
  });

  test("is just below 1 where the norm is the limit, as in PyTorch", async () => {
    const grads = [Float32Array.of(3e-4), Float32Array.of(-4e-4)];
    const { figures } = await oneStep(withClip({ globalNorm: 5e-4 }, { shapes: [[1], [1]] }), grads);
    expectRelative(figures.clipFactor, 5e-4 / (5e-4 + 1e-6), NORM_TOLERANCE);
  });

  test("of a tensor comes on top of the global one", async () => {
    const grads = [Float32Array.of(3, 4), Float32Array.of(0, 12)];
    const { figures } = await oneStep(withClip({ globalNorm: 6.5, tensorNorm: 3 }, { shapes: [[2], [2]] }), grads);
    expectRelative(figures.clipFactor, 0.5, NORM_TOLERANCE);
    expectRelative(figures.tensors.t0!.clipFactor, 0.5, NORM_TOLERANCE);
    expectRelative(figures.tensors.t1!.clipFactor, 0.25, NORM_TOLERANCE);
    expectRelative(figures.groups.default!.clipFactor, 0.25, NORM_TOLERANCE);
    expectRelative(figures.gradNormClipped, Math.hypot(2.5, 3), NORM_TOLERANCE);
  });
});

describe("norms neither overflow nor underflow", () => {
  const shapes = [[300], [3], [65]];

  test.each([
    ["3e19, whose square is infinite", [3e19, 3e19, 3e19]],
    ["1e36, whose sum is just finite", [1e36, 1e36, 1e35]],
    ["1e-30, whose square is zero", [1e-30, 1e-30, 1e-30]],
    ["1e-34, just above the subnormal numbers", [1e-34, 1e-34, 1e-34]],
    ["all sizes at once", [1e-30, 3e19, 1]],
    ["a large one after small ones", [1e-12, 1e-12, 1e12]],
  ])("gradients of %s", async (_, magnitudes) => {
    for (const normType of [2, Infinity, 1, 3, 2.5]) {
      const base = { ...PROBLEM, shapes };
      const grads = gradientsAt(base, 1).map((g, k) => g.map((x) => x * magnitudes[k]!));
      // In units of the largest, so that float64 powers of type 3 stay within range.
      const unit = norm(
        grads.map((g) => Float64Array.from(g)),
        Infinity,
      );
      const truth = (some: Float32Array[]) =>
        unit *
        norm(
          some.map((g) => Float64Array.from(g, (x) => x / unit)),
          normType,
        );
      const { figures } = await oneStep(withClip({ globalNorm: 1000, normType }, base), grads);
      expectRelative(figures.gradNorm, truth(grads), NORM_TOLERANCE);
      grads.forEach((g, k) => {
        expectRelative(figures.tensors[`t${k}`]!.gradNorm, truth([g]), NORM_TOLERANCE);
      });
      expect(figures.skipped).toBe(false);
      expectRelative(figures.clipFactor, clipFactor(truth(grads), 1000), NORM_TOLERANCE);
    }
  });

  test("and are clipped to the limit: 3e19 against the twin", async () => {
    const device = await testDevice();
    const problem = withClip({ globalNorm: 1, tensorNorm: 0.9 }, { shapes });
    await expectTwinRun(device, problem, 3, (grads) => grads.map((g) => g.map((x) => x * 3e19)));
  });

  test("1e-30 passes unchanged", async () => {
    const { figures } = await oneStep(
      withClip({ globalNorm: 1 }, { shapes }),
      gradientsAt({ ...PROBLEM, shapes }, 1).map((g) => g.map((x) => x * 1e-30)),
    );
    expect(figures.clipFactor).toBe(1);
    expect(figures.gradNormClipped).toBe(figures.gradNorm);
    expect(figures.gradNorm).toBeGreaterThan(1e-30);
  });
});

describe("without skipping, what is not finite comes through as in PyTorch", () => {
  test.each([
    ["inf", Infinity, { globalNorm: 1 }],
    ["-inf", -Infinity, { globalNorm: 1, normType: Infinity }],
    ["nan", Number.NaN, { globalNorm: 1 }],
    ["inf", Infinity, { tensorNorm: 1, normType: 1 }],
    ["nan", Number.NaN, { tensorNorm: 1 }],
    ["inf", Infinity, { value: 1 }],
    ["nan", Number.NaN, { value: 1 }],
    ["nan", Number.NaN, { globalNorm: 1, value: 0.1 }],
  ] as [string, number, ClipOptions][])("%s (%d) with %j", async (_, bad, clip) => {
    const device = await testDevice();
    const row = { rule: sgd(), twin: sgdTwin, options: {} };
    const problem = withClip(clip, { row, shapes: [[70], [5]], options: { lr: 0.1, skipNonFinite: false } });
    const grads = gradientsAt(problem, 1);
    grads[0]![66] = bad;
    const twins = new Twins(problem);
    twins.step(grads);
    const optimizer = await start(device, problem);
    stepWith(optimizer, grads);
    const comparison = criterionFor(device);
    twins.compare(comparison, await optimizer.stateDict(), "after");
    optimizer.destroy();
    expectPassed(comparison);
  });
});
