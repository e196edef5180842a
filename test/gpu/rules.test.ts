/** Every rule of the table has every property here. */

import { describe, expect, test } from "vitest";
import { cosine, type Optimizer, warmup } from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import type { ValueSpec } from "../reference/prng.ts";
import { RULES, type RuleRow } from "../rules-table.ts";
import { attach, dirtyPadding } from "./attached.ts";
import {
  bitsOf,
  CHUNK,
  criterionFor,
  expectPassed,
  expectTwinRun,
  gradientsAt,
  type Problem,
  randomFrom,
  type SharedGroup,
  SIZES,
  start,
  stepWith,
  Twins,
} from "./twin-run.ts";

const tuning = { chunk: CHUNK };
/** Sizes that are multiples of four. */
const QUADS = [4, 60, 64, 68, 256];
const lr = warmup(5, cosine(0.05, 30));

const GRADIENTS: readonly ValueSpec[] = [
  { kind: "normal", scale: 1 },
  { kind: "sparse", scale: 0.1, zero: 100 },
  { kind: "corr", scale: 1, noise: 0.3 },
  { kind: "wide", lo: -12, hi: 3, zero: 8 },
];

/** `sets` groups of random options, and tensors of random shapes (of rank 0 to 4) and gradients, spread over them. */
function randomProblem(row: RuleRow, seed: number, sets: number): Problem {
  const random = randomFrom(seed);
  const below = (n: number) => Math.floor(random() * n);
  const shaped = row.shape ?? ((shape) => shape);
  // Each group has a tensor, and some have more.
  const split = Array.from({ length: sets + below(8) }, (_, k) => (k < sets ? k : below(sets)));
  const [ranks, most] = sets > 9 ? [4, 4] : [5, 7];
  const shapes = split.map(() => shaped(Array.from({ length: below(ranks) }, () => 1 + below(most))));
  const groups = Array.from({ length: sets }, (): SharedGroup => {
    return { ...row.draw(random), lr: 10 ** (-3 * random()) / 10, weightDecay: random() / 2 };
  });
  const kinds = shapes.map(() => GRADIENTS[below(GRADIENTS.length)]!);
  return { row, seed, shapes, groups, split, gradient: (k) => kinds[k]!, tuning };
}

/** Steps `from` to `to`. */
function run(optimizer: Optimizer, problem: Problem, from: number, to: number): void {
  for (let step = from; step <= to; step++) stepWith(optimizer, gradientsAt(problem, step));
}

/** A run in which much happens: tensors without gradients, a gradient that is not finite. */
function eventfulRun(optimizer: Optimizer, problem: Problem, from: number, to: number): void {
  for (let step = from; step <= to; step++) {
    const grads: (Float32Array | null)[] = gradientsAt(problem, step);
    if (step === 4 || step === 13) grads[7]![2] = Number.NaN;
    if (step % 3 === 0) grads[5] = null;
    if (step <= 11) grads[6] = null;
    stepWith(optimizer, grads);
  }
}

/** Everything that `drive` leaves behind, as bits. */
async function bitsAfter(device: GPUDevice, problem: Problem, drive: (optimizer: Optimizer) => unknown) {
  const optimizer = await start(device, problem);
  await drive(optimizer);
  const state = await optimizer.stateDict();
  optimizer.destroy();
  return bitsOf(state);
}

