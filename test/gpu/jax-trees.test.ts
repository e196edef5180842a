/** Names, trees, options and what is refused. */
import { devicePut, Array as JaxArray, jit, numpy as np, tree } from "@jax-js/jax";
import { beforeAll, describe, expect, test } from "vitest";
import {
  adamw,
  cosine,
  decayGroups,
  type Figures,
  LifecycleError,
  OptionError,
  StateDictError,
  sgd,
} from "../../src/index.ts";
import { fused, named } from "../../src/jax/index.ts";
import { array, jaxDevice, ramp, valuesOf } from "./jax-device.ts";

beforeAll(async () => {
  await jaxDevice();
});

const network = () => ({
  layers: [
    { w: array([3, 5]), b: array([5]) },
    { w: array([5, 2]), b: array([2]) },
  ],
});
const options = { lr: 0.1, weightDecay: 0.5 };
const adam = fused(adamw(), options);

async function valuesByName(params: unknown): Promise<Record<string, number[]>> {
  const leaves = tree.leaves(params as never) as JaxArray[];
  const names = named(params).map(({ name }) => name);
  const values = await Promise.all(leaves.map(async (leaf) => [...(await valuesOf(leaf))]));
  return Object.fromEntries(names.map((name, i) => [name, values[i]!]));
}

test("names are paths, for groups and decayGroups", async () => {
  const params = network();
  expect(named(params)).toEqual([
    { name: "layers.0.w", shape: [3, 5] },
    { name: "layers.0.b", shape: [5] },
    { name: "layers.1.w", shape: [5, 2] },
    { name: "layers.1.b", shape: [2] },
  ]);
  const before = await valuesByName(params);
  const solver = fused(adamw(), { lr: 0.1, groups: decayGroups(named(params), { weightDecay: 0.5 }) });
  const state = await solver.init(tree.ref(params));
  const zeros = { layers: params.layers.map(({ w, b }) => ({ w: np.zeros(w.shape), b: np.zeros(b.shape) })) };
  const [next] = solver.update(zeros, state, params);
  const after = await valuesByName(next);
  // Nothing but decay, and none of it for biases.
  expect(after["layers.0.b"]).toEqual(before["layers.0.b"]);
  const factor = 1 - 0.1 * 0.5;
  expect(after["layers.1.w"]).toEqual(before["layers.1.w"]!.map((x) => expect.closeTo(x * factor, 6)));
  state.dispose();
  tree.dispose(next);
});

test("a single array is a tree, and so are scalars and empty arrays", async () => {
  const solver = fused(sgd(), { lr: 1 });
  const state = await solver.init(array([2], [1, 2]));
  const [next] = solver.update(array([2], [1, 1]), state, array([2], [5, 6]));
  expect(await valuesOf(next)).toEqual(Float32Array.of(4, 5));
  state.dispose();

  const params = { scale: array([], [3]), none: array([0, 4], []) };
  const second = await solver.init(tree.ref(params));
  const [after] = solver.update({ scale: array([], [1]), none: array([0, 4], []) }, second, params);
  expect(await valuesOf(after.scale)).toEqual(Float32Array.of(2));
  second.dispose();
});

test("state belongs to names: other orders, other buffers, absent and new leaves", async () => {
  const value = { a: ramp(6, 1), b: ramp(6, 2), c: ramp(6, 3) };
  const slope = (name: string, step: number) => array([6], ramp(6, name.charCodeAt(0) + 31 * step));
  // What each does alone, with new arrays at every step.
  const alone: Record<string, number[]> = {};
  for (const [name, updates] of [
    ["a", [1, 2, 3, 4]],
    ["b", [1, 3, 4]],
    ["c", [3, 4]],
  ] as const) {
    const state = await adam.init({ [name]: array([6], value[name]) });
    let params: Record<string, JaxArray> = { [name]: array([6], value[name]) };
    for (const step of updates) {
      [params] = adam.update({ [name]: slope(name, step) }, state, params);
      // Moves to another buffer.
      params = { [name]: params[name]!.add(0) };
    }
    alone[name] = [...(await valuesOf(params[name]!))];
    state.dispose();
  }

  const a = array([6], value.a);
  const b = array([6], value.b);
  const state = await adam.init({ a: a.ref, b: b.ref });
  const [one] = adam.update({ a: slope("a", 1), b: slope("b", 1) }, state, { a, b });
  const [two] = adam.update({ b: null, a: slope("a", 2) }, state, { b: one.b, a: one.a });
  const c = array([6], value.c);
  await state.extend({ c: c.ref });
  const [three] = adam.update({ c: slope("c", 3), b: slope("b", 3), a: slope("a", 3) }, state, {
    c,
    b: two.b,
    a: two.a,
  });
  const [half] = adam.update({ b: slope("b", 4) }, state, { b: three.b });
  const [rest] = adam.update({ c: slope("c", 4), a: slope("a", 4) }, state, { c: three.c, a: three.a });
  expect(await valuesByName({ a: rest.a, b: half.b, c: rest.c })).toEqual(alone);
  expect(state.copies).toBe(0);
  state.dispose();
});

