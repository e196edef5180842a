/** Parameters and gradients in 16 bits: what numbers become, and that everything an optimizer does goes on with them. */

import { describe, expect, test } from "vitest";
import { fromBinary16 } from "../../src/half.ts";
import { BF16_FORMAT, F16_FORMAT } from "../../src/host/half.ts";
import type { NumberFormat } from "../../src/host/number-format.ts";
import {
  adamw,
  createOptimizer,
  type ElementType,
  LifecycleError,
  type Optimizer,
  type OptimizerOptions,
  OptionError,
  type StorageOptions,
  scheduleFreeAdamw,
  sgd,
} from "../../src/index.ts";
import { compile, crossEntropy, linear, sequential } from "../../src/nn/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { words } from "../reference/prng.ts";
import { roundedByChance } from "../reference/rounding.ts";
import { RULES } from "../rules-table.ts";
import { readWords } from "./attached.ts";
import {
  bitsOf,
  gradientsAt,
  initialData,
  nameOf,
  type Problem,
  SIZES,
  someValues,
  start,
  stepWith,
} from "./twin-run.ts";

const FORMATS: Readonly<Record<"bf16" | "f16", NumberFormat>> = { bf16: BF16_FORMAT, f16: F16_FORMAT };
const TYPES = ["bf16", "f16"] as const;

/** The nearest numbers of a type, as float32. */
const nearest = (type: ElementType, values: Float32Array): Float32Array => {
  if (type === "f32") return values;
  const { encode, decode } = FORMATS[type];
  return decode(encode(values).buffer, 0, values.length);
};

/** What lies in a tensor's buffer, as float32. */
async function seen(device: GPUDevice, optimizer: Optimizer, name: string, type: "bf16" | "f16") {
  const { param, shape } = optimizer.tensor(name);
  const { buffer } = await readWords(device, param.buffer);
  return FORMATS[type].decode(
    buffer,
    param.offset,
    shape.reduce((n, d) => n * d, 1),
  );
}

// One row of each rule.
const rows = RULES.filter(
  ({ rule }, i) => RULES.findIndex((r) => r.rule.definition.name === rule.definition.name) === i,
);

/** The same gradients for float32 and 16 bits: numbers of 16 bits. */
const roundGradients = (problem: Problem, type: ElementType, step: number) =>
  gradientsAt(problem, step).map((grad) => nearest(type, grad));

