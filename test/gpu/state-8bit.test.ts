/** State in 8 bits: what codes and scales are, and that everything an optimizer does goes on with them. */

import { describe, expect, test } from "vitest";
import {
  adafactor,
  adamw,
  createOptimizer,
  lion,
  muon,
  type Optimizer,
  type OptimizerOptions,
  OptionError,
  sgd,
} from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { RULES } from "../rules-table.ts";
import { attach, dirtyPadding } from "./attached.ts";
import { bitsOf, gradientsAt, type Problem, someValues, start, stepWith } from "./twin-run.ts";

/** On both sides of the limit, with whole and broken blocks, and more than one chunk. */
const SIZES = [5, 300, 4092, 4096, 4100, 5004, 16_640];
const shapes = SIZES.map((size) => [size]);
const SMALL = 3;
const tuning = { chunk: 1024 };

const drive = (optimizer: Optimizer, problem: Problem, from: number, to: number): void => {
  for (let step = from; step <= to; step++) stepWith(optimizer, gradientsAt(problem, step));
};

async function bitsAfter(device: GPUDevice, problem: Problem, run: (optimizer: Optimizer) => unknown) {
  const optimizer = await start(device, problem);
  await run(optimizer);
  const state = bitsOf(await optimizer.stateDict());
  optimizer.destroy();
  return state;
}

/** The values of bitsandbytes' dynamic map of 8 bits, by its definition. */
function dynamicMap(signed: boolean): number[] {
  const positive: number[] = [];
  for (let level = 0; level < 7; level++) {
    const count = 2 ** (level + (signed ? 0 : 1));
    for (let j = 0; j < count; j++) {
      const [low, high] = [0.1 + (0.9 * j) / count, 0.1 + (0.9 * (j + 1)) / count];
      positive.push((10 ** (level - 6) * (low + high)) / 2);
    }
  }
  return [...(signed ? positive.map((x) => -x) : []), 0, 1, ...positive].sort((a, b) => a - b);
}

/** Distance of x to the nearest number, of two that are about as near to either. */
const nearest = (map: readonly number[], x: number) =>
  map.reduce((best, q) => (Math.abs(q - x) < Math.abs(best - x) ? q : best));

