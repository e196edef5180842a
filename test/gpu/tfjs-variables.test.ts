/** Variables come, go and change places; state belongs to their names. */
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  adam,
  adamw,
  createOptimizer,
  decayGroups,
  type Figures,
  LifecycleError,
  muon,
  OptionError,
  type Rule,
  StateDictError,
  sgd,
} from "../../src/index.ts";
import { type FusedOptimizer, type FusedOptions, fused, loadable } from "../../src/tfjs/index.ts";
import { testDevice } from "../browser/device.ts";
import { ramp, tfjsBackend, valuesOf, variable } from "./tfjs-backend.ts";

let tensorsBefore: number;
const made: FusedOptimizer[] = [];
async function make(rule: Rule, options: FusedOptions = {}): Promise<FusedOptimizer> {
  const optimizer = await fused(rule, options);
  made.push(optimizer);
  return optimizer;
}

beforeEach(async () => {
  await tfjsBackend();
  tensorsBefore = tf.memory().numTensors;
});

afterEach(() => {
  for (const optimizer of made.splice(0)) optimizer.dispose();
  tf.disposeVariables();
  expect(tf.memory().numTensors, "tensors left behind").toBe(tensorsBefore);
});

type Gradients = Readonly<Record<string, ArrayLike<number>>>;

function apply(optimizer: FusedOptimizer, gradients: Gradients): void {
  const named = Object.entries(gradients).map(([name, values]) => ({
    name,
    tensor: tf.tensor(Float32Array.from(values), tf.engine().registeredVariables[name]?.shape),
  }));
  try {
    optimizer.applyGradients(named);
  } finally {
    tf.dispose(named.map((g) => g.tensor));
  }
}

/** The same updates by the engine alone; gradients by step, a tensor that is absent has none. */
async function byEngine(
  rule: Rule,
  options: FusedOptions,
  initial: Gradients,
  steps: readonly Gradients[],
): Promise<Record<string, number[]>> {
  const optimizer = await createOptimizer(await testDevice(), {
    ...options,
    rule,
    params: Object.entries(initial).map(([name, values]) => ({
      name,
      shape: [values.length],
      data: Float32Array.from(values),
    })),
  });
  for (const gradients of steps) {
    for (const name of Object.keys(initial)) {
      const values = gradients[name];
      if (values) optimizer.writeGrad(name, Float32Array.from(values));
      else optimizer.withoutGrad(name);
    }
    optimizer.step();
  }
  const entries = Object.keys(initial).map(
    async (name): Promise<[string, number[]]> => [name, [...(await optimizer.readParam(name))]],
  );
  const result: Record<string, number[]> = Object.fromEntries(await Promise.all(entries));
  optimizer.destroy();
  return result;
}

const initial = { a: ramp(8, 1), b: ramp(5, 2), c: ramp(4, 3) };
const step = (k: number, ...names: (keyof typeof initial)[]): Gradients =>
  Object.fromEntries(names.map((name) => [name, ramp(initial[name].length, 10 * k + name.charCodeAt(0))]));
const options: FusedOptions = {
  lr: (k) => 0.1 / (k + 1),
  weightDecay: 0.1,
  groups: [{ match: "b", weightDecay: 0, lrScale: 2 }],
  clip: { globalNorm: 1 },
};
const makeVariables = () => {
  for (const [name, values] of Object.entries(initial)) variable(values, [values.length], name);
};
const current = async () => {
  const all = Object.entries(tf.engine().registeredVariables);
  return Object.fromEntries(await Promise.all(all.map(async ([name, v]) => [name, await valuesOf(v)] as const)));
};

test("late, absent and reordered variables get what the engine gives them, bit for bit", async () => {
  makeVariables();
  const optimizer = await make(adamw(), options);
  const steps = [
    step(1, "a", "b"),
    step(2, "b", "a"),
    step(3, "c", "a"),
    step(4, "b"),
    step(5, "c", "b", "a"),
    step(6, "a", "c"),
  ];
  for (const gradients of steps) apply(optimizer, gradients);
  expect(await current()).toEqual(await byEngine(adamw(), options, initial, steps));
  expect(optimizer.iterations).toBe(6);
  expect(optimizer.table()).toMatch(/^b +5 +b +0\.\d+ +0 +decoupled$/m);
});