describe("numbers", () => {
  /** Around every power of two and over all of float32: neighbours, middles and what is next to them. */
  function values(): Float32Array<ArrayBuffer> {
    const bits: number[] = [];
    for (let exponent = 1; exponent < 255; exponent++) {
      for (let i = 0; i < 40; i++) {
        const { w1, w2 } = words(1, exponent, 0, i);
        const fraction =
          [0, 0x7fff, 0x8000, 0x8001, 0xfff, 0x1000, 0x1001, 0x17fff, 0x18000, 0x3000, 0x7fffff][i] ?? w1;
        bits.push((((w2 & 1) << 31) | (exponent << 23) | (fraction & 0x7fffff)) >>> 0);
      }
    }
    return new Float32Array(Uint32Array.from(bits).buffer);
  }
  /** The nearest bfloat16 by comparing distances; what is beyond the last is as far from it as infinity where both round alike. */
  function bfloat16(x: number): number {
    const bits = new Uint32Array(Float32Array.of(x).buffer)[0]!;
    const at = (b: number) => new Float32Array(Uint32Array.of(b).buffer)[0]!;
    const low = (bits & 0xffff0000) >>> 0;
    const below = at(low);
    const above = at((low + 0x10000) >>> 0);
    const to = Number.isFinite(above) ? above : Math.sign(x) * 2 ** 128;
    const [down, up] = [Math.abs(x - below), Math.abs(to - x)];
    if (down !== up) return down < up ? below : above;
    return (low >>> 16) & 1 ? above : below;
  }
  const f16round = (Math as unknown as { f16round: (x: number) => number }).f16round;

  test.each([
    ["bf16", bfloat16],
    ["f16", f16round],
  ] as const)("%s: the nearest, on the host and on the device", async (type, round) => {
    const data = values();
    const expected = Float32Array.from(data, round);
    expect(nearest(type, data)).toEqual(expected);
    const device = await testDevice();
    const params = [{ name: "w", shape: [data.length], data }];
    const optimizer = await createOptimizer(device, { rule: sgd(), lr: 1, params, storage: { params: type } });
    expect(await seen(device, optimizer, "w", type)).toEqual(expected);
    optimizer.writeParam("w", new Float32Array(data.length));
    expect((await seen(device, optimizer, "w", type)).every((x) => x === 0)).toBe(true);
    // theta <- theta - g: the kernel rounds what this gives.
    const grads = await createOptimizer(device, {
      rule: sgd(),
      lr: 1,
      params: [{ name: "w", shape: [data.length] }],
      storage: { params: type, grads: "f32" },
    });
    grads.writeGrad(
      "w",
      data.map((x) => -x),
    );
    grads.step();
    expect(await grads.readParam("w")).toEqual(data);
    expect(await seen(device, grads, "w", type)).toEqual(expected);
    optimizer.destroy();
    grads.destroy();
  });

  test.each(TYPES)("%s: all of them, as parameters and as gradients", async (type) => {
    const device = await testDevice();
    const halves = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const make = () => {
      const buffer = device.createBuffer({ size: halves.byteLength, usage: 0x80 | 0x8 | 0x4 });
      device.queue.writeBuffer(buffer, 0, halves);
      return buffer;
    };
    const [param, grad] = [make(), make()];
    const optimizer = await createOptimizer(device, {
      rule: sgd({ momentum: 0.5 }),
      lr: 1,
      params: [{ name: "w", shape: [halves.length], param: { buffer: param }, grad: { buffer: grad } }],
      storage: { params: type },
    });
    const expected = FORMATS[type].decode(halves.buffer, 0, halves.length);
    // A device may take a subnormal number for 0: those of bfloat16 are subnormal in float32.
    const flushed = (x: number) => (Math.abs(x) < 2 ** -126 ? 0 : x);
    expect((await optimizer.readParam("w")).map(flushed)).toEqual(expected.map(flushed));
    optimizer.step();
    const { slots } = await optimizer.readState("w");
    // Arithmetic on what is not finite is the device's affair.
    const ordinary = (values: Float32Array) => values.map((x, i) => (Number.isFinite(expected[i]) ? flushed(x) : 0));
    expect(ordinary(slots.momentum_buffer!)).toEqual(ordinary(expected));
    optimizer.destroy();
    param.destroy();
    grad.destroy();
  });

  test("f16 by the standard's own examples", () => {
    const known: [number, number][] = [
      [0x3c00, 1],
      [0xc000, -2],
      [0x7bff, 65504],
      [0x0400, 2 ** -14],
      [0x0001, 2 ** -24],
      [0x3555, 0.333251953125],
      [0x7c00, Infinity],
      [0x8000, -0],
    ];
    for (const [half, value] of known) expect(fromBinary16(half)).toBe(value);
  });
});