describe("codes", () => {
  test.each([
    ["exp_avg", true],
    ["exp_avg_sq", false],
  ] as const)("%s: each the nearest of the dynamic map, the largest of a block exact", async (slot, signed) => {
    const map = dynamicMap(signed);
    expect(map.length).toBe(256);
    const device = await testDevice();
    const size = 4096 + 512;
    // Over all levels of the map.
    const grad = someValues(1, size, { kind: "wide", lo: -24, hi: 2, zero: 16 });
    const optimizer = await createOptimizer(device, {
      rule: adamw({ betas: [0.5, 0.5] }),
      params: [{ name: "w", shape: [size] }],
      state: "8-bit",
    });
    optimizer.writeGrad("w", grad);
    optimizer.step();
    const { slots } = await optimizer.readState("w");
    optimizer.destroy();
    const levels = new Set<number>();
    for (let begin = 0; begin < size; begin += 256) {
      const exact = Float32Array.from(grad.subarray(begin, begin + 256), (g) =>
        signed ? g / 2 : Math.fround(g * g) / 2,
      );
      const got = slots[slot]!.subarray(begin, begin + 256);
      const scale = exact.reduce((top, x) => (Math.abs(x) > Math.abs(top) ? x : top), 0);
      exact.forEach((x, i) => {
        const y = x / scale;
        const q = nearest(map, y);
        const smallest = !signed && y > 0 && q === 0;
        const expected = smallest ? map[1]! : q;
        const found = got[i]! / scale;
        levels.add(found);
        if (y === 1) expect(got[i]).toBe(x);
        // Where two codes are about as near, either will do.
        const tie = Math.abs(Math.abs(found - y) - Math.abs(expected - y)) <= 1e-6 * Math.abs(y);
        if (!tie) expect(Math.abs(found - expected), `${x} of ${scale}`).toBeLessThanOrEqual(1e-6 * Math.abs(expected));
      });
    }
    expect(levels.size).toBeGreaterThan(150);
  });

  test("what cannot be kept: a block that is not finite is NaN, one next to nothing is 0", async () => {
    const device = await testDevice();
    const size = 4096;
    const optimizer = await createOptimizer(device, {
      rule: sgd({ momentum: 0.5 }),
      params: [{ name: "w", shape: [size] }],
      state: "8-bit",
    });
    const grad = new Float32Array(size).fill(1);
    grad[3] = Number.NaN;
    grad[256] = Number.POSITIVE_INFINITY;
    grad.fill(2 ** -105, 512, 768);
    grad.fill(-(2 ** 127), 768, 1024);
    grad[800] = 2 ** 126;
    optimizer.writeGrad("w", grad);
    optimizer.step();
    const { momentum_buffer: b } = (await optimizer.readState("w")).slots as { momentum_buffer: Float32Array };
    expect(b.subarray(0, 512).every(Number.isNaN)).toBe(true);
    expect(b.subarray(512, 768).every((x) => x === 0)).toBe(true);
    expect(b[768]).toBe(-(2 ** 127));
    expect(b[800]! / 2 ** 126).toBeCloseTo(1, 1);
    expect(b.subarray(1024).every((x) => x === 1)).toBe(true);
    const saved = await optimizer.stateDict();
    await optimizer.loadStateDict(saved);
    expect(bitsOf(await optimizer.stateDict())).toEqual(bitsOf(saved));
    optimizer.destroy();
  });
});

// One row of each rule.
const rows = RULES.filter(({ rule: { definition } }, i) => {
  return definition.quantizes && RULES.findIndex(({ rule }) => rule.definition.name === definition.name) === i;
});

test("the rules that have it", () => {
  expect([...new Set(rows.map(({ rule }) => rule.definition.name))].sort()).toEqual(
    ["adabelief", "adam", "adamax", "adamw", "lion", "nadam", "nadamw", "radam", "sgd", "signum"].sort(),
  );
});

