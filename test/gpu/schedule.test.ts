/** Schedules follow the updates that were applied, and options changed by hand come in at once, whatever has been skipped. */

import { describe, expect, test } from "vitest";
import {
  adamw,
  cosine,
  createOptimizer,
  type Figures,
  type Optimizer,
  type OptimizerOptions,
  OptionError,
  reduceOnPlateau,
  type Schedule,
  sgd,
  warmup,
} from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { adamw as adamwTwin } from "../reference/adam.ts";
import { RULES } from "../rules-table.ts";
import {
  criterionFor,
  expectPassed,
  gradientsAt,
  type Problem,
  someValues,
  start,
  stepWith,
  Twins,
} from "./twin-run.ts";

const ONE = Float32Array.of(1);
const BAD = Float32Array.of(Number.NaN);

/** An optimizer of one weight `w` at 0 without momentum: every good step with gradient 1 subtracts that step's lr. */
async function lrMeter(options: Partial<OptimizerOptions>): Promise<Optimizer> {
  const params = [{ name: "w", shape: [1] }];
  return createOptimizer(await testDevice(), { rule: sgd(), params, ...options });
}

/** One step, and the lr it applied. */
async function stepAndRead(optimizer: Optimizer, grad: Float32Array): Promise<number> {
  optimizer.writeParam("w", new Float32Array(1));
  optimizer.writeGrad("w", grad);
  optimizer.step();
  return 0 - (await optimizer.readParam("w"))[0]!;
}

describe("a schedule", () => {
  test("is asked with the number of updates applied, 0 first; a skipped step does not count", async () => {
    const lr = warmup(3, cosine(0.5, 12));
    const optimizer = await lrMeter({ lr, skipNonFinite: true });
    const applied: number[] = [];
    for (let step = 1; step <= 12; step++) {
      const bad = [1, 4, 5].includes(step);
      const got = await stepAndRead(optimizer, bad ? BAD : ONE);
      if (!bad) applied.push(got);
    }
    optimizer.destroy();
    expect(applied).toEqual(Array.from({ length: 9 }, (_, t) => Math.fround(lr(t))));
  });

  test("of lr, of weight decay and of l1, for each group its own", async () => {
    const device = await testDevice();
    const lr: Schedule = (t) => 0.1 / (1 + t);
    const groups = [
      { lr, weightDecay: (t: number) => 0.01 * t, decayMode: "coupled" as const },
      { lr: cosine(0.2, 15), weightDecay: (t: number) => (t < 5 ? 0 : 0.3), l1: (t: number) => 0.01 * t },
      { lr: 0.1, weightDecay: warmup(5, cosine(0.1, 15)), decayMode: "scheduled" as const, referenceLr: 0.4 },
    ];
    const problem: Problem = {
      row: { rule: adamw(), twin: adamwTwin, options: {} },
      shapes: [[5], [66], [7]],
      groups,
      options: { skipNonFinite: true },
    };
    const optimizer = await start(device, problem);
    const twins = new Twins(problem);
    const comparison = criterionFor(device);
    for (let step = 1; step <= 15; step++) {
      const grads = gradientsAt(problem, step);
      if (step % 4 === 2) grads[2]![1] = Infinity;
      stepWith(optimizer, grads);
      twins.step(grads);
      if (step % 5 === 0) twins.compare(comparison, await optimizer.stateDict(), `step ${step}`);
    }
    optimizer.destroy();
    expectPassed(comparison);
  });

  test("that gives no number >= 0 is refused at that step, by name, and nothing has happened", async () => {
    const optimizer = await lrMeter({ lr: (t) => (t === 2 ? Number.NaN : 0.5), weightDecay: 0 });
    for (let i = 0; i < 2; i++) await stepAndRead(optimizer, ONE);
    expect(() => optimizer.step()).toThrow(OptionError);
    expect(() => optimizer.step()).toThrow("sgd: lr at step 2 (group default) must be a finite number >= 0, got NaN");
    expect((await optimizer.stateDict()).stepsApplied).toBe(2);
    optimizer.set({ lr: 0.25 });
    expect(await stepAndRead(optimizer, ONE)).toBe(0.25);
    expect((await optimizer.stateDict()).stepsApplied).toBe(3);
    optimizer.destroy();
  });

  test("is exact far out: bias corrections of step 40 000, where the table of them has grown", async () => {
    const device = await testDevice();
    for (const row of [RULES[5]!, RULES[7]!]) {
      // 1 - 0.9999^t is 1 in float32 from step 180 000 on; the rule of the user's own never ends.
      const options = { ...row.options, ...(row.options.betas && { betas: [0.9, 0.9999] as [number, number] }) };
      const problem: Problem = { row, shapes: [[70]], groups: [{ ...options, lr: 0.1 }] };
      const optimizer = await start(device, problem);
      const twins = new Twins(problem);
      const comparison = criterionFor(device);
      for (let step = 1; step <= 2; step++) {
        stepWith(optimizer, gradientsAt(problem, step));
        twins.step(gradientsAt(problem, step));
      }
      const state = await optimizer.stateDict();
      const t0 = { ...state.tensors.t0!, step: 40_000 };
      await optimizer.loadStateDict({ ...state, stepsApplied: 40_000, tensors: { t0 } });
      twins.forEach((twin) => {
        twin.state(0).step = 40_000;
      });
      for (let step = 3; step <= 5; step++) {
        stepWith(optimizer, gradientsAt(problem, step));
        twins.step(gradientsAt(problem, step));
        twins.compare(comparison, await optimizer.stateDict(), `step ${39_998 + step}`);
      }
      optimizer.destroy();
      expectPassed(comparison);
    }
  });
});