test("the map form, and null for no gradient", async () => {
  makeVariables();
  const optimizer = await make(adam(), { lr: 0.1 });
  const steps = [step(1, "a", "b"), step(2, "a"), step(3, "a", "b")];
  for (const gradients of steps) {
    const map = Object.fromEntries(
      ["a", "b"].map((name) => [name, gradients[name] ? tf.tensor1d(Float32Array.from(gradients[name])) : null]),
    );
    optimizer.applyGradients(map as tf.NamedTensorMap);
    tf.dispose(map as tf.NamedTensorMap);
  }
  const { c: _c, ...ab } = initial;
  const { c: _still, ...got } = await current();
  expect(got).toEqual(await byEngine(adam(), { lr: 0.1 }, ab, steps));
});

test("a variable that is disposed of leaves the others alone, and one of its name goes on with its state", async () => {
  makeVariables();
  const optimizer = await make(adam(), { lr: 0.1 });
  const steps = [step(1, "a", "b", "c"), step(2, "b", "c"), step(3, "b", "c"), step(4, "a", "b", "c")];
  apply(optimizer, steps[0]!);
  const a = tf.engine().registeredVariables.a!;
  const kept = await a.data();
  a.dispose();
  // What TF.js makes of a's buffer now must not be written to.
  const others = [1, 2, 3].map((x) => tf.tidy(() => tf.fill([8], x).mul(1)));
  apply(optimizer, steps[1]!);
  apply(optimizer, steps[2]!);
  for (const [i, other] of others.entries()) expect(await valuesOf(other)).toEqual(Array(8).fill(i + 1));
  variable(kept, [8], "a");
  apply(optimizer, steps[3]!);
  expect(await current()).toEqual(await byEngine(adam(), { lr: 0.1 }, initial, steps));
  tf.dispose(others);
});

test("micro-batches: a variable that has a gradient in one of them takes part", async () => {
  makeVariables();
  const optimizer = await make(sgd({ momentum: 0.5 }), { lr: 0.1, accumulate: { microBatches: 2, reduce: "sum" } });
  apply(optimizer, step(1, "a", "b"));
  apply(optimizer, step(2, "a", "c"));
  apply(optimizer, step(3, "b"));
  apply(optimizer, step(4, "b"));
  const sum = (x: ArrayLike<number>, y: ArrayLike<number>) => Array.from(x, (v, i) => Math.fround(v + (y[i] ?? 0)));
  const expected = await byEngine(sgd({ momentum: 0.5 }), { lr: 0.1 }, initial, [
    { a: sum(step(1, "a").a!, step(2, "a").a!), b: step(1, "b").b!, c: step(2, "c").c! },
    { b: sum(step(3, "b").b!, step(4, "b").b!) },
  ]);
  expect(await current()).toEqual(expected);
});

test("figures name the variables and nothing else", async () => {
  makeVariables();
  const optimizer = await make(adamw(), { ...options, monitor: { every: 1 } });
  const seen: Figures[] = [];
  optimizer.on("figures", (figures) => void seen.push(figures));
  apply(optimizer, step(1, "a", "b"));
  await optimizer.flush();
  apply(optimizer, step(2, "c"));
  await optimizer.flush();
  expect(seen.map((f) => f.step)).toEqual([1, 2]);
  expect(Object.keys(seen[0]!.tensors)).toEqual(["a", "b"]);
  const norm = (...of: ArrayLike<number>[]) => Math.hypot(...of.flatMap((values) => Array.from(values)));
  expect(seen[0]!.gradNorm).toBeCloseTo(norm(step(1, "a").a!, step(1, "b").b!), 5);
  expect(seen[1]!.tensors.c!.gradNorm).toBeCloseTo(norm(step(2, "c").c!), 5);
  expect(optimizer.figuresDropped).toBe(0);
});

test("options change between steps", async () => {
  const w = variable([0, 0], [2], "w");
  const optimizer = await make(sgd(), { lr: 1, groups: [{ match: "w", name: "mine" }] });
  apply(optimizer, { w: [1, 1] });
  optimizer.setLearningRate(0.5);
  apply(optimizer, { w: [1, 1] });
  optimizer.setGroup("mine", { lr: 0.25 });
  apply(optimizer, { w: [1, 1] });
  expect(await valuesOf(w)).toEqual([-1.75, -1.75]);
});

test("a step that is skipped on the GPU changes nothing", async () => {
  makeVariables();
  const before = await current();
  const optimizer = await make(adamw(), options);
  apply(optimizer, { a: Array(8).fill(Number.NaN), b: ramp(5) });
  expect(await current()).toEqual(before);
});

test("decay toward the initial values, of a variable that is computed when it comes", async () => {
  const w = tf.tidy(() => tf.variable(tf.tensor1d([1, 2, 3, 4]).mul(2) as tf.Tensor1D, true, "w"));
  const optimizer = await make(sgd(), { lr: 0.5, toward: "initial", weightDecay: 1 });
  apply(optimizer, { w: [4, 4, 4, 4] });
  apply(optimizer, { w: [0, 0, 0, 0] });
  // 2, 4, 6, 8 minus 2, and half the way back.
  expect(await valuesOf(w)).toEqual([1, 3, 5, 7]);
});

