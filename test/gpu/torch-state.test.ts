/** State dicts in PyTorch's structure: what `torch.optim.X.state_dict()` of PyTorch 1.13 gives, both ways, for every rule it has. */
import { describe, expect, test } from "vitest";
import {
  CheckpointError,
  type FromTorchOptions,
  fromTorch,
  fromTorchGroup,
  type TorchStateDict,
  type TorchTensor,
  type TorchValue,
  toTorch,
} from "../../src/checkpoint/index.ts";
import * as library from "../../src/index.ts";
import { createOptimizer, type Optimizer, type Rule, type StateDict } from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import golden from "../golden/state_dict.json";
import { elementCount, gradient, initialValues, type ValueSpec } from "../reference/prng.ts";
import { criterionFor, expectPassed } from "./twin-run.ts";

interface Case {
  readonly optimizer: string;
  readonly seed: number;
  readonly steps: number;
  readonly params: readonly { readonly shape: readonly number[]; readonly init: ValueSpec; readonly grad: ValueSpec }[];
  readonly paramsWithoutGrad: readonly number[];
  /** With tensors as `{"tensor": {shape, data}}`. */
  readonly stateDict: TorchStateDict;
}

const makers = library as unknown as Readonly<Record<string, (() => Rule) | undefined>>;
const cases = golden.cases as unknown as readonly Case[];
const CLASSES = ["SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "Rprop", "ASGD"];
const known = cases.filter(({ optimizer }) => CLASSES.includes(optimizer));

/** The file's tensors as ours. */
function torchOf({ stateDict }: Case): TorchStateDict {
  const value = (x: unknown): TorchValue => {
    const { tensor } = (typeof x === "object" && x !== null ? x : {}) as {
      tensor?: { shape: number[]; data: number[] };
    };
    return tensor ? { shape: tensor.shape, data: Float32Array.from(tensor.data) } : (x as TorchValue);
  };
  const state = Object.entries(stateDict.state).map(([key, entry]) => [
    key,
    Object.fromEntries(Object.entries(entry).map(([name, x]) => [name, value(x)])),
  ]);
  return { state: Object.fromEntries(state), param_groups: stateDict.param_groups };
}

const nameOf = (k: number) => `layer.${k}`;
const namesOf = ({ params }: Case) => params.map((_, k) => nameOf(k));
const ruleOf = ({ optimizer }: Case) => optimizer.toLowerCase();

/** An optimizer with the options of the file's groups, in our words. */
function start(device: GPUDevice, one: Case): Promise<Optimizer> {
  const rule = makers[ruleOf(one)]!();
  return createOptimizer(device, {
    rule,
    params: one.params.map(({ shape, init }, k) => ({
      name: nameOf(k),
      shape,
      data: initialValues(init, one.seed, k, elementCount(shape)),
    })),
    groups: one.stateDict.param_groups.map((group, g) => ({
      ...fromTorchGroup(ruleOf(one), group),
      match: ({ name }) => group.params.some((k) => nameOf(k) === name),
      name: `g${g}`,
    })),
  });
}

function take(optimizer: Optimizer, one: Case, from: number, to: number): void {
  for (let step = from; step <= to; step++) {
    one.params.forEach(({ shape, grad }, k) => {
      if (one.paramsWithoutGrad.includes(k)) optimizer.withoutGrad(nameOf(k));
      else optimizer.writeGrad(nameOf(k), gradient(grad, one.seed, k, step, elementCount(shape)));
    });
    optimizer.step();
  }
}

/** Switches between implementations, which PyTorch puts in when it loads; and an option that some classes of 1.13 lack. */
function plainGroups({ param_groups }: TorchStateDict): unknown[] {
  return param_groups.map(({ foreach, fused, capturable, differentiable, maximize = false, ...rest }) => ({
    ...rest,
    maximize,
  }));
}

const isTensor = (x: TorchValue | undefined): x is TorchTensor => typeof x === "object" && x !== null && "data" in x;

/** The form of a state: what is a tensor of which shape, what a number. */
const formOf = ({ state }: TorchStateDict) =>
  Object.fromEntries(
    Object.entries(state).map(([key, entry]) => [
      key,
      Object.fromEntries(Object.entries(entry).map(([name, x]) => [name, isTensor(x) ? x.shape.join() : typeof x])),
    ]),
  );

test("every class is there", () => {
  expect(known.map(({ optimizer }) => optimizer).sort()).toEqual([...CLASSES].sort());
});

describe.each(known.map((one) => [one.optimizer, one] as const))("%s", (_, one) => {
  const torch = torchOf(one);

  test("toTorch gives what PyTorch gives after the same steps", async () => {
    const device = await testDevice();
    const optimizer = await start(device, one);
    take(optimizer, one, 1, one.steps);
    const got = toTorch(await optimizer.stateDict());
    optimizer.destroy();
    expect(got.optimizer).toBe(one.optimizer);
    expect(got.names).toEqual(namesOf(one));
    expect(plainGroups(got)).toEqual(plainGroups(torch));
    expect(formOf(got)).toEqual(formOf(torch));
    const comparison = criterionFor(device);
    for (const [key, entry] of Object.entries(torch.state)) {
      for (const [name, value] of Object.entries(entry)) {
        const own = got.state[key]?.[name];
        if (!isTensor(value)) comparison.equal(`${key}.${name}`, own as number, value as number);
        else {
          // PyTorch's own float32 run: it has no deviation of its own.
          const expected = { values: Float64Array.from(value.data), deviation: null, shape: undefined };
          comparison.tensor({ key: `${key}.${name}`, name }, (own as TorchTensor).data, expected);
        }
      }
    }
    expectPassed(comparison);
  });

  test("fromTorch loads, goes on, and comes back bit for bit", async () => {
    const device = await testDevice();
    const optimizer = await start(device, one);
    const before = await optimizer.stateDict();
    const params = {
      [nameOf(1)]: initialValues({ kind: "normal", scale: 1 }, 3, 3, elementCount(one.params[1]!.shape)),
    };
    const state = fromTorch(torch, { names: namesOf(one), params, like: before, stepsApplied: one.steps });
    await optimizer.loadStateDict(state);
    const after = await optimizer.stateDict();
    expect(after.stepsApplied).toBe(one.steps);
    expect(after.tensors[nameOf(0)]!.param).toEqual(before.tensors[nameOf(0)]!.param);
    expect(after.tensors[nameOf(1)]!.param).toEqual(params[nameOf(1)]);
    const back = toTorch(after);
    // The product of momenta follows from count and options in the engine, in float64.
    const withoutProduct = ({ state: entries }: TorchStateDict) =>
      Object.entries(entries).map(([key, { mu_product, ...rest }]) => [key, rest]);
    expect(withoutProduct(back)).toEqual(withoutProduct(torch));
    expect(formOf(back)).toEqual(formOf(torch));
    expect(state.groups.filter(({ tensors }) => tensors.length > 0).map(({ lr }) => lr)).toEqual(
      torch.param_groups.map(({ lr }) => lr),
    );
    take(optimizer, one, one.steps + 1, one.steps + 2);
    const { tensors } = await optimizer.stateDict();
    expect(Object.values(tensors).map(({ step }) => step)).toEqual(
      one.params.map((_param, k) => (one.paramsWithoutGrad.includes(k) ? 0 : one.steps + 2)),
    );
    optimizer.destroy();
  });
});

describe("refused:", () => {
  const adamw = known.find(({ optimizer }) => optimizer === "AdamW")!;
  const sgd = known.find(({ optimizer }) => optimizer === "SGD")!;
  const nadam = known.find(({ optimizer }) => optimizer === "NAdam")!;

  async function likeOf(one: Case): Promise<StateDict> {
    const optimizer = await start(await testDevice(), one);
    const like = await optimizer.stateDict();
    optimizer.destroy();
    return like;
  }

  // biome-ignore lint/suspicious/noExplicitAny: what is wrong with a state has no type.
  type Change = (torch: any, options: any) => void;

  test.each<[string, Case, Change]>([
    ["names must be 3 different ones", adamw, (_, o) => o.names.pop()],
    ["names must be 3 different ones", adamw, (_, o) => o.names.splice(1, 1, nameOf(0))],
    ['"other" is unknown to the optimizer', adamw, (_, o) => o.names.splice(2, 1, "other")],
    ["must number the parameters in order", adamw, (t) => t.param_groups[1].params.reverse()],
    ['state: "7" is no position', adamw, (t) => Object.assign(t.state, { 7: {} })],
    ['state: "01" is no position', adamw, (t) => Object.assign(t.state, { "01": {} })],
    ["exp_avg must have shape [2], got [3]", adamw, (t) => Object.assign(t.state[1], { exp_avg: t.state[0].exp_avg })],
    ["exp_avg_sq is missing", adamw, (t) => delete t.state[0].exp_avg_sq],
    ["max_exp_avg_sq is unknown here", adamw, (t) => Object.assign(t.state[0], { max_exp_avg_sq: t.state[0].exp_avg })],
    ["step must be a whole number >= 0, got 1.5", adamw, (t) => Object.assign(t.state[0], { step: 1.5 })],
    ["step must be a whole number >= 0, got undefined", adamw, (t) => Object.assign(t.state[0], { step: null })],
    ['params: "other" is unknown', adamw, (_, o) => Object.assign(o, { params: { other: new Float32Array(1) } })],
    [
      "must have 3 elements, got 1",
      adamw,
      (_, o) => Object.assign(o, { params: { [nameOf(0)]: new Float32Array(1) } }),
    ],
    ["stepsApplied must be given", sgd, () => {}],
    ["mu_product is 0.5, but 0.20", nadam, (t) => t.state[0].mu_product.data.set([0.5])],
  ])("%s", async (message, one, change) => {
    const torch = structuredClone(torchOf(one));
    const options: FromTorchOptions = { names: namesOf(one), like: await likeOf(one) };
    change(torch, options);
    expect(() => fromTorch(torch, options)).toThrow(CheckpointError);
    expect(() => fromTorch(torch, options)).toThrow(message);
  });

  test.each<[string, (like: StateDict) => StateDict]>([
    ["PyTorch has no optimizer for the rule lion", (like) => ({ ...like, rule: "lion" })],
    ["AdamW has no decay independent", (like) => grouped(like, { decayMode: "independent" })],
    ["AdamW has no decay coupled", (like) => grouped(like, { decayMode: "coupled" })],
    ["PyTorch's optimizers have no anchor", (like) => slotted(like, "anchor")],
    ["PyTorch's optimizers have no average", (like) => slotted(like, "average")],
  ])("%s", async (message, change) => {
    const like = change(await likeOf(adamw));
    expect(() => toTorch(like)).toThrow(CheckpointError);
    expect(() => toTorch(like)).toThrow(message);
  });

  const grouped = (like: StateDict, more: object): StateDict => ({
    ...like,
    groups: like.groups.map((group) => ({ ...group, ...more })),
  });
  const slotted = (like: StateDict, slot: string): StateDict => ({
    ...like,
    tensors: Object.fromEntries(
      Object.entries(like.tensors).map(([name, tensor]) => [
        name,
        { ...tensor, slots: { ...tensor.slots, [slot]: tensor.param } },
      ]),
    ),
  });
});
