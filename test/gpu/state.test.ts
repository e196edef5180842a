/** State dicts: what is in them, where they can be loaded, and that the run goes on as if it had never stopped. */

import { describe, expect, test } from "vitest";
import {
  adamw,
  createOptimizer,
  type Figures,
  LifecycleError,
  linear,
  type Optimizer,
  type OptimizerOptions,
  type StateDict,
  StateDictError,
  sgd,
} from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { adamw as adamwTwin } from "../reference/adam.ts";
import { sgd as sgdTwin } from "../reference/sgd.ts";
import { attach } from "./attached.ts";
import {
  bitsOf,
  criterionFor,
  expectPassed,
  gradientsAt,
  initialData,
  nameOf,
  type Problem,
  someValues,
  start,
  stepWith,
  Twins,
} from "./twin-run.ts";

const ADAMW = { rule: adamw(), twin: adamwTwin, options: {} };
const problem: Problem = {
  row: ADAMW,
  shapes: [[5], [2, 32], [65], [130], []],
  options: { lr: linear(0.1, 20), weightDecay: 0.1, skipNonFinite: true },
};

/** Steps with the events of a real run; those of a tensor that starts late, that pauses, and of a batch that is skipped. */
function run(optimizer: Optimizer, from: number, to: number): void {
  for (let step = from; step <= to; step++) {
    const grads: (Float32Array | null)[] = gradientsAt(problem, step);
    if (step === 2 || step === 9) grads[0]![0] = Number.NaN;
    if (step < 8) grads[2] = null;
    if (step % 4 === 0) grads[3] = null;
    stepWith(optimizer, grads);
  }
}

async function finish(optimizer: Optimizer): Promise<StateDict> {
  const state = await optimizer.stateDict();
  optimizer.destroy();
  return state;
}

async function stateAfter(device: GPUDevice, steps: number, one: Problem = problem): Promise<StateDict> {
  const optimizer = await start(device, one);
  run(optimizer, 1, steps);
  return finish(optimizer);
}

describe("a state dict", () => {
  test("has everything by name, exact: parameters, slots, counts, and options for people to read", async () => {
    const device = await testDevice();
    const options = { ...problem.options, lossScale: { initial: 4, growthInterval: 3 } };
    const state = await stateAfter(device, 5, { ...problem, options });
    expect(state).toMatchObject({
      format: "webgpu-optim/state",
      version: 1,
      rule: "adamw",
      stepsApplied: 4,
      stepsSkipped: 1,
      // Step 2 backs off, 3 to 5 are good.
      lossScale: { scale: 4, growthTracker: 0 },
    });
    const fractions = [0, 1, 2, 3].map((t) => linear(0.1, 20)(t) * 0.1);
    expect(state.groups).toEqual([
      {
        name: "default",
        tensors: ["t0", "t1", "t2", "t3", "t4"],
        lr: linear(0.1, 20)(4),
        weightDecay: 0.1,
        decayMode: "decoupled",
        hyper: { betas: [0.9, 0.999], eps: 1e-8, amsgrad: false, maximize: false },
        decayDose: fractions.reduce((sum, f) => sum + f),
      },
    ]);
    expect(Object.values(state.tensors).map((t) => t.step)).toEqual([4, 4, 0, 3, 4]);
    expect(state.tensors.t1!.shape).toEqual([2, 32]);
    expect(state.tensors.t4!.param).toHaveLength(1);
    expect(Object.keys(state.tensors.t0!.slots)).toEqual(["exp_avg", "exp_avg_sq"]);
    // A tensor without a gradient so far has its first values and no state.
    expect(state.tensors.t2!.param).toEqual(initialData(problem)[2]);
    expect(state.tensors.t2!.slots.exp_avg).toEqual(new Float32Array(65));
  });

  test("agrees with readParam and readState", async () => {
    const optimizer = await start(await testDevice(), problem);
    run(optimizer, 1, 4);
    const { tensors } = await optimizer.stateDict();
    expect(await optimizer.readParam("t3")).toEqual(tensors.t3!.param);
    expect(await optimizer.readState("t3")).toEqual(tensors.t3);
    optimizer.destroy();
  });

  test.each([[{}], [{ lossScale: { initial: 2 } }]])(
    "is of the moment at which it was asked for, whatever is stepped meanwhile: %j",
    async (more) => {
      const device = await testDevice();
      const one = { ...problem, options: { ...problem.options, ...more } };
      const optimizer = await start(device, one);
      run(optimizer, 1, 5);
      const asked = optimizer.stateDict();
      const [param, slots] = [optimizer.readParam("t0"), optimizer.readState("t0")];
      run(optimizer, 6, 8);
      const state = await asked;
      expect(await param).toEqual(state.tensors.t0!.param);
      expect(await slots).toEqual(state.tensors.t0);
      optimizer.destroy();
      expect(bitsOf(state)).toEqual(bitsOf(await stateAfter(device, 5, one)));
    },
  );

  test("cannot be taken between micro-batches", async () => {
    const optimizer = await start(await testDevice(), { ...problem, options: { accumulate: 2 } });
    optimizer.step();
    await expect(optimizer.stateDict()).rejects.toThrow(LifecycleError);
    optimizer.step();
    expect((await finish(optimizer)).stepsApplied).toBe(1);
  });
});

