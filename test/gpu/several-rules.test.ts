/** Several rules in one optimizer: each tensor as with its rule alone, and one clipping, one skipping, one state dict for all. */
import { describe, expect, test } from "vitest";
import {
  adamw,
  createOptimizer,
  lamb,
  lion,
  muon,
  muonWithAuxAdam,
  type OptimizerOptions,
  sgd,
} from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { bitsOf, someValues } from "./twin-run.ts";

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  "conv.weight": [4, 3, 3, 3],
  "conv.bias": [4],
  "fc.weight": [10, 12],
  "fc.bias": [10],
  "norm.weight": [12],
};
const NAMES = Object.keys(SHAPES);
const sizeOf = (name: string) => SHAPES[name]!.reduce((n, d) => n * d, 1);
const paramsOf = (names: readonly string[]) =>
  names.map((name) => ({ name, shape: SHAPES[name]!, data: someValues(NAMES.indexOf(name), sizeOf(name)) }));

/** What an optimizer leaves after steps `from` to `to`. */
async function after(options: Omit<OptimizerOptions, "params">, names: readonly string[], steps: number, scale = 1) {
  const device = await testDevice();
  const optimizer = await createOptimizer(device, { ...options, params: paramsOf(names) });
  for (let step = 1; step <= steps; step++) {
    for (const name of names)
      optimizer.writeGrad(
        name,
        someValues(100 * step + NAMES.indexOf(name), sizeOf(name)).map((g) => g * scale),
      );
    optimizer.step();
  }
  const state = await optimizer.stateDict();
  optimizer.destroy();
  return state;
}

const isMatrix = ({ shape }: { shape: readonly number[] }) => shape.length >= 2;
const MATRICES = NAMES.filter((name) => SHAPES[name]!.length >= 2);
const REST = NAMES.filter((name) => SHAPES[name]!.length < 2);

const both: Omit<OptimizerOptions, "params"> = {
  lr: 0.01,
  rules: [
    { match: isMatrix, rule: lamb(), weightDecay: 0.1 },
    { match: "*", rule: adamw(), groups: [{ match: "*.bias", weightDecay: 0, betas: [0.8, 0.9] }] },
  ],
};

test("each tensor moves as with its rule alone, bit for bit", async () => {
  const together = bitsOf(await after(both, NAMES, 5)).tensors;
  const matrices = await after({ rule: lamb(), lr: 0.01, weightDecay: 0.1 }, MATRICES, 5);
  const rest = await after(
    { rule: adamw(), lr: 0.01, groups: [{ match: "*.bias", weightDecay: 0, betas: [0.8, 0.9] }] },
    REST,
    5,
  );
  expect(together).toEqual({ ...bitsOf(matrices).tensors, ...bitsOf(rest).tensors });
});

test("one window each, whatever the order of the tensors; one norm for all", async () => {
  const device = await testDevice();
  const optimizer = await createOptimizer(device, {
    rules: [
      { match: "*.weight", rule: lion() },
      { match: "*", rule: sgd({ momentum: 0.9 }) },
    ],
    lr: 0.1,
    params: paramsOf(NAMES),
    clip: { globalNorm: 1 },
    monitor: {},
  });
  expect(optimizer.tensors.map((t) => t.name)).toEqual(NAMES);
  expect(optimizer.groups).toEqual(["lion", "sgd"]);
  const norms: number[] = [];
  optimizer.on("figures", ({ gradNorm }) => norms.push(gradNorm));
  for (const name of NAMES) optimizer.writeGrad(name, new Float32Array(sizeOf(name)).fill(2));
  const counter = countCalls(device);
  optimizer.step();
  // Each rule has a window: two to measure, control, two updates, summarize.
  expect(counter.stop()).toMatchObject({ dispatches: 6, submits: 1 });
  await optimizer.flush();
  const elements = NAMES.reduce((n, name) => n + sizeOf(name), 0);
  expect(norms[0]).toBeCloseTo(2 * Math.sqrt(elements), 4);
  optimizer.destroy();
});

