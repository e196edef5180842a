/** Weight decay: every rule with every mode against the twin, and what the modes mean for training. */

import { describe, expect, test } from "vitest";
import {
  adam,
  adamw,
  cosine,
  createOptimizer,
  type DecayMode,
  delay,
  type Figures,
  linear,
  type Optimizer,
  type OptimizerOptions,
  sgd,
  warmup,
} from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { RULES } from "../rules-table.ts";
import quadraticWgsl from "./quadratic.wgsl?raw";
import { expectTwinRun, type SharedGroup, someValues } from "./twin-run.ts";

const MODES: readonly DecayMode[] = ["coupled", "decoupled", "scheduled", "independent", "proximal"];
/** Rounding of one operation in float32, relative. */
const HALF_ULP = 2 ** -24;
const ZERO = new Float32Array(1);

/** An optimizer of one weight tensor `w`, without gradient unless one is written. */
async function weights(data: readonly number[], options: Omit<OptimizerOptions, "params">): Promise<Optimizer> {
  const params = [{ name: "w", shape: [data.length], data: Float32Array.from(data) }];
  return createOptimizer(await testDevice(), { ...options, params });
}

async function valuesAfter(optimizer: Optimizer, steps: number): Promise<Float32Array> {
  for (let i = 0; i < steps; i++) optimizer.step();
  const values = await optimizer.readParam("w");
  optimizer.destroy();
  return values;
}

/** Steps on the loss a/2 (w - w*)^2, whose gradients a kernel computes from the weights on the GPU. */
async function settle(optimizer: Optimizer, minima: readonly number[], steps: number, curvature = 1) {
  const { device } = optimizer;
  const { param, grad } = optimizer.tensor("w");
  const goal = device.createBuffer({ size: minima.length * 4, usage: 0x80 | 0x8 /* STORAGE, COPY_DST */ });
  device.queue.writeBuffer(goal, 0, Float32Array.from(minima));
  const module = device.createShaderModule({ code: quadraticWgsl });
  const compute = { module, constants: { CURVATURE: curvature } };
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute });
  const entries = [param, grad, { buffer: goal }].map((resource, binding) => ({ binding, resource }));
  const bindings = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  for (let i = 0; i < steps; i++) {
    optimizer.step((encoder) => {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindings);
      pass.dispatchWorkgroups(Math.ceil(minima.length / 64));
      pass.end();
    });
  }
  const values = await valuesAfter(optimizer, 0);
  goal.destroy();
  return values;
}

/** Within `relative` of the largest expected value. */
function expectClose(actual: ArrayLike<number>, expected: readonly number[], relative: number): void {
  const tolerance = relative * Math.max(...expected.map(Math.abs));
  expected.forEach((v, i) => {
    expect(Math.abs(actual[i]! - v), `[${i}]: ${actual[i]} instead of ${v}`).toBeLessThanOrEqual(tolerance);
  });
}

describe.each(RULES)("$name follows its twin in every mode", (row) => {
  const lr = (t: number) => 0.1 * (1 - t / 40);
  const weightDecay = linear(0.5, 20, { startFactor: 1, endFactor: 0.1 });

  test("plain, with a schedule of decay", async () => {
    const groups = MODES.map((decayMode): SharedGroup => ({ ...row.options, lr, weightDecay, decayMode }));
    await expectTwinRun(await testDevice(), { row, shapes: groups.map(() => row.shape?.([37]) ?? [37]), groups }, 20);
  });

  test("with cautious, toward, l1, and all of them at once", async () => {
    const groups: SharedGroup[] = [];
    for (const decayMode of MODES) {
      for (const cautious of [false, true]) {
        for (const toward of [undefined, "initial", "given"] as const) {
          for (const l1 of [0, linear(0.1, 20, { startFactor: 0.1, endFactor: 1 })]) {
            // Decay that is part of the gradient cannot wait for the update.
            if (cautious && decayMode === "coupled") continue;
            const given = toward === "given" ? { [`t${groups.length}`]: someValues(groups.length, 37) } : toward;
            groups.push({ ...row.options, lr, weightDecay, decayMode, cautious, toward: given, l1 });
          }
        }
      }
    }
    expect(groups).toHaveLength(54);
    // A sparse gradient leaves weights to decay alone.
    const gradient = () => ({ kind: "sparse", scale: 1, zero: 40 }) as const;
    await expectTwinRun(
      await testDevice(),
      { row, shapes: groups.map(() => row.shape?.([37]) ?? [37]), groups, gradient },
      20,
    );
  });
});