describe("loaded, the run goes on bit for bit", () => {
  const device = testDevice();
  const through = async (one: Problem, state: StateDict): Promise<ReturnType<typeof bitsOf>> => {
    const optimizer = await start(await device, one);
    await optimizer.loadStateDict(state);
    run(optimizer, 6, 12);
    return bitsOf(await finish(optimizer));
  };
  const saved = device.then((d) => stateAfter(d, 5));
  const unbroken = device.then(async (d) => bitsOf(await stateAfter(d, 12)));

  test("into other values, after a structured clone", async () => {
    expect(await through({ ...problem, seed: 3 }, structuredClone(await saved))).toEqual(await unbroken);
  });

  test("into buffers of the caller's, and into an arena of many windows", async () => {
    const attached = attach(await device, problem);
    expect(await through({ ...problem, params: attached.params }, await saved)).toEqual(await unbroken);
    expect(await attached.deadCanaries()).toEqual([]);
    attached.destroy();
    const limits = { maxStorageBufferBindingSize: 64 * 4 * 2 };
    expect(await through({ ...problem, tuning: { chunk: 64, limits } }, await saved)).toEqual(await unbroken);
  });

  test("into the optimizer itself, which goes back in time, figures too", async () => {
    const optimizer = await start(await device, { ...problem, options: { ...problem.options, monitor: {} } });
    const seen: Figures[] = [];
    optimizer.on("figures", (f) => seen.push(f));
    run(optimizer, 1, 5);
    const early = await optimizer.stateDict();
    run(optimizer, 6, 14);
    await optimizer.loadStateDict(early);
    seen.length = 0;
    run(optimizer, 6, 8);
    await optimizer.flush();
    expect(seen.map((f) => f.step)).toEqual([6, 7, 8]);
    run(optimizer, 9, 12);
    expect(bitsOf(await finish(optimizer))).toEqual(await unbroken);
  });

  test("with a frozen tensor, whose count stands still and goes on", async () => {
    const frozen = async (stop: boolean) => {
      let optimizer = await start(await device, problem);
      optimizer.freeze("t1");
      run(optimizer, 1, 5);
      if (stop) {
        const state = await finish(optimizer);
        optimizer = await start(await device, problem);
        optimizer.freeze("t1");
        await optimizer.loadStateDict(state);
      }
      run(optimizer, 6, 9);
      optimizer.unfreeze("t1");
      run(optimizer, 10, 12);
      return bitsOf(await finish(optimizer));
    };
    expect(await frozen(true)).toEqual(await frozen(false));
  });

  test.each([
    ["a static loss scale", { lossScale: 8 }],
    ["accumulation", { accumulate: 3 }],
    ["anchors", { toward: "initial", weightDecay: 0.3 }],
    ["dynamic loss scaling", { lossScale: { initial: 64, growthInterval: 2 }, clip: { tensorNorm: 1 } }],
  ] as [string, Partial<OptimizerOptions>][])("with %s", async (_, options) => {
    const one: Problem = { ...problem, row: { rule: sgd({ momentum: 0.9 }), twin: sgdTwin, options: {} }, options };
    const whole = await start(await device, one);
    const stopped = await start(await device, one);
    run(whole, 3, 5);
    run(stopped, 3, 5);
    const resumed = await start(await device, { ...one, seed: 7 });
    await resumed.loadStateDict(await finish(stopped));
    run(whole, 6, 8);
    run(resumed, 6, 8);
    expect(bitsOf(await finish(resumed))).toEqual(bitsOf(await finish(whole)));
  });

  test("hyper-parameters are left as they are", async () => {
    const optimizer = await start(await device, { ...problem, options: { lr: 0.7, weightDecay: 0.3 } });
    await optimizer.loadStateDict(await saved);
    expect((await finish(optimizer)).groups[0]).toMatchObject({ lr: 0.7, weightDecay: 0.3 });
  });
});