describe("with a master", () => {
  test.each(rows)("$rule.definition.name: what float32 gives, bit for bit, whatever happens", async (row) => {
    const device = await testDevice();
    const type = TYPES[rows.indexOf(row) % 2]!;
    const matrices = row.shape ? SIZES.map((size) => row.shape!([size])) : SIZES.map((size) => [size]);
    const problem: Problem = {
      row,
      shapes: matrices,
      tuning: { chunk: 128 },
      options: { ...(row.movesWithoutLr ? {} : { lr: 0.01 }), clip: { globalNorm: 1, value: 0.1 } },
    };
    const run = async (storage: StorageOptions | undefined) => {
      const options = { ...problem.options, ...(storage && { storage }) };
      const optimizer = await start(device, { ...problem, options });
      let saved = await optimizer.stateDict();
      for (let step = 1; step <= 6; step++) {
        const grads: (Float32Array | null)[] = roundGradients(problem, type, step);
        if (step === 2) grads[6]![62] = Number.POSITIVE_INFINITY;
        if (step === 4) grads[4] = null;
        stepWith(optimizer, grads);
        if (step === 3) saved = await optimizer.stateDict();
      }
      if (storage) {
        for (const name of ["t5", "t12"])
          expect(await seen(device, optimizer, name, type)).toEqual(nearest(type, await optimizer.readParam(name)));
      }
      const straight = bitsOf(await optimizer.stateDict());
      await optimizer.loadStateDict(saved);
      for (let step = 4; step <= 6; step++) {
        const grads: (Float32Array | null)[] = roundGradients(problem, type, step);
        if (step === 4) grads[4] = null;
        stepWith(optimizer, grads);
      }
      expect(bitsOf(await optimizer.stateDict())).toEqual(straight);
      optimizer.destroy();
      return straight;
    };
    const full = await run(undefined);
    expect(await run({ params: type })).toEqual(full);
    // One of six was skipped.
    expect(full.stepsApplied).toBe(5);
  });

  test("all that the engine has besides: the same bits as float32", async () => {
    const device = await testDevice();
    const row = RULES.find(({ rule }) => rule.definition.name === "adamw")!;
    const options: Partial<OptimizerOptions> = {
      lr: 0.01,
      decayMode: "decoupled",
      cautious: true,
      toward: "initial",
      l1: 0.01,
      clip: { adaptive: { factor: 0.1 } },
      cautiousUpdate: "timm",
      lookahead: { k: 2 },
      ema: { decay: 0.9 },
      accumulate: 2,
      monitor: {},
    };
    const shapes = [[64, 80], [5000], [3], [17, 5]];
    const problem: Problem = { row, shapes, tuning: { chunk: 128 } };
    const limits = { maxStorageBufferBindingSize: 2 ** 18, maxComputeWorkgroupsPerDimension: 2 };
    const run = async (more: Partial<OptimizerOptions>, tuning = problem.tuning!) => {
      const optimizer = await start(device, { ...problem, options: { ...options, ...more }, tuning });
      await optimizer.addParams([{ name: "t4", shape: [9], data: new Float32Array(9).fill(1 / 3) }]);
      const wider = { ...problem, shapes: [...shapes, [9]] };
      for (let step = 1; step <= 8; step++) stepWith(optimizer, roundGradients(wider, "bf16", step));
      const state = bitsOf(await optimizer.stateDict());
      optimizer.eval();
      const average = await optimizer.readParam("t1");
      expect(() => optimizer.writeParam("t1", average)).toThrow(LifecycleError);
      optimizer.train();
      expect(bitsOf(await optimizer.stateDict())).toEqual(state);
      optimizer.destroy();
      return { state, average };
    };
    const full = await run({});
    const half = await run({ storage: { params: "bf16" } });
    expect(half.state).toEqual(full.state);
    expect(half.average).toEqual(nearest("bf16", full.average));
    expect((await run({ storage: { params: "bf16" } }, { chunk: 128, limits })).state).toEqual(full.state);
    expect((await run({ storage: { params: "f16", grads: "f32" } })).state).toEqual(full.state);
    const small = await run({ state: "8-bit" });
    expect((await run({ state: "8-bit", storage: { params: "f16", grads: "bf16" } })).state).toEqual(small.state);
  });

  test("a rule's own parameters to evaluate are shown in 16 bits, and the master comes back", async () => {
    const device = await testDevice();
    const params = [{ name: "w", shape: [300], data: someValues(1, 300) }];
    const run = async (storage?: StorageOptions) => {
      const optimizer = await createOptimizer(device, {
        rule: scheduleFreeAdamw(),
        params,
        lr: 0.1,
        ...(storage && { storage }),
      });
      for (let step = 1; step <= 3; step++) stepOne(optimizer, nearest("bf16", someValues(10 + step, 300)));
      const before = await optimizer.readParam("w");
      optimizer.eval();
      const shown = await optimizer.readParam("w");
      optimizer.train();
      expect(await optimizer.readParam("w")).toEqual(before);
      optimizer.destroy();
      return shown;
    };
    expect(await run({ params: "bf16" })).toEqual(nearest("bf16", await run()));
  });
});