describe("coupled and decoupled", () => {
  test("are the same for SGD without momentum, under a schedule of lr too: decay follows lr", async () => {
    const device = await testDevice();
    const lr = warmup(5, cosine(0.3, 20));
    const run = async (decayMode: DecayMode) => {
      const optimizer = await createOptimizer(device, {
        rule: sgd(),
        params: [{ name: "w", shape: [100], data: someValues(0, 100) }],
        lr,
        weightDecay: 0.2,
        decayMode,
      });
      for (let step = 1; step <= 20; step++) {
        optimizer.writeGrad("w", someValues(step, 100));
        optimizer.step();
      }
      return valuesAfter(optimizer, 0);
    };
    const [coupled, decoupled, independent] = await Promise.all(
      (["coupled", "decoupled", "independent"] as const).map(run),
    );
    const largest = Math.max(...coupled!.map(Math.abs));
    const difference = (other: Float32Array) => Math.max(...coupled!.map((x, i) => Math.abs(x - other[i]!)));
    // Each of 20 steps rounds theta once and the update a few times, with weights and updates below twice the largest.
    expect(difference(decoupled!)).toBeLessThanOrEqual(20 * 4 * HALF_ULP * largest);
    expect(difference(independent!)).toBeGreaterThan(0.1 * largest);
  });

  test("differ by 1 - mu for SGD with momentum mu: the buffer repeats what coupled decay has put in", async () => {
    const [mu, lr, weightDecay] = [0.9, 0.001, 0.1];
    const rate = async (decayMode: DecayMode) => {
      const options = { rule: sgd({ momentum: mu }), lr, weightDecay, decayMode };
      const early = await valuesAfter(await weights([1], options), 100);
      const late = await valuesAfter(await weights([1], options), 500);
      return Math.log(early[0]! / late[0]!) / 400;
    };
    const coupled = await rate("coupled");
    // theta_t+1 - (1 + mu - lr lambda) theta_t + mu theta_t-1 = 0: the slower of two modes remains.
    const trace = 1 + mu - lr * weightDecay;
    const root = (trace + Math.sqrt(trace ** 2 - 4 * mu)) / 2;
    // 1e-4 of theta is 1700 half-ulps, and rounding goes both ways.
    expectClose([coupled], [-Math.log(root)], 1e-3);
    const decoupled = await rate("decoupled");
    expectClose([decoupled], [-Math.log1p(-lr * weightDecay)], 1e-3);
    expectClose([decoupled / coupled], [1 - mu], 0.01);
  });

  test("differ for Adam by the preconditioner: coupled decay is weak where gradients have been large", async () => {
    const [lr, weightDecay] = [0.01, 0.1];
    const run = async (decayMode: DecayMode) => {
      const rule = adam({ betas: [0, 0.999], eps: 0 });
      const optimizer = await weights([1, 1], { rule, lr, weightDecay, decayMode });
      const state = await optimizer.stateDict();
      // v such that 1 / sqrt(v) is diag(0.5, 2) after this step, and so many steps behind it that no correction is left.
      const v = [4, 0.25].map((x) => (x - (decayMode === "coupled" ? 0.001 * weightDecay ** 2 : 0)) / 0.999);
      const slots = { exp_avg: new Float32Array(2), exp_avg_sq: Float32Array.from(v) };
      const w = { ...state.tensors.w!, step: 100_000, slots };
      await optimizer.loadStateDict({ ...state, stepsApplied: 100_000, tensors: { w } });
      return valuesAfter(optimizer, 1);
    };
    const step = lr * weightDecay;
    expectClose(await run("coupled"), [1 - 0.5 * step, 1 - 2 * step], 2 * HALF_ULP);
    expectClose(await run("decoupled"), [1 - step, 1 - step], 2 * HALF_ULP);
  });
});