test("figures, groups and rates are those of the engine", async () => {
  const params = network();
  const solver = fused(adamw(), {
    lr: 0.1,
    groups: [{ match: "*.b", name: "biases", lr: 0 }],
    clip: { globalNorm: 1 },
    monitor: { every: 1 },
  });
  const state = await solver.init(tree.ref(params));
  expect(state.optimizer.groups).toEqual(["default", "biases"]);
  const seen: Figures[] = [];
  state.optimizer.on("figures", (f) => seen.push(f));
  const ones = () => tree.map((p: JaxArray) => np.ones(p.shape), params) as typeof params;
  let [next] = solver.update(ones(), state, params);
  state.optimizer.setGroup("default", { lr: 0 });
  const before = await valuesByName(next);
  [next] = solver.update(ones(), state, next);
  expect(await valuesByName(next)).toEqual(before);
  await state.optimizer.flush();
  expect(seen.map((f) => f.gradNorm)).toEqual([expect.closeTo(Math.sqrt(32), 4), expect.closeTo(Math.sqrt(32), 4)]);
  expect(seen[0]!.tensors["layers.0.b"]!.updateNorm).toBe(0);
  expect(seen[0]!.tensors["layers.0.w"]!.updateNorm).toBeGreaterThan(0);
  state.dispose();
  tree.dispose(next);
});

test("a saved run goes on bit for bit, in another state with other arrays", async () => {
  const grads = (step: number) => ({ w: array([4, 3], ramp(12, step)), b: array([3], ramp(3, step)) });
  const fresh = () => ({ w: array([4, 3]), b: array([3]) });
  const solver = fused(adamw({ amsgrad: true }), { lr: cosine(0.1, 9), clip: { globalNorm: 0.5 } });
  const state = await solver.init(fresh());
  let params = fresh();
  for (let step = 0; step < 3; step++) [params] = solver.update(grads(step), state, params);
  const saved = await state.stateDict(tree.ref(params));
  expect(saved.tensors.w!.step).toBe(3);
  for (let step = 3; step < 6; step++) [params] = solver.update(grads(step), state, params);
  state.dispose();

  const second = await solver.init(fresh());
  const others = fresh();
  let loaded = await second.loadStateDict(saved, tree.ref(others));
  expect(await valuesOf(others.b)).toEqual(ramp(3));
  for (let step = 3; step < 6; step++) [loaded] = solver.update(grads(step), second, loaded);
  expect(await valuesByName(loaded)).toEqual(await valuesByName(params));

  const before = await valuesByName(loaded);
  const { w } = saved.tensors;
  await expect(second.loadStateDict({ ...saved, tensors: { w: w! } }, tree.ref(loaded))).rejects.toThrow(
    StateDictError,
  );
  tree.dispose(loaded);
  expect(await valuesByName(loaded)).toEqual(before);
  second.dispose();
});