function stepOne(optimizer: Optimizer, grad: Float32Array): void {
  optimizer.writeGrad("w", grad);
  optimizer.step();
}

describe("rounding by chance", () => {
  test.each(rows)(
    "$rule.definition.name: the float32 step, rounded by the hash of tensor, step and element",
    async (row) => {
      const device = await testDevice();
      const type = TYPES[(rows.indexOf(row) + 1) % 2]!;
      const sizes = [1, 5, 128, 300];
      const shapes = row.shape ? sizes.map((size) => row.shape!([size])) : sizes.map((size) => [size]);
      const problem: Problem = { row, shapes, tuning: { chunk: 128 }, options: row.movesWithoutLr ? {} : { lr: 0.01 } };
      const seed = 4_000_000_000;
      const storage: StorageOptions = { params: type, grads: "f32", master: false, seed };
      const chance = await start(device, { ...problem, options: { ...problem.options, storage } });
      const full = await start(device, problem);
      let moved = 0;
      for (let step = 1; step <= 3; step++) {
        // From the same parameters: of one step, the two differ by the rounding alone.
        for (const [k] of shapes.entries()) {
          const begin = await chance.readParam(nameOf(k));
          expect(begin).toEqual(nearest(type, begin));
          full.writeParam(nameOf(k), begin);
        }
        stepWith(chance, gradientsAt(problem, step));
        stepWith(full, gradientsAt(problem, step));
        for (const [k] of shapes.entries()) {
          const exact = await full.readParam(nameOf(k));
          const got = await chance.readParam(nameOf(k));
          expect(got, `${nameOf(k)} at step ${step}`).toEqual(roundedByChance(type, exact, seed, nameOf(k), step));
          got.forEach((x, i) => {
            if (x !== nearest(type, exact)[i]) moved += 1;
          });
        }
      }
      expect(moved).toBeGreaterThan(20);
      chance.destroy();
      full.destroy();
    },
  );

  const N = 2 ** 20;
  test.each([
    ["bf16", 1, 0.5],
    ["bf16", 1, 0.01],
    ["bf16", -(2 ** 68), 0.9],
    ["bf16", 2 ** -100, 1 / 3],
    ["f16", 1, 0.3],
    ["f16", -1000, 0.75],
    ["f16", 2 ** -14, 0.1],
    ["f16", 5 * 2 ** -24, 0.4],
    ["f16", 0, 0.2],
  ] as const)("%s: the mean of 2^20 draws around %d + %d of a unit is that", async (type, base, fraction) => {
    const device = await testDevice();
    const { decode, encode } = FORMATS[type];
    const half = new Uint16Array(encode(Float32Array.of(base)).buffer.slice(0));
    half[0]! += 1;
    const [low, high] = [base, decode(half.buffer, 0, 1)[0]!];
    const x = Math.fround(low + fraction * (high - low));
    const optimizer = await createOptimizer(device, {
      rule: sgd(),
      lr: 1,
      params: [{ name: "w", shape: [N], data: new Float32Array(N).fill(low) }],
      storage: { params: type, grads: "f32", master: false },
    });
    stepOne(optimizer, new Float32Array(N).fill(Math.fround(low - x)));
    const got = await optimizer.readParam("w");
    optimizer.destroy();
    expect(new Set(got)).toEqual(new Set([low, high]));
    const p = (x - low) / (high - low);
    const mean = got.reduce((sum, y) => sum + (y - low) / (high - low), 0) / N;
    const error = Math.sqrt((p * (1 - p)) / N);
    expect(Math.abs(mean - p)).toBeLessThan(3 * error);
    // Neighbours have nothing to do with each other: the correlation of independent draws is off by 1 / sqrt(N).
    for (const lag of [1, 2, 3, 4, 64, 256]) {
      let sum = 0;
      for (let i = lag; i < N; i++) sum += ((got[i] === high ? 1 : 0) - p) * ((got[i - lag] === high ? 1 : 0) - p);
      expect(Math.abs(sum / N / (p * (1 - p))), `lag ${lag}`).toBeLessThan(4 / Math.sqrt(N));
    }
  });

  test("steps far below a unit add up, which are lost to the nearest", async () => {
    const device = await testDevice();
    const size = 4096;
    const steps = 256;
    const data = new Float32Array(size).fill(1);
    const optimizer = await createOptimizer(device, {
      rule: sgd(),
      lr: 2 ** -14,
      params: [{ name: "w", shape: [size], data }],
      storage: { params: "bf16", master: false },
    });
    // A unit above 1 is 2^-7: one step is a 128th of it.
    optimizer.writeGrad("w", new Float32Array(size).fill(-1));
    for (let step = 0; step < steps; step++) optimizer.step();
    const got = await optimizer.readParam("w");
    optimizer.destroy();
    const mean = got.reduce((sum, x) => sum + x, 0) / size;
    const error = (2 ** -7 * Math.sqrt(steps * (1 / 128) * (127 / 128))) / Math.sqrt(size);
    expect(Math.abs(mean - (1 + steps * 2 ** -14))).toBeLessThan(3 * error);
    expect(nearest("bf16", Float32Array.of(1 + 2 ** -14))[0]).toBe(1);
  });

  test("the same bits in every run, after loading, in windows and buffers of the caller's; others with another seed", async () => {
    const device = await testDevice();
    const row = RULES.find(({ rule }) => rule.definition.name === "adamw")!;
    const shapes = SIZES.map((size) => [size]);
    const problem: Problem = { row, shapes, tuning: { chunk: 128 } };
    const run = async (storage: StorageOptions, more: Partial<Problem> = {}, until = 8) => {
      const optimizer = await start(device, { ...problem, ...more, options: { lr: 0.01, storage } });
      for (let step = 1; step <= until; step++) stepWith(optimizer, gradientsAt(problem, step));
      const state = await optimizer.stateDict();
      optimizer.destroy();
      return state;
    };
    const storage: StorageOptions = { params: "bf16", master: false, seed: 7 };
    const once = bitsOf(await run(storage));
    expect(bitsOf(await run(storage))).toEqual(once);
    expect(bitsOf(await run({ ...storage, seed: 8 }))).not.toEqual(once);
    const limits = { maxStorageBufferBindingSize: 2048, maxComputeWorkgroupsPerDimension: 2 };
    expect(bitsOf(await run(storage, { tuning: { chunk: 128, limits } }))).toEqual(once);

    const saved = await run(storage, {}, 5);
    const resumed = await start(device, { ...problem, seed: 99, options: { lr: 0.01, storage } });
    await resumed.loadStateDict(saved);
    for (let step = 6; step <= 8; step++) stepWith(resumed, gradientsAt(problem, step));
    expect(bitsOf(await resumed.stateDict())).toEqual(once);
    resumed.destroy();

    const { params, destroy } = attachHalves(device, problem);
    expect(bitsOf(await run(storage, { params }))).toEqual(once);
    destroy();
  });

  /** Tensors in bf16 in buffers of their own, with room for whole fours. */
  function attachHalves(device: GPUDevice, problem: Problem) {
    const buffers: GPUBuffer[] = [];
    const make = (data: Float32Array | undefined, size: number) => {
      const buffer = device.createBuffer({ size: Math.max(8, Math.ceil(size / 4) * 8), usage: 0x80 | 0x8 | 0x4 });
      if (data) device.queue.writeBuffer(buffer, 0, BF16_FORMAT.encode(data));
      buffers.push(buffer);
      return { buffer };
    };
    const data = initialData(problem);
    const params = problem.shapes.map(([size = 1], k) => ({
      name: nameOf(k),
      shape: [size],
      param: make(data[k], size),
      grad: make(undefined, size),
    }));
    return {
      params,
      destroy: () => {
        for (const buffer of buffers) buffer.destroy();
      },
    };
  }
});