test("a gradient that is not finite skips all rules", async () => {
  const device = await testDevice();
  const optimizer = await createOptimizer(device, { ...both, params: paramsOf(NAMES), skipNonFinite: true });
  const before = bitsOf(await optimizer.stateDict()).tensors;
  for (const name of NAMES) optimizer.writeGrad(name, new Float32Array(sizeOf(name)).fill(1));
  optimizer.writeGrad("fc.bias", new Float32Array(10).fill(Number.NaN));
  optimizer.step();
  const state = await optimizer.stateDict();
  expect(bitsOf(state).tensors).toEqual(before);
  expect(state.stepsSkipped).toBe(1);
  optimizer.destroy();
});

test("saved, loaded and gone on: bit for bit the run that never stopped", async () => {
  const saved = await after(both, NAMES, 3);
  expect(saved.rule).toBe("lamb+adamw");
  const device = await testDevice();
  const optimizer = await createOptimizer(device, { ...both, params: paramsOf(NAMES) });
  await optimizer.loadStateDict(saved);
  for (const step of [4, 5]) {
    for (const name of NAMES) optimizer.writeGrad(name, someValues(100 * step + NAMES.indexOf(name), sizeOf(name)));
    optimizer.step();
  }
  const resumed = bitsOf(await optimizer.stateDict());
  optimizer.destroy();
  expect(resumed).toEqual(bitsOf(await after(both, NAMES, 5)));
});

test("muonWithAuxAdam: matrices by Muon, the rest and embeddings by AdamW", async () => {
  const device = await testDevice();
  const optimizer = await createOptimizer(device, {
    rules: muonWithAuxAdam({ muon: { lr: 0.02 }, adamw: { lr: 3e-4, betas: [0.9, 0.95] } }),
    params: [...paramsOf(NAMES), { name: "tok_emb.weight", shape: [20, 4] }],
  });
  const groupOf = Object.fromEntries(
    optimizer
      .table()
      .split("\n")
      .slice(1)
      .map((line) => line.split(/\s+/))
      .map(([tensor, , group]) => [tensor, group]),
  );
  expect(groupOf).toEqual({
    "conv.weight": "muon",
    "fc.weight": "muon",
    "conv.bias": "adamw",
    "fc.bias": "adamw",
    "norm.weight": "adamw",
    "tok_emb.weight": "adamw",
  });
  optimizer.destroy();
});

describe("refused", () => {
  const create = async (options: object) =>
    createOptimizer(await testDevice(), { params: paramsOf(NAMES), ...options } as OptimizerOptions);

  test.each<[object, string]>([
    [{ rules: [] }, "rules: rules must be a list of at least one { match, rule }"],
    [{ rules: [{ match: "*" }] }, "rules: rules[0].rule must be a rule such as adamw()"],
    [{ rules: [{ match: 3, rule: sgd() }] }, "rules: rules[0].match must be a name pattern"],
    [{ rule: sgd(), rules: [{ match: "*", rule: sgd() }] }, "createOptimizer: rule must not be given beside rules"],
    [{ rules: [{ match: "*", rule: sgd() }], groups: [] }, "createOptimizer: groups must be given to the rule"],
    [{ rules: [{ match: "*.weight", rule: sgd() }] }, "must match one of the rules"],
    [{ rules: [{ match: "*", rule: sgd(), betas: [0.9, 0.9] }] }, "betas is no option"],
    [
      {
        rules: [
          { match: "a", rule: sgd() },
          { match: "*", rule: sgd() },
        ],
      },
      "rules[1].name must be unique",
    ],
    [{ rule: muon() }, "must have at least two dimensions"],
  ])("%o", async (options, message) => {
    await expect(create(options)).rejects.toThrow(message);
  });
});