test("momentum may set in later: a group without it has no buffer, saved or not", async () => {
  const device = await testDevice();
  const row = { rule: sgd(), twin: sgdTwin, options: {} };
  const one: Problem = { row, shapes: [[70], [70]], groups: [{ lr: 0.1 }, { lr: 0.1, momentum: 0.9 }] };
  const twins = new Twins(one);
  let optimizer = await start(device, one);
  const comparison = criterionFor(device);
  for (let step = 1; step <= 8; step++) {
    if (step === 3) {
      const state = await finish(optimizer);
      expect(Object.keys(state.tensors.t0!.slots)).toEqual([]);
      optimizer = await start(device, { ...one, seed: 4 });
      await optimizer.loadStateDict(state);
    }
    if (step === 5) {
      optimizer.setGroup("g0", { momentum: 0.8 });
      twins.setGroup(0, { momentum: 0.8 });
    }
    stepWith(optimizer, gradientsAt(one, step));
    twins.step(gradientsAt(one, step));
    twins.compare(comparison, await optimizer.stateDict(), `step ${step}`);
  }
  optimizer.destroy();
  expectPassed(comparison);
});

test("what does not fit is refused with all differences, and nothing is changed", async () => {
  const device = await testDevice();
  const state = await stateAfter(device, 3);
  const { t0, t1, ...others } = state.tensors;
  const wrong = {
    ...state,
    rule: "sgd",
    stepsSkipped: -1,
    lossScale: { scale: 1, growthTracker: 0 },
    groups: [{ ...state.groups[0]!, name: "mine" }],
    tensors: {
      ...others,
      t1: { ...t1!, shape: [64], step: 9, slots: { exp_avg: t1!.slots.exp_avg!, momentum_buffer: t1!.param } },
      t4: { ...state.tensors.t4!, param: new Float32Array(2) },
      extra: t0!,
    },
  };
  const optimizer = await start(device, problem);
  run(optimizer, 1, 3);
  const error = await optimizer.loadStateDict(wrong).catch((e) => e);
  expect(error).toBeInstanceOf(StateDictError);
  expect(error.differences.map((d: string) => d.replace(/, got .*/, ""))).toEqual([
    "rule must be adamw",
    "stepsSkipped must be a whole number >= 0",
    "lossScale: this optimizer has no dynamic loss scale",
    "groups must be default",
    "tensors: extra is unknown here",
    "tensors: t0 is missing",
    "tensors: t1: shape must be [2,32]",
    "tensors: t1: step must be a whole number of at most stepsApplied",
    "tensors: t1: slots.exp_avg_sq must be a Float32Array of 64 elements",
    "tensors: t1: slots.momentum_buffer is unknown here",
    "tensors: t4: param must be a Float32Array of 1 elements",
  ]);
  await expect(optimizer.loadStateDict({ ...state, version: 2 as 1 })).rejects.toThrow("version must be 1, got 2");
  await expect(optimizer.loadStateDict(null as never)).rejects.toThrow(StateDictError);
  run(optimizer, 4, 6);
  expect(bitsOf(await finish(optimizer))).toEqual(bitsOf(await stateAfter(device, 6)));
});

test("writeParam and writeGrad take views of any buffer, exactly", async () => {
  const optimizer = await createOptimizer(await testDevice(), {
    rule: sgd(),
    params: [
      { name: nameOf(0), shape: [5] },
      { name: nameOf(1), shape: [3] },
    ],
    lr: 1,
  });
  const pool = someValues(0, 20);
  optimizer.writeParam("t0", pool.subarray(3, 8));
  optimizer.writeGrad("t1", pool.subarray(9, 12));
  optimizer.step();
  expect(await optimizer.readParam("t0")).toEqual(pool.slice(3, 8));
  expect(await optimizer.readParam("t1")).toEqual(pool.slice(9, 12).map((g) => -g));
  optimizer.destroy();
});