describe.each(rows)("$name", (row) => {
  const problem: Problem = { row, shapes, tuning, options: { lr: 0.01, weightDecay: 0.1, state: "8-bit" } };

  test("small tensors are those of float32, large ones near them", async () => {
    const device = await testDevice();
    const { state: _, ...options } = problem.options!;
    const run = async (p: Problem) => {
      const optimizer = await start(device, p);
      drive(optimizer, p, 1, 3);
      const { tensors } = await optimizer.stateDict();
      expect(await dirtyPadding(device, optimizer)).toEqual([]);
      optimizer.destroy();
      return Object.values(tensors);
    };
    const [small, full] = [await run(problem), await run({ ...problem, options })];
    expect(small.slice(0, SMALL)).toEqual(full.slice(0, SMALL));
    const begin = await start(device, problem);
    const initial = Object.values((await begin.stateDict()).tensors);
    begin.destroy();
    small.forEach(({ param, slots }, k) => {
      if (k < SMALL) return;
      const norm = (a: Float32Array, b?: Float32Array) => Math.hypot(...a.map((x, i) => x - (b?.[i] ?? 0)));
      // Two roundings to codes that are off by 1 % of a value or so; signs of values near 0 may change.
      expect(norm(param, full[k]!.param) / norm(full[k]!.param, initial[k]!.param)).toBeLessThan(0.1);
      for (const [name, values] of Object.entries(slots)) {
        const off = norm(values, full[k]!.slots[name]!) / (norm(full[k]!.slots[name]!) || 1);
        expect(off, name).toBeLessThan(0.03);
        expect(off, name).toBeGreaterThan(1e-4);
      }
    });
  });

  test("saved, loaded and gone on, with all that may happen: bit for bit the run that never stopped", async () => {
    const device = await testDevice();
    const options: Partial<OptimizerOptions> = {
      ...problem.options,
      decayMode: "decoupled",
      cautious: true,
      toward: "initial",
      l1: 0.01,
      clip: { globalNorm: 1, value: 0.1 },
      ema: { decay: 0.9 },
      lossScale: { initial: 8, growthInterval: 3 },
      monitor: {},
    };
    const eventful = { ...problem, options };
    const events = (optimizer: Optimizer, from: number, to: number) => {
      for (let step = from; step <= to; step++) {
        const grads: (Float32Array | null)[] = gradientsAt(eventful, step);
        if (step === 2 || step === 5) grads[6]![4000] = Number.NaN;
        if (step % 3 === 0) grads[4] = null;
        stepWith(optimizer, grads);
      }
    };
    const stopped = await start(device, eventful);
    events(stopped, 1, 4);
    const saved = await stopped.stateDict();
    stopped.destroy();
    const resumed = await bitsAfter(device, { ...eventful, seed: 99 }, async (optimizer) => {
      drive(optimizer, eventful, 1, 1);
      await optimizer.loadStateDict(saved);
      events(optimizer, 5, 8);
    });
    expect(resumed).toEqual(await bitsAfter(device, eventful, (o) => events(o, 1, 8)));
    expect(resumed.stepsApplied).toBe(6);
  });

  test("arena, arena in windows and attached are equal bit for bit", async () => {
    const device = await testDevice();
    const run = (optimizer: Optimizer) => drive(optimizer, problem, 1, 3);
    const arena = await bitsAfter(device, problem, run);
    const limits = { maxStorageBufferBindingSize: 8192 * 4, maxComputeWorkgroupsPerDimension: 2 };
    expect(await bitsAfter(device, { ...problem, tuning: { ...tuning, limits } }, run)).toEqual(arena);
    const attached = attach(device, problem);
    expect(await bitsAfter(device, { ...problem, params: attached.params }, run)).toEqual(arena);
    expect(await attached.deadCanaries()).toEqual([]);
    attached.destroy();
  });

  test("groups do not leak into each other, and who stays out stays as it is", async () => {
    const device = await testDevice();
    const own = { ...row.options, lr: 0.01, weightDecay: 0.1 };
    const grouped: Problem = { ...problem, options: { state: "8-bit" }, groups: [own, own] };
    const alone = await bitsAfter(device, grouped, (o) => drive(o, grouped, 1, 4));
    let frozen: unknown;
    const disturbed = await bitsAfter(device, grouped, async (optimizer) => {
      drive(optimizer, grouped, 1, 2);
      optimizer.setGroup("g1", { ...row.change, lr: 0.2 });
      optimizer.freeze("t5");
      frozen = bitsOf(await optimizer.stateDict()).tensors.t5;
      drive(optimizer, grouped, 3, 4);
    });
    const even = [0, 2, 4, 6].map((k) => `t${k}`);
    for (const name of even) expect(disturbed.tensors[name], name).toEqual(alone.tensors[name]);
    expect(disturbed.tensors.t3).not.toEqual(alone.tensors.t3);
    expect(disturbed.tensors.t5).toEqual(frozen);
  });
});