describe.each(RULES)("$name", (row) => {
  const shaped = row.shape ?? ((shape) => shape);
  const shapes = SIZES.map((size) => shaped([size]));
  const quads = QUADS.map((size) => shaped([size]));
  const plain: Problem = { row, shapes, tuning, options: { lr, weightDecay: 0.1 } };
  const modified: Problem = {
    ...plain,
    options: { lr, weightDecay: 0.1, decayMode: "decoupled", cautious: true, toward: "initial", l1: 0.01 },
  };

  test.each([1, 3])("follows its float64 twin: random problem %i", async (seed) => {
    await expectTwinRun(await testDevice(), randomProblem(row, seed, seed), 20);
  });

  test("follows its float64 twin with 200 random sets of options", async () => {
    // Of so many tensors with few elements some are unlucky: more runs tell better what an error is to be expected.
    await expectTwinRun(await testDevice(), randomProblem(row, row.seed ?? 5, 200), 20, undefined, 8);
  });

  test("follows its float64 twin on both sides of every limit of sizes", async () => {
    await expectTwinRun(await testDevice(), plain, 10);
  });

  test("changed options make no pipeline, and those every rule has make nothing at all", async () => {
    const device = await testDevice();
    const problem: Problem = { row, shapes, tuning, groups: [{ ...row.options, lr: 0.01, weightDecay: 0.1 }] };
    const optimizer = await start(device, problem);
    const twins = new Twins(problem);
    const steps = (from: number, to: number) => {
      run(optimizer, problem, from, to);
      for (let step = from; step <= to; step++) twins.step(gradientsAt(problem, step));
    };
    steps(1, 2);

    const counter = countCalls(device);
    const common = { lr: 0.03, weightDecay: 0.3, decayMode: "proximal" as const };
    optimizer.setGroup("g0", common);
    twins.setGroup(0, common);
    steps(3, 4);
    expect(counter.read()).toMatchObject({ createBuffer: 0, createBindGroup: 0, submits: 2, passes: 2 });
    optimizer.setGroup("g0", row.change);
    twins.setGroup(0, row.change);
    steps(5, 6);
    expect(counter.stop()).toMatchObject({ createComputePipeline: 0, createShaderModule: 0 });

    const comparison = criterionFor(device);
    twins.compare(comparison, await optimizer.stateDict(), "step 6");
    optimizer.destroy();
    expectPassed(comparison);
  });

  test("two runs are equal bit for bit", async () => {
    const device = await testDevice();
    const problem = { ...modified, options: { ...modified.options, clip: { globalNorm: 1, value: 0.1 } } };
    const once = await bitsAfter(device, problem, (o) => eventfulRun(o, problem, 1, 20));
    expect(await bitsAfter(device, problem, (o) => eventfulRun(o, problem, 1, 20))).toEqual(once);
  });

  test("saved, loaded and gone on: bit for bit the run that never stopped", async () => {
    const device = await testDevice();
    const options = { ...modified.options, clip: { globalNorm: 1 }, lossScale: { initial: 8, growthInterval: 3 } };
    const problem: Problem = { ...modified, options };
    const stopped = await start(device, problem);
    eventfulRun(stopped, problem, 1, 10);
    const saved = await stopped.stateDict();
    stopped.destroy();
    const resumed = await bitsAfter(device, { ...problem, seed: 99 }, async (optimizer) => {
      run(optimizer, problem, 1, 3);
      await optimizer.loadStateDict(saved);
      eventfulRun(optimizer, problem, 11, 20);
    });
    expect(resumed).toEqual(await bitsAfter(device, problem, (o) => eventfulRun(o, problem, 1, 20)));
  });

  test("a skipped step equals one that never was, bit for bit", async () => {
    const device = await testDevice();
    const problem = { ...plain, options: { ...plain.options, skipNonFinite: true } };
    const bad = gradientsAt(problem, 99);
    bad[3]![1] = Number.POSITIVE_INFINITY;
    const skipping = await bitsAfter(device, problem, (optimizer) => {
      stepWith(optimizer, bad);
      run(optimizer, problem, 1, 4);
      stepWith(optimizer, bad);
      stepWith(optimizer, bad);
      run(optimizer, problem, 5, 10);
      stepWith(optimizer, bad);
    });
    const undisturbed = await bitsAfter(device, problem, (o) => run(o, problem, 1, 10));
    expect(skipping).toEqual(undisturbed);
    expect(undisturbed.stepsApplied).toBe(10);
  });

  test.each([
    ["plain", plain],
    ["with modified decay", modified],
  ])(
    "arena, arena in windows and attached: equal bit for bit, and nothing outside of tensors is touched: %s",
    async (_, any) => {
      const device = await testDevice();
      // Sums over a tensor are made in another order where its elements are loaded one by one.
      const problem = { ...any, ...(row.rule.definition.prepares === "sums" && { shapes: quads }) };
      // Matrices that are orthogonalized or factored must fit a binding as a whole.
      const bytes = (row.shape ? 8 : 2) * CHUNK * 4 * 4;
      const limits = { maxStorageBufferBindingSize: bytes, maxComputeWorkgroupsPerDimension: 2 };
      const drive = (optimizer: Optimizer) => run(optimizer, problem, 1, 5);
      const driveArena = async (optimizer: Optimizer) => {
        drive(optimizer);
        expect(await dirtyPadding(device, optimizer)).toEqual([]);
      };
      const arena = await bitsAfter(device, problem, driveArena);
      expect(await bitsAfter(device, { ...problem, tuning: { ...tuning, limits } }, driveArena)).toEqual(arena);
      const attached = attach(device, problem);
      expect(await bitsAfter(device, { ...problem, params: attached.params }, drive)).toEqual(arena);
      expect(await attached.deadCanaries()).toEqual([]);
      attached.destroy();
    },
  );

  test("arena and attached are equal bit for bit with norms too, where tensors are whole quads", async () => {
    const device = await testDevice();
    const problem: Problem = {
      ...plain,
      shapes: quads,
      options: { ...plain.options, clip: { globalNorm: 1, tensorNorm: 0.5 } },
    };
    const attached = attach(device, problem);
    const drive = (optimizer: Optimizer) => run(optimizer, problem, 1, 5);
    const inArena = await bitsAfter(device, problem, drive);
    expect(await bitsAfter(device, { ...problem, params: attached.params }, drive)).toEqual(inArena);
    expect(await attached.deadCanaries()).toEqual([]);
    attached.destroy();
  });

  test("groups do not leak into each other", async ({ skip }) => {
    if (row.joinsGroups) skip(row.joinsGroups);
    const device = await testDevice();
    const own = { ...row.options, lr, weightDecay: 0.1 };
    const leftAlone = await bitsAfter(device, { ...plain, groups: [own, own] }, (o) => run(o, plain, 1, 6));
    const other = { ...own, lr: 0.7, weightDecay: 0.9, decayMode: "proximal" as const };
    const disturbed = await bitsAfter(device, { ...plain, groups: [own, other] }, (optimizer) => {
      for (let step = 1; step <= 6; step++) {
        if (step === 3) optimizer.setGroup("g1", { ...row.change, lr: 0.2 });
        stepWith(
          optimizer,
          gradientsAt(plain, step).map((grad, k) => (k % 2 === 0 ? grad : k === 5 ? null : grad.map((g) => 3 - g))),
        );
      }
    });
    const mine = ({ tensors }: typeof disturbed) => SIZES.map((_, k) => tensors[`t${k}`]).filter((_, k) => k % 2 === 0);
    expect(mine(disturbed)).toEqual(mine(leftAlone));
    expect(disturbed).not.toEqual(leftAlone);
  });

  test("lr 0 leaves parameters as they are, but for independent decay", async ({ skip }) => {
    if (row.movesWithoutLr) skip(row.movesWithoutLr);
    const device = await testDevice();
    const modes = ["coupled", "decoupled", "scheduled", "proximal", "independent"] as const;
    const problem: Problem = {
      ...plain,
      options: {},
      groups: modes.map((decayMode) => ({ ...row.options, lr: 0, referenceLr: 0.1, weightDecay: 0.25, decayMode })),
    };
    const optimizer = await start(device, problem);
    const before = await optimizer.stateDict();
    run(optimizer, problem, 1, 2);
    const after = await optimizer.stateDict();
    optimizer.destroy();
    SIZES.forEach((_, k) => {
      const [x, y] = [before.tensors[`t${k}`]!.param, after.tensors[`t${k}`]!.param];
      // Powers of two: 0.75^2 x is rounded at most twice.
      const left = 0.75 ** (3 - (row.rule.definition.decayFrom ?? 1));
      if (modes[k % modes.length] !== "independent") expect(y, `t${k}`).toEqual(x);
      else expect(y.every((v, i) => Math.abs(v - left * x[i]!) <= 2 ** -23 * Math.abs(x[i]!))).toBe(true);
      for (const slot of Object.values(after.tensors[`t${k}`]!.slots)) expect(slot.every(Number.isFinite)).toBe(true);
    });
  });

  test("a zero gradient is a gradient: it counts and decays, and leaves no trace in the state", async () => {
    const device = await testDevice();
    const own = { ...row.options, lr: 0.1, decayMode: "decoupled" as const };
    const problem: Problem = {
      ...plain,
      options: {},
      groups: [
        { ...own, weightDecay: 0 },
        { ...own, weightDecay: 0.25 },
      ],
      gradient: () => ({ kind: "zero" }),
    };
    await expectTwinRun(device, problem, 3);
    const zeros = gradientsAt(problem, 1);
    const optimizer = await start(device, problem);
    const before = await optimizer.stateDict();
    stepWith(optimizer, zeros);
    const after = await optimizer.stateDict();
    optimizer.destroy();
    SIZES.forEach((_, k) => {
      const { step, param, slots } = after.tensors[`t${k}`]!;
      expect(step).toBe(1);
      if (k % 2 === 0 && !row.movesWithoutGradient) expect(param).toEqual(before.tensors[`t${k}`]!.param);
      for (const [name, slot] of Object.entries(slots))
        if (!row.traces?.slots.includes(name))
          // Negated gradients may be kept: -0 is zero.
          expect(
            slot.every((x) => x === 0),
            name,
          ).toBe(true);
    });
  });

  test("eps 0: what never had a gradient stays, and nothing is 0 / 0", async ({ skip }) => {
    const { eps: like } = row.rule.definition.defaults;
    if (like === undefined) return skip("it has no eps");
    const eps = Array.isArray(like) ? like.map(() => 0) : 0;
    const device = await testDevice();
    const problem: Problem = { ...plain, options: { lr: 0.1 }, groups: [{ ...row.options, eps, weightDecay: 0 }] };
    const optimizer = await start(device, problem);
    const before = await optimizer.stateDict();
    for (let step = 1; step <= 8; step++) {
      // Every other element has a gradient.
      const grads = gradientsAt(problem, step).map((grad) => grad.map((g, i) => (i % 2 === 0 ? 0 : g)));
      stepWith(optimizer, grads);
    }
    const after = await optimizer.stateDict();
    expect(await dirtyPadding(device, optimizer)).toEqual([]);
    optimizer.destroy();
    for (const [name, { param, slots }] of Object.entries(after.tensors)) {
      for (const values of [param, ...Object.values(slots)]) expect(values.every(Number.isFinite), name).toBe(true);
      const { param: initial } = before.tensors[name]!;
      expect(param.filter((_, i) => i % 2 === 0)).toEqual(initial.filter((_, i) => i % 2 === 0));
    }
  });

  test("no gradient is none: parameter, state and count stay, whatever lies in the gradient's memory", async () => {
    const device = await testDevice();
    const problem = { ...modified, options: { ...modified.options, clip: { globalNorm: 1 } } };
    const optimizer = await start(device, problem);
    run(optimizer, problem, 1, 3);
    const before = bitsOf(await optimizer.stateDict()).tensors;
    const grads = gradientsAt(problem, 4);
    grads[8]!.fill(Number.NaN);
    optimizer.withoutGrad(["t8", "t9"]);
    stepWith(optimizer, grads);
    const after = bitsOf(await optimizer.stateDict()).tensors;
    optimizer.destroy();
    expect([after.t8, after.t9]).toEqual([before.t8, before.t9]);
    expect(after.t10!.step).toBe(4);
    expect(after.t10!.param).not.toEqual(before.t10!.param);
  });
});