describe("gradients", () => {
  test.each(TYPES)("%s: what is not finite skips the step and is counted", async (type) => {
    const device = await testDevice();
    const optimizer = await createOptimizer(device, {
      rule: adamw(),
      params: [{ name: "w", shape: [300] }],
      storage: { params: type },
      clip: { globalNorm: 1 },
      monitor: {},
    });
    const seenBy: { skipped: boolean; nonFinite: number }[] = [];
    optimizer.on("figures", ({ skipped, nonFinite }) => seenBy.push({ skipped, nonFinite }));
    const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, type === "f16" ? 65_520 : 3.4e38];
    for (const value of bad) {
      const grad = new Float32Array(300).fill(1);
      grad[299] = value;
      stepOne(optimizer, grad);
      await optimizer.flush();
    }
    stepOne(optimizer, new Float32Array(300).fill(type === "f16" ? 65_504 : 3.38e38));
    await optimizer.flush();
    expect(seenBy).toEqual([...bad.map(() => ({ skipped: true, nonFinite: 1 })), { skipped: false, nonFinite: 0 }]);
    expect((await optimizer.readState("w")).step).toBe(1);
    optimizer.destroy();
  });
});

describe("the engine around it", () => {
  test("a step makes nothing and takes as many dispatches as float32", async () => {
    const device = await testDevice();
    const calls = async (storage?: StorageOptions) => {
      const optimizer = await createOptimizer(device, {
        rule: adamw(),
        params: [
          { name: "w", shape: [64, 256] },
          { name: "b", shape: [7] },
        ],
        clip: { globalNorm: 1 },
        ...(storage && { storage }),
      });
      optimizer.step();
      const counter = countCalls(device);
      optimizer.step();
      const found = counter.stop();
      optimizer.destroy();
      return found;
    };
    expect(await calls({ params: "bf16" })).toEqual(await calls());
    expect(await calls({ params: "f16", master: false })).toEqual(await calls());
  });

  test("tensors say their types", async () => {
    const device = await testDevice();
    const params = [{ name: "w", shape: [6] }];
    const optimizer = await createOptimizer(device, { rule: sgd(), params, storage: { params: "bf16", grads: "f16" } });
    const { paramType, gradType, param, grad } = optimizer.tensor("w");
    expect([paramType, gradType, param.size, grad.size]).toEqual(["bf16", "f16", 16, 16]);
    expect(optimizer.tensors[0]!.paramType).toBe("bf16");
    optimizer.destroy();
  });

  test("what cannot be is refused", async () => {
    const device = await testDevice();
    const params = [{ name: "w", shape: [6] }];
    const refused = (storage: unknown, more: Partial<OptimizerOptions> = {}) =>
      expect(createOptimizer(device, { rule: sgd(), params, ...more, storage: storage as StorageOptions })).rejects;
    await refused({ params: "fp8" }).toThrow('sgd: storage.params must be "f32", "bf16" or "f16", got "fp8"');
    await refused({ grads: "f64" }).toThrow("sgd: storage.grads must be");
    await refused({ master: true }).toThrow("sgd: storage.master must not be given where params are f32");
    await refused({ params: "bf16", master: 1 }).toThrow("sgd: storage.master must be true or false");
    await refused({ params: "bf16", seed: 1 }).toThrow("sgd: storage.seed must be given only");
    await refused({ params: "bf16", master: false, seed: -1 }).toThrow("sgd: storage.seed must be a whole number in");
    await refused({ parameters: "bf16" }).toThrow("sgd: storage.parameters is no option");
    await refused("bf16").toThrow(OptionError);
    const buffer = device.createBuffer({ size: 12, usage: 0x80 });
    const attached = [{ name: "w", shape: [6], param: { buffer }, grad: { buffer } }];
    await refused({ params: "bf16" }, { params: attached }).toThrow("needs 16 bytes of its buffer");
    buffer.destroy();
    const model = sequential([4], [linear(2)]);
    const optimizer = { rule: sgd(), storage: { params: "bf16" } } as const;
    await expect(compile(device, model, { batchSize: 2, loss: crossEntropy(), optimizer })).rejects.toThrow(
      'compile: tensor("fc1.weight").paramType must be "f32", got "bf16"',
    );
  });
});