describe("where training settles", () => {
  const minima = [1, -2, 0.5, 3, 0];

  test.each([
    ["coupled", 0.2, 0.2],
    ["decoupled", 0.2, 0.2],
    ["proximal", 0.2, 0.2],
    ["scheduled", 0.02, 0.2],
    ["independent", 0.02, 0.2],
  ] as const)("SGD, %s: at the minimum of the loss plus alpha/2 w^2", async (decayMode, weightDecay, alpha) => {
    // alpha = lambda where decay is multiplied by lr, lambda / lr where it is not.
    const [lr, a] = [0.1, 2];
    const optimizer = await weights([5, 5, 5, 5, 5], { rule: sgd(), lr, weightDecay, decayMode });
    // 0.78^100 = 2e-11; what remains is rounding, which the contraction keeps at a few half-ulps.
    const settled = await settle(optimizer, minima, 100, a);
    expectClose(
      settled,
      minima.map((w) => (a * w) / (a + alpha)),
      16 * HALF_ULP,
    );
  });

  test("AdamW, without noise: at the minimum of the loss, but within 1 / lambda", async () => {
    const data = [0, 0, 0, 0];
    // The last steps of the cosine are short enough for 1e-3.
    const options = { rule: adamw({ betas: [0.9, 0.95] }), lr: cosine(0.1, 600), weightDecay: 2 };
    const settled = await settle(await weights(data, options), [-3, 3, 0.3, -0.2], 600);
    expectClose(settled, [-0.5, 0.5, 0.3, -0.2], 1e-3);
  });

  test("Adam with coupled decay, without noise: at the minimum of the loss plus lambda/2 w^2", async () => {
    const options = { rule: adam({ betas: [0.9, 0.95] }), lr: cosine(0.1, 600), weightDecay: 2 };
    const settled = await settle(await weights([0, 0, 0, 0], options), [-3, 3, 0.3, -0.2], 600);
    expectClose(settled, [-1, 1, 0.1, -0.2 / 3], 1e-3);
  });
});

describe("decay over time", () => {
  test("sets in late, rises and falls by schedules", async () => {
    const lr = 0.5;
    const schedule = delay(5, warmup(5, cosine(0.4, 15)));
    const optimizer = await weights([1], { rule: sgd(), lr, weightDecay: schedule, decayMode: "decoupled" });
    const course: number[] = [1];
    for (let t = 0; t < 20; t++) {
      optimizer.step();
      course.push((await optimizer.readParam("w"))[0]!);
    }
    optimizer.destroy();
    expect(course.slice(0, 7)).toEqual([1, 1, 1, 1, 1, 1, 1]);
    const fractions = course.slice(1).map((w, t) => 1 - w / course[t]!);
    // 1 - w' / w has the rounding of w', absolutely.
    fractions.forEach((f, t) => {
      expect(Math.abs(f - lr * schedule(t))).toBeLessThan(4 * HALF_ULP);
    });
    const peak = fractions.indexOf(Math.max(...fractions));
    expect(peak).toBe(10);
  });

  test.each([
    ["coupled", () => null],
    ["decoupled", (lr: number, lambda: number) => lr * lambda],
    ["scheduled", (lr: number, lambda: number) => (lr / 0.5) * lambda],
    ["independent", (_: number, lambda: number) => lambda],
    ["proximal", (lr: number, lambda: number) => (lr * lambda) / (1 + lr * lambda)],
  ] as const)("figures of %s: fraction, dose and memory, in float64", async (decayMode, fractionOf) => {
    const lr = linear(0.5, 10, { startFactor: 1, endFactor: 0.1 });
    const weightDecay = linear(0.1, 10, { startFactor: 0.3, endFactor: 1 });
    const options = { rule: sgd(), lr, weightDecay, decayMode, skipNonFinite: true, monitor: {} };
    const optimizer = await weights([1], options);
    const got: Figures[] = [];
    optimizer.on("figures", (figures) => got.push(figures));
    for (let step = 1; step <= 10; step++) {
      optimizer.writeGrad("w", step === 1 || step === 4 || step === 5 ? Float32Array.of(Number.NaN) : ZERO);
      optimizer.step();
      await optimizer.flush();
    }
    const saved = await optimizer.stateDict();
    optimizer.destroy();

    let dose = 0;
    let applied = 0;
    for (const figures of got) {
      expect(figures.skipped).toBe([1, 4, 5].includes(figures.step));
      const fraction = fractionOf(lr(applied), weightDecay(applied));
      if (!figures.skipped) {
        dose += fraction ?? 0;
        applied++;
      }
      const { default: group } = figures.groups;
      expect(group).toMatchObject({
        decayFraction: fraction,
        decayDose: fraction === null ? null : dose,
        decayMemory: fraction === null ? null : 1 / fraction,
      });
    }
    expect(got).toHaveLength(10);
    expect(saved.groups[0]!.decayDose).toBe(decayMode === "coupled" ? null : dose);
  });
});
