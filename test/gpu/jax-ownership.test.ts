import { blockUntilReady, type Array as JaxArray, jit, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import { beforeAll, describe, expect, test } from "vitest";
import { sgd } from "../../src/index.ts";
import { fused } from "../../src/jax/index.ts";
import { array, jaxDevice, valuesOf } from "./jax-device.ts";

// theta <- theta - g, exact for these numbers.
const solver = fused(sgd(), { lr: 1 });
const before = [1, 2, 3];
const grad = [0.5, 0.25, -1];
const after = [0.5, 1.75, 4];

beforeAll(async () => {
  await jaxDevice();
});

async function start() {
  const params = { w: array([3], before) };
  const state = await solver.init(tree.ref(params));
  return { params, state, grads: { w: array([3], grad) } };
}

describe("a parameter that nobody else holds", () => {
  test("is updated in place, and its gradient used up", async () => {
    const { params, state, grads } = await start();
    const buffer = params.w.ref.gpuBufferSync();
    const [next, same] = solver.update(grads, state, params);
    expect(next.w).toBe(params.w);
    expect(next.w.ref.gpuBufferSync()).toBe(buffer);
    expect(next.w.refCount).toBe(1);
    expect(same).toBe(state);
    expect(state.copies).toBe(0);
    expect(grads.w.refCount).toBe(0);
    expect(await valuesOf(next.w)).toEqual(Float32Array.from(after));
    state.dispose();
  });
});

describe("old values stay for whoever still needs them:", () => {
  const holders: [string, (w: JaxArray) => JaxArray, number[]][] = [
    ["another reference", (w) => w.ref, before],
    ["a view of the same memory", (w) => w.ref.reshape([3, 1]), before],
    ["an operation that is not evaluated", (w) => w.ref.mul(2), [2, 4, 6]],
    ["a chain of such operations", (w) => np.sum(w.ref.mul(w.ref)).add(1), [15]],
    ["a function under jit", (w) => jit((x: JaxArray) => x.mul(3))(w.ref), [3, 6, 9]],
  ];
  test.each(holders)("%s", async (_, hold, expected) => {
    const { params, state, grads } = await start();
    const held = hold(params.w);
    const [next] = solver.update(grads, state, params);
    expect(await valuesOf(next.w)).toEqual(Float32Array.from(after));
    expect(await valuesOf(held)).toEqual(Float32Array.from(expected));
    expect(state.copies).toBe(1);
    held.dispose();
    state.dispose();
  });

  test("what has been evaluated needs no copy", async () => {
    const { params, state, grads } = await start();
    const held = params.w.ref.mul(2);
    await blockUntilReady(held);
    const [next] = solver.update(grads, state, params);
    expect(state.copies).toBe(0);
    expect(await valuesOf(held)).toEqual(Float32Array.of(2, 4, 6));
    expect(await valuesOf(next.w)).toEqual(Float32Array.from(after));
    state.dispose();
  });
});

test("gradients that are still to be computed from the parameters see the old ones, and so does the loss", async () => {
  // With a term that reads the parameters directly: the loss is still pending when its gradients are not.
  const loss = (p: { w: JaxArray }, x: JaxArray) => np.sum(p.w.ref.mul(x)).add(np.sum(p.w.ref.mul(p.w)));
  const { params, state, grads } = await start();
  grads.w.dispose();
  const [value, slopes] = valueAndGrad(loss)(tree.ref(params), array([3], [1, 0, -1]));
  const [next] = solver.update(slopes, state, params);
  // d/dw = x + 2 w
  expect(await valuesOf(next.w)).toEqual(Float32Array.of(1 - 3, 2 - 4, 3 - 5));
  expect(await valuesOf(value)).toEqual(Float32Array.of(-2 + 14));
  state.dispose();
});

test("a parameter may be its own gradient", async () => {
  const { params, state, grads } = await start();
  grads.w.dispose();
  const [next] = solver.update(tree.ref(params), state, params);
  expect(await valuesOf(next.w)).toEqual(Float32Array.of(0, 0, 0));
  state.dispose();
});

test("one array in two places becomes two parameters", async () => {
  const w = array([3], before);
  const params = { a: w, b: w.ref };
  const state = await solver.init(tree.ref(params));
  const [next] = solver.update({ a: array([3], grad), b: array([3], [0, 0, 0]) }, state, params);
  expect(await valuesOf(next.a)).toEqual(Float32Array.from(after));
  expect(await valuesOf(next.b)).toEqual(Float32Array.from(before));
  state.dispose();
});

test("one gradient may serve two parameters", async () => {
  const params = { a: array([3], before), b: array([3], [0, 0, 0]) };
  const state = await solver.init(tree.ref(params));
  const g = array([3], grad);
  const [next] = solver.update({ a: g, b: g.ref }, state, params);
  expect(await valuesOf(next.a)).toEqual(Float32Array.from(after));
  expect(await valuesOf(next.b)).toEqual(Float32Array.of(-0.5, -0.25, 1));
  expect(g.refCount).toBe(0);
  state.dispose();
});

test("parameters and gradients that jax-js keeps as expressions or views are made real", async () => {
  const params = { constant: np.zeros([200]), turned: array([2, 3], [1, 2, 3, 4, 5, 6]).transpose() };
  const state = await solver.init(tree.ref(params));
  const grads = { constant: np.ones([200]), turned: array([2, 3], [1, 1, 1, 2, 2, 2]).transpose() };
  const [next] = solver.update(grads, state, params);
  expect(await valuesOf(next.constant)).toEqual(new Float32Array(200).fill(-1));
  expect(await valuesOf(next.turned)).toEqual(Float32Array.of(0, 2, 1, 3, 2, 4));
  state.dispose();
});

test("where jax-js does not show who holds an array, each is copied", async () => {
  const { Array: JaxArrayClass } = await import("@jax-js/jax");
  const { _realizeSource: original } = JaxArrayClass.prototype;
  try {
    JaxArrayClass.prototype._realizeSource = () => -1;
    const { params, state, grads } = await start();
    const held = params.w.ref.mul(2);
    const [next] = solver.update(grads, state, params);
    expect(state.copies).toBe(1);
    expect(await valuesOf(next.w)).toEqual(Float32Array.from(after));
    expect(await valuesOf(held)).toEqual(Float32Array.of(2, 4, 6));
    state.dispose();
  } finally {
    JaxArrayClass.prototype._realizeSource = original;
  }
});
