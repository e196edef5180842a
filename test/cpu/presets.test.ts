/** The recipes: which tensors they decay, freeze or leave alone, and how their learning rate goes. */
import { describe, expect, test } from "vitest";
import { groupOf, resolveGroups } from "../../src/engine/groups.ts";
import { type OptimizerOptions, OptionError, presets, type Rule, type Schedule } from "../../src/index.ts";

const PARAMS = [
  { name: "tok_emb.weight", shape: [100, 16] },
  { name: "pos_emb.weight", shape: [32, 16] },
  { name: "conv.weight", shape: [8, 3, 3, 3] },
  { name: "dw.weight", shape: [8, 1, 3, 3] },
  { name: "bn.weight", shape: [8] },
  { name: "attn.weight", shape: [16, 16] },
  { name: "attn.bias", shape: [16] },
  { name: "attn.lora_a.weight", shape: [4, 16] },
  { name: "head.weight", shape: [10, 16] },
  { name: "head.bias", shape: [10] },
];

/** Decay of each tensor, or that it is frozen, as `createOptimizer` resolves the groups. */
function resolved({ rule, groups = [], lr, weightDecay, decayMode }: presets.Preset) {
  const common = { lr, weightDecay, ...(decayMode && { decayMode }) } as OptimizerOptions;
  const all = resolveGroups(rule as Rule, common, groups);
  const rules = [{ ...(rule as Rule), match: undefined }];
  return Object.fromEntries(
    PARAMS.map((p) => {
      const { frozen, weightDecay } = all[groupOf(rules, all, p)]!;
      return [p.name, frozen ? "frozen" : weightDecay];
    }),
  );
}

const plain = (weightDecay: number) => ({
  "tok_emb.weight": weightDecay,
  "pos_emb.weight": 0,
  "conv.weight": weightDecay,
  "dw.weight": weightDecay,
  "bn.weight": 0,
  "attn.weight": weightDecay,
  "attn.bias": 0,
  "attn.lora_a.weight": weightDecay,
  "head.weight": weightDecay,
  "head.bias": 0,
});
const frozenBut = (...own: [string, number][]) => ({
  ...Object.fromEntries(PARAMS.map(({ name }) => [name, "frozen"])),
  ...Object.fromEntries(own),
});

test.each([
  ["resnetImagenet", "sgd", 0.1, plain(1e-4)],
  ["resnetCifar", "sgd", 0.1, plain(5e-4)],
  ["vgg", "sgd", 0.01, plain(5e-4)],
  ["mobilenet", "rmsprop", 0.045, { ...plain(4e-5), "dw.weight": 0 }],
  ["efficientnet", "rmsprop", 0.016, plain(1e-5)],
  ["bertFineTuning", "adamw", 2e-5, plain(0.01)],
  ["gptPretraining", "adamw", 3e-4, plain(0.1)],
  ["vit", "adamw", 1e-3, plain(0.1)],
  ["clipPretraining", "adamw", 5e-4, plain(0.2)],
  ["lora", "adamw", 2e-4, frozenBut(["attn.lora_a.weight", 0])],
  ["newHead", "adamw", 1e-3, frozenBut(["head.weight", 0.01], ["head.bias", 0])],
  ["smallData", "adamw", 1e-3, plain(0.5)],
  ["embeddings", "adamw", 1e-3, plain(0.01)],
] as const)("%s: %s, lr %f", (name, rule, lr, decays) => {
  const preset = presets[name](PARAMS);
  expect(preset.rule?.definition.name).toBe(rule);
  expect(preset.lr).toBe(lr);
  expect(resolved(preset)).toEqual(decays);
});

test("every recipe is here", () => {
  expect(Object.keys(presets)).toHaveLength(13);
});

describe("lr", () => {
  test("GPT: warm-up of 1 %, then cosine to a tenth", () => {
    const lr = presets.gptPretraining(PARAMS, { steps: 1000 }).lr as Schedule;
    expect([0, 5, 1000].map(lr)).toEqual([0, expect.closeTo(1.5e-4, 6), expect.closeTo(3e-5, 12)]);
  });

  test("BERT: a tenth of the steps as warm-up, then linear to 0", () => {
    const lr = presets.bertFineTuning(PARAMS, { steps: 100, lr: 1 }).lr as Schedule;
    expect([0, 10, 55, 100].map(lr)).toEqual([0, expect.closeTo(0.9), expect.closeTo(0.45), 0]);
  });

  test("warm-up as asked for", () => {
    const lr = presets.resnetCifar(PARAMS, { steps: 100, warmupSteps: 50 }).lr as Schedule;
    expect(lr(25)).toBeCloseTo(0.025);
  });
});

test.each([
  [() => presets.vit(PARAMS, { steps: 0 }), "vit: steps must be a whole number >= 1, got 0"],
  [() => presets.vit(PARAMS, { warmupSteps: 3 }), "vit: warmupSteps needs steps, got 3"],
  [() => presets.vit(PARAMS, { steps: 3, warmupSteps: 4 }), "vit: warmupSteps must be a whole number in [0, 3], got 4"],
  [() => presets.vit(PARAMS, { weightDecay: -1 }), "vit: weightDecay must be a finite number >= 0, got -1"],
  [() => presets.vit(PARAMS, { head: "x" } as object), "vit: head is no option"],
  [() => presets.vgg(PARAMS, null as never), "vgg: options must be an object, got null"],
  [() => presets.mobilenet(PARAMS, 0.1 as never), "mobilenet: options must be an object, got 0.1"],
  [() => presets.lora(PARAMS, { adapters: 5 as never }), "lora: adapters must be a name pattern, "],
  [() => presets.newHead(PARAMS, { head: 5 as never }), "newHead: head must be a name pattern, "],
  [() => presets.embeddings(PARAMS, { match: null as never }), "embeddings: match must be a name pattern, "],
  [() => presets.vgg(3 as never), "decayGroups: params must be a list of tensors"],
])("bad input %#", (call, message) => {
  expect(call).toThrow(OptionError);
  expect(call).toThrow(message);
});