test("decay toward given values", async () => {
  const w = variable([0, 0], [2], "w");
  const optimizer = await make(sgd(), { lr: 0.5, weightDecay: 1, toward: { w: Float32Array.of(8, 16) } });
  apply(optimizer, { w: [0, 0] });
  expect(await valuesOf(w)).toEqual([4, 8]);
});

test("decayGroups takes variables", async () => {
  const kernel = variable(ramp(6), [2, 3], "dense_Dense1/kernel");
  const bias = variable(ramp(3), [3], "dense_Dense1/bias");
  const optimizer = await make(adamw(), { groups: decayGroups([kernel, bias], { weightDecay: 0.5 }) });
  apply(optimizer, { [kernel.name]: ramp(6), [bias.name]: ramp(3) });
  expect(optimizer.table()).toMatch(/^dense_Dense1\/kernel .* decay +0.001 +0.5 /m);
  expect(optimizer.table()).toMatch(/^dense_Dense1\/bias .* noDecay +0.001 +0 /m);
});

test("refusals change nothing", async () => {
  makeVariables();
  const whole = tf.tidy(() => tf.variable(tf.tensor1d([1, 2], "int32"), true, "whole"));
  const optimizer = await make(sgd(), { lr: 1 });
  apply(optimizer, step(1, "a"));
  const before = await current();
  const ones = tf.ones([8]);
  const gone = tf.ones([8]);
  gone.dispose();
  const list = (...names: string[]) => names.map((name) => ({ name, tensor: ones }));
  const refused: [() => void, RegExp][] = [
    [
      () => optimizer.applyGradients(list("a", "nobody")),
      /applyGradients: gradients must be of variables, got "nobody"/,
    ],
    [() => optimizer.applyGradients(list("a", "a")), /must name each variable once, got "a"/],
    [() => optimizer.applyGradients(list("a", "b")), /gradient of b must have shape \[5\], got \[8\]/],
    [() => optimizer.applyGradients({ a: ones, whole }), /whole must be float32, got "int32"/],
    [() => optimizer.applyGradients({ a: gone }), /gradient of a must not be disposed of/],
    [() => optimizer.applyGradients(null as never), /gradients must be tensors by name, or a list/],
    [() => optimizer.applyGradients([{ nam: "a" }] as never), /gradients\[0\] must be \{ name, tensor \}/],
    [() => optimizer.setLearningRate(undefined as never), /setLearningRate: lr must be a number or a schedule/],
  ];
  for (const [call, message] of refused) {
    expect(call).toThrow(OptionError);
    expect(call).toThrow(message);
  }
  tf.engine().registeredVariables.a!.dispose();
  variable([1, 2], [2], "a");
  expect(() => apply(optimizer, { a: [1, 1] })).toThrow(
    /a must have shape \[8\], since a variable of this name had it/,
  );
  const { a: _a, ...rest } = await current();
  const { a: _b, ...restBefore } = before;
  expect(rest).toEqual(restBefore);
  tf.dispose([ones, whole]);
});

test("bad options are refused by their names", async () => {
  await expect(fused(adamw(), { lr: -1 })).rejects.toThrow(/adamw: lr must be/);
  await expect(fused(adamw(), { bogus: 1 } as FusedOptions)).rejects.toThrow(/bogus is no option/);
  await expect(fused(adamw(), { params: [] } as FusedOptions)).rejects.toThrow(/fused: params must not be given/);
  await expect(fused(adamw(), { lossScale: 8 } as FusedOptions)).rejects.toThrow(/fused: lossScale must not be given/);
  await expect(fused(muon())).rejects.toThrow(/fused: rule must not be one that orthogonalizes matrices.*got "muon"/);
  expect(() => loadable(adamw as never)).toThrow(/loadable: rules must be rules such as adamw\(\)/);
});

test("after dispose every call says so, and variables stay", async () => {
  const w = variable([1, 2], [2], "w");
  const optimizer = await fused(sgd(), { lr: 1 });
  apply(optimizer, { w: [1, 1] });
  optimizer.dispose();
  optimizer.dispose();
  expect(() => apply(optimizer, { w: [1, 1] })).toThrow(LifecycleError);
  await expect(optimizer.getWeights()).rejects.toThrow(/disposed of/);
  expect(await valuesOf(w)).toEqual([0, 1]);
});