describe("the engine around it", () => {
  test("figures, adaptive clipping, accumulation, cautious updates and averages see the same step", async () => {
    const device = await testDevice();
    const row = RULES.find(({ rule }) => rule.definition.name === "adamw")!;
    const options: Partial<OptimizerOptions> = {
      state: "8-bit",
      lr: 0.01,
      clip: { adaptive: { factor: 0.1 } },
      accumulate: 2,
      cautiousUpdate: "timm",
      lookahead: { k: 2 },
    };
    const problem: Problem = { row, shapes: [[64, 80], [5000]], tuning, options };
    const quiet = await bitsAfter(device, problem, (o) => drive(o, problem, 1, 8));
    const monitored = { ...problem, options: { ...options, monitor: {} } };
    let updateNorm = 0;
    const watched = await bitsAfter(device, monitored, async (optimizer) => {
      const before = await optimizer.readParam("t0");
      optimizer.on("figures", (f) => {
        if (f.step === 1) updateNorm = f.tensors.t0!.updateNorm;
      });
      drive(optimizer, monitored, 1, 2);
      await optimizer.flush();
      const after = await optimizer.readParam("t0");
      const norm = Math.hypot(...after.map((x, i) => x - before[i]!));
      expect(Math.abs(updateNorm - norm)).toBeLessThan(1e-4 * norm);
      drive(optimizer, monitored, 3, 8);
    });
    expect(watched).toEqual(quiet);
  });

  test("a step makes nothing, and is one dispatch for each format", async () => {
    const device = await testDevice();
    const optimizer = await createOptimizer(device, {
      rule: adamw(),
      params: [
        { name: "w", shape: [64, 256] },
        { name: "b", shape: [64] },
      ],
      state: "8-bit",
    });
    optimizer.step();
    const counter = countCalls(device);
    optimizer.set({ lr: 0.5 });
    optimizer.step();
    expect(counter.stop()).toMatchObject({
      dispatches: 2,
      submits: 1,
      createBuffer: 0,
      createBindGroup: 0,
      createComputePipeline: 0,
    });
    optimizer.destroy();
  });

  test("state of float32 runs loads, and goes back", async () => {
    const device = await testDevice();
    const params = [{ name: "w", shape: [5000] }];
    const full = await createOptimizer(device, { rule: adamw(), params });
    const small = await createOptimizer(device, { rule: adamw(), params, state: "8-bit" });
    full.writeGrad("w", someValues(2, 5000));
    full.step();
    await small.loadStateDict(await full.stateDict());
    const once = await small.stateDict();
    await full.loadStateDict(once);
    expect(bitsOf(await full.stateDict())).toEqual(bitsOf(once));
    await small.loadStateDict(await full.stateDict());
    expect(bitsOf(await small.stateDict())).toEqual(bitsOf(once));
    full.destroy();
    small.destroy();
  });

  test("several rules: each with its format", async () => {
    const device = await testDevice();
    const optimizer = await createOptimizer(device, {
      rules: [
        { match: "m*", rule: muon(), state: "f32" },
        { match: "*", rule: lion() },
      ],
      params: [
        { name: "m", shape: [64, 64] },
        { name: "x", shape: [64, 64] },
      ],
      state: "8-bit",
    });
    for (const name of ["m", "x"]) optimizer.writeGrad(name, someValues(3, 4096));
    optimizer.step();
    const { tensors } = await optimizer.stateDict();
    expect(Object.keys(tensors.x!.slots)).toEqual(["exp_avg"]);
    expect(new Set(tensors.x!.slots.exp_avg).size).toBeLessThan(16 * 256);
    expect(new Set(tensors.m!.slots.momentum_buffer).size).toBeGreaterThan(3000);
    optimizer.destroy();
  });

  test("what cannot be is refused", async () => {
    const device = await testDevice();
    const params = [{ name: "w", shape: [5000] }];
    const refused = (options: Partial<OptimizerOptions>) =>
      expect(createOptimizer(device, { params, ...options } as OptimizerOptions)).rejects;
    await refused({ rule: adafactor(), state: "8-bit" }).toThrow(OptionError);
    await refused({ rule: adafactor(), state: "8-bit" }).toThrow('adafactor: state must be "f32" for this rule');
    await refused({ rule: adamw(), state: "4-bit" as "8-bit" }).toThrow('adamw: state must be "f32" or "8-bit"');
    await refused({ rules: [{ match: "*", rule: muon(), state: "8-bit" }] }).toThrow("muon: rules[0].state");
  });
});