describe("refused, with nothing taken over:", () => {
  const state = async () => adam.init({ w: array([3]) });
  const good = () => array([3]);
  const expectUntouched = (...trees: unknown[]) => {
    const leaves = trees.flatMap((one) => tree.leaves(one as never) as unknown[]);
    for (const leaf of leaves) if (leaf instanceof JaxArray) expect(leaf.refCount).toBe(1);
  };

  const inits: [string, () => Promise<unknown> | unknown, RegExp][] = [
    [
      "an array on the CPU",
      () => devicePut({ w: good() }, "cpu"),
      /init: params\.w must be on the WebGPU backend .*got "cpu"/,
    ],
    [
      "an array in WebAssembly",
      () => devicePut({ w: good() }, "wasm"),
      /init: params\.w must be on the WebGPU .*got "wasm"/,
    ],
    [
      "whole numbers",
      () => ({ w: good().astype(np.int32) }),
      /init: params\.w must be float32 \(astype converts\), got "int32"/,
    ],
    ["a number", () => ({ w: 3 }), /init: params\.w must be an array of this @jax-js\/jax, got 3/],
    ["a typed array", () => ({ w: new Float32Array(3) }), /must be an array of this/],
    ["null", () => ({ w: null }), /must be an array of this/],
    ["no array at all", () => ({ layers: [] }), /init: params must hold at least one array/],
    [
      "two paths with one name",
      () => ({ "a.b": good(), a: { b: good() } }),
      /must be the only path with this name, got "a\.b"/,
    ],
  ];
  test.each(inits)("init of %s", async (_, make, message) => {
    const params = await make();
    const error = await adam.init(params).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(OptionError);
    expect((error as Error).message).toMatch(message);
    expectUntouched(params);
  });

  test("bad options, before anything is made", async () => {
    const params = { w: good() };
    const groups = [{ match: "w", betas: [0.9, 1.5] as [number, number] }];
    await expect(fused(adamw(), { groups }).init(params)).rejects.toThrow("betas[1] must be in [0, 1)");
    await expect(fused(adamw(), { lr: -1 }).init(params)).rejects.toThrow(OptionError);
    expect(() => fused(adamw(), null as never)).toThrow("fused: options must be an object, got null");
    expect(() => fused(adamw(), { params: [] } as never)).toThrow("fused: params must not be given: init() takes them");
    expect(params.w.refCount).toBe(1);
    expect(await valuesOf(params.w)).toEqual(ramp(3));
  });

  const updates: [string, () => { grads: unknown; params: unknown }, RegExp][] = [
    [
      "a gradient of another shape",
      () => ({ grads: { w: array([4]) }, params: { w: good() } }),
      /update: grads\.w must have shape \[3\], got \[4\]/,
    ],
    [
      "a parameter of another shape",
      () => ({ grads: { w: good() }, params: { w: array([1, 3]) } }),
      /params\.w must have shape \[3\]/,
    ],
    [
      "whole numbers",
      () => ({ grads: { w: array([3]).astype(np.int32) }, params: { w: good() } }),
      /grads\.w must be float32/,
    ],
    [
      "a path that is new",
      () => ({ grads: { w: good(), b: good() }, params: { w: good(), b: good() } }),
      /params must be among the paths of this state \(w\); extend\(\) adds others, got "b"/,
    ],
    ["a gradient that is missing", () => ({ grads: [], params: { w: good() } }), /grads must hold at least one/],
    ["a parameter that is missing", () => ({ grads: { w: good() }, params: {} }), /params must hold at least one/],
    ["a null parameter", () => ({ grads: { w: good() }, params: { w: null } }), /params\.w must be an array of this/],
  ];
  test.each(updates)("update with %s", async (_, make, message) => {
    const s = await state();
    const { grads, params } = make();
    const call = () => adam.update(grads as { w: JaxArray }, s, params as { w: JaxArray });
    expect(call).toThrow(OptionError);
    expect(call).toThrow(message);
    expectUntouched(grads, params);
    s.dispose();
  });

  test("arrays that have been used up or are handed over twice", async () => {
    const s = await state();
    const used = good();
    used.dispose();
    expect(() => adam.update({ w: good() }, s, { w: used })).toThrow(/params\.w must not have been used up/);
    const twice = good();
    expect(() => adam.update({ w: twice }, s, { w: twice })).toThrow(/grads\.w is passed twice: pass \.ref/);
    s.dispose();
  });

  test("a call under jit", async () => {
    const s = await state();
    const step = jit((g: { w: JaxArray }, p: { w: JaxArray }) => adam.update(g, s, p)[0]);
    expect(() => step({ w: good() }, { w: good() })).toThrow(
      /must be an array with values: call the optimizer outside of jit/,
    );
    s.dispose();
  });

  test("a state of something else, and one that is disposed of", async () => {
    expect(() => adam.update({ w: good() }, {} as never, { w: good() })).toThrow(/state must be what init\(\) gave/);
    const s = await state();
    s.dispose();
    s.dispose();
    expect(() => adam.update({ w: good() }, s, { w: good() })).toThrow(LifecycleError);
    expect(() => s.optimizer).toThrow(LifecycleError);
  });
});