describe("lr set by hand", () => {
  test("comes in at the next step and stays, though more steps were skipped than the host knew", async () => {
    const optimizer = await lrMeter({ lr: 0.5, skipNonFinite: true });
    // In one go, so that the host prepares rows for 40 updates of which 25 never come.
    for (let step = 1; step <= 40; step++) {
      optimizer.writeGrad("w", step > 15 ? BAD : ONE);
      optimizer.step();
    }
    await optimizer.flush();
    optimizer.set({ lr: 0.25 });
    for (let i = 0; i < 40; i++) expect(await stepAndRead(optimizer, ONE), `step ${41 + i}`).toBe(0.25);
    optimizer.destroy();
  });

  test.each([
    ["where the host knows every step", {}],
    ["where it does not, since steps may be skipped", { skipNonFinite: true }],
  ])("before every step of a loop without a pause, %s", async (_, options) => {
    const optimizer = await lrMeter({ ...options, monitor: {}, weightDecay: 0.5, decayMode: "independent" });
    const seen: Figures[] = [];
    optimizer.on("figures", (figures) => seen.push(figures));
    optimizer.writeGrad("w", ONE);
    let w = 0;
    let dose = 0;
    const doses: number[] = [];
    const lrOf = (step: number) => 2 ** -(step % 5);
    for (let step = 1; step <= 40; step++) {
      const weightDecay = 2 ** -(step % 3) / 4;
      optimizer.set({ lr: lrOf(step), weightDecay });
      optimizer.step();
      w -= lrOf(step) + weightDecay * w;
      dose += weightDecay;
      doses.push(dose);
    }
    await optimizer.flush();
    expect((await optimizer.readParam("w"))[0]! / w).toBeCloseTo(1, 5);
    expect((await optimizer.stateDict()).groups[0]!.decayDose).toBe(dose);
    expect(seen.length).toBeGreaterThan(1);
    for (const { step, groups } of seen) {
      expect(groups.default).toMatchObject({ lr: lrOf(step), decayDose: doses[step - 1] });
    }
    optimizer.destroy();
  });

  test.each([
    ["without skipped steps", 0],
    ["with more of them than the host knew", 20],
  ])("or by a schedule with a memory, comes in at once: %s", async (_, skipped) => {
    const plateau = reduceOnPlateau(0.5, { patience: 0, factor: 0.5 });
    const optimizer = await lrMeter({ lr: plateau, skipNonFinite: true });
    for (let step = 1; step <= 10 + skipped; step++) {
      optimizer.writeGrad("w", step <= skipped ? BAD : ONE);
      optimizer.step();
    }
    await optimizer.flush();
    const lrs: number[] = [];
    for (const loss of [3, 2, 2, 2, 1]) {
      plateau.update(loss);
      lrs.push(await stepAndRead(optimizer, ONE));
    }
    optimizer.destroy();
    expect(lrs).toEqual([0.5, 0.5, 0.25, 0.125, 0.125]);
  });
});

test("600 updates in one loop follow the schedule: the ring of records goes round, known or unknown", async () => {
  const lr = cosine(0.01, 600);
  const total = Array.from({ length: 600 }, (_, t) => Math.fround(lr(t))).reduce((sum, x) => sum + x);
  for (const skipNonFinite of [false, true]) {
    const optimizer = await lrMeter({ lr, skipNonFinite });
    optimizer.writeGrad("w", ONE);
    for (let step = 1; step <= 600; step++) optimizer.step();
    // 600 roundings of at most half a unit in the last place of 4.
    expect(Math.abs((await optimizer.readParam("w"))[0]! + total)).toBeLessThan(600 * 2 ** -22);
    optimizer.destroy();
  }
});

test("schedules may be asked for any step, and are asked for the coming ones only", async () => {
  const asked: number[] = [];
  const lr = (step: number) => {
    asked.push(step);
    return 0.1;
  };
  const optimizer = await lrMeter({ lr });
  asked.length = 0;
  optimizer.writeGrad("w", someValues(0, 1));
  for (let i = 0; i < 3; i++) optimizer.step();
  expect(new Set(asked)).toEqual(new Set([0, 1, 2]));
  optimizer.destroy();
});
