/** What the engine does beyond updates, through the adapter: bit for bit what it does in an arena on the same device. */
import { type Array as JaxArray, tree } from "@jax-js/jax";
import { beforeAll, describe, expect, test } from "vitest";
import { adamw, createOptimizer, type Rule, scheduleFreeAdamw, sophiag } from "../../src/index.ts";
import { type FusedOptions, fused } from "../../src/jax/index.ts";
import { array, jaxDevice, ramp, valuesOf } from "./jax-device.ts";

const SHAPES = { w: [5, 7], b: [7] };
type Params = Record<keyof typeof SHAPES, JaxArray>;
const NAMES = Object.keys(SHAPES) as (keyof Params)[];
const size = (name: keyof Params) => SHAPES[name].reduce((n, d) => n * d, 1);
const slope = (name: keyof Params, step: number) => ramp(size(name), step + name.length);
const treeOf = (values: (name: keyof Params) => Float32Array): Params => ({
  w: array(SHAPES.w, values("w")),
  b: array(SHAPES.b, values("b")),
});
const initial = (name: keyof Params) => ramp(size(name), name.charCodeAt(0));

let device: GPUDevice;

beforeAll(async () => {
  device = await jaxDevice();
});

async function both(rule: Rule, options: FusedOptions) {
  const params = NAMES.map((name) => ({ name, shape: SHAPES[name], data: initial(name) }));
  const arena = await createOptimizer(device, { ...options, rule, params });
  const solver = fused(rule, options);
  const own = treeOf(initial);
  const state = await solver.init(tree.ref(own));
  return {
    arena,
    state,
    params: own,
    write: (step: number) => {
      for (const name of NAMES) arena.writeGrad(name, slope(name, step));
      return treeOf((name) => slope(name, step));
    },
    step(step: number) {
      const grads = this.write(step);
      arena.step();
      [this.params] = solver.update(grads, state, this.params);
    },
    async expectEqual(params: Params) {
      for (const name of NAMES) expect(await valuesOf(params[name])).toEqual(await arena.readParam(name));
    },
    end() {
      arena.destroy();
      state.dispose();
    },
  };
}

describe("evalParams gives other values, and training goes on with its own:", () => {
  test.each<[string, Rule, FusedOptions]>([
    ["ema", adamw(), { lr: 0.1, ema: { decay: 0.8 } }],
    ["Schedule-Free", scheduleFreeAdamw(), { lr: 0.1 }],
    ["nothing to average", adamw(), { lr: 0.1 }],
  ])("%s", async (what, rule, options) => {
    const run = await both(rule, options);
    for (let step = 0; step < 5; step++) run.step(step);
    const evaluated = run.state.evalParams(tree.ref(run.params));
    run.arena.eval();
    await run.expectEqual(evaluated);
    run.arena.train();
    await run.expectEqual(run.params);
    const differs = (await valuesOf(evaluated.w)).join() !== (await valuesOf(run.params.w)).join();
    expect(differs).toBe(what !== "nothing to average");
    tree.dispose(evaluated);
    for (let step = 5; step < 8; step++) run.step(step);
    await run.expectEqual(run.params);
    expect(run.state.copies).toBe(0);
    run.end();
  });
});

test("estimate takes gradients into the state without an update", async () => {
  const run = await both(sophiag(), { lr: 0.1 });
  for (let step = 0; step < 6; step++) {
    if (step % 2 === 0) {
      const grads = run.write(50 + step);
      run.arena.estimate();
      run.state.estimate(grads, tree.ref(run.params));
      expect(grads.w.refCount).toBe(0);
    }
    run.step(step);
  }
  await run.expectEqual(run.params);
  expect(run.state.copies).toBe(0);
  run.end();
});

test("clipping, loss scale, accumulation and groups", async () => {
  const run = await both(adamw({ amsgrad: true }), {
    lr: (step) => 0.1 / (1 + step),
    clip: { globalNorm: 0.5, value: 0.2 },
    lossScale: 8,
    accumulate: 3,
    groups: [{ match: "b", weightDecay: 0, toward: "initial", lrScale: 2 }],
  });
  for (let step = 0; step < 9; step++) run.step(step);
  await run.expectEqual(run.params);
  run.end();
});