test("weights that do not fit are told in time", async () => {
  makeVariables();
  const first = await make(adam());
  apply(first, step(1, "a", "b"));
  const weights = await first.getWeights();
  const other = await make(adam());
  await other.setWeights(weights);
  const before = await current();
  expect(() => apply(other, step(2, "a", "b", "c"))).toThrow(StateDictError);
  expect(await current()).toEqual(before);
  const momentum = await make(sgd({ momentum: 0.9 }));
  await momentum.setWeights(weights);
  expect(() => apply(momentum, step(2, "a", "b"))).toThrow(/exp_avg/);
  await expect(first.setWeights(weights.slice(1))).rejects.toThrow(/first weight must be iter/);
  await expect(first.setWeights(null as never)).rejects.toThrow(/first weight must be iter/);
  await expect(first.setWeights([weights[0]!, {} as never])).rejects.toThrow(/weight 1 must be \{ name, tensor \}/);
  // Nothing is loaded in part: not the state without the variables either.
  const saved = await first.stateDict();
  const short = { ...saved.tensors, b: { ...saved.tensors.b!, param: new Float32Array(2) } };
  await expect(first.loadStateDict({ ...saved, tensors: short })).rejects.toThrow(
    /b: param must be a Float32Array of 5/,
  );
  await expect(first.loadStateDict({} as never)).rejects.toThrow(StateDictError);
  expect(await first.stateDict()).toEqual(saved);
});

test("a state dict holds variables and state; another optimizer goes on from it, bit for bit", async () => {
  makeVariables();
  const first = await make(adamw(), options);
  apply(first, step(1, "a", "b", "c"));
  apply(first, step(2, "a"));
  const dict = await first.stateDict();
  expect(Object.keys(dict.tensors)).toEqual(["a", "b", "c"]);
  expect(dict.tensors.b?.step).toBe(1);
  expect([...dict.tensors.c!.param]).toEqual((await current()).c);
  apply(first, step(3, "b", "a"));
  const expected = await current();
  const after = await first.stateDict();
  // Back to where it was: for the same optimizer, and for one that knows no variable yet.
  for (const optimizer of [first, await make(adamw(), options)]) {
    await optimizer.loadStateDict(dict);
    expect((await current()).a).toEqual([...dict.tensors.a!.param]);
    apply(optimizer, step(3, "b", "a"));
    expect(await current()).toEqual(expected);
    expect(await optimizer.stateDict()).toEqual(after);
    expect(optimizer.iterations).toBe(3);
  }
});

test("a variable that has become its own gradient", async () => {
  const w = variable([1, 2, 3, 4], [4], "w");
  const optimizer = await make(sgd(), { lr: 1 });
  const gradient = tf.tensor1d([5, 6, 7, 8]);
  optimizer.applyGradients({ w: gradient });
  w.assign(gradient);
  gradient.dispose();
  expect([...((await optimizer.stateDict()).tensors.w?.param ?? [])]).toEqual([5, 6, 7, 8]);
  optimizer.applyGradients({ w });
  expect(await valuesOf(w)).toEqual([0, 0, 0, 0]);
});

test("weights: in a step of the run, before the first, and again without a leak", async () => {
  makeVariables();
  const first = await make(adamw(), options);
  apply(first, step(1, "a", "b", "c"));
  apply(first, step(2, "a", "c"));
  const names = async (optimizer: FusedOptimizer) => (await optimizer.getWeights()).map((w) => w.name);
  const all = ["iter", "a/m", "b/m", "c/m", "a/v", "b/v", "c/v", "webgpu-optim"];
  expect(await names(first)).toEqual(all);
  const { numTensors } = tf.memory();
  for (let i = 0; i < 3; i++) await first.getWeights();
  expect(tf.memory().numTensors).toBe(numTensors);
  const fresh = await make(adamw(), options);
  await fresh.setWeights(await first.getWeights());
  // What waits for the first step is not lost on the way.
  expect(await names(fresh)).toEqual(all);
  await expect(fresh.stateDict()).rejects.toThrow(LifecycleError);
  const before = await current();
  apply(first, step(3, "b"));
  const expected = await current();
  for (const [name, values] of Object.entries(before))
    tf.tidy(() => tf.engine().registeredVariables[name]?.assign(tf.tensor1d(values)));
  // Only b has a gradient; the state of the others is there for later.
  apply(fresh, step(3, "b"));
  expect(await current()).toEqual(expected);
  apply(fresh, step(4, "c", "a"));
  const steps = Object.entries((await fresh.stateDict()).tensors).map(([name, t]) => [name, t.step]);
  expect(Object.fromEntries(steps)).toEqual({ a: 3, b: 2, c: 3 });
});
