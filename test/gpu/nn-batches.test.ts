/** What a plan takes for a batch: what it does not understand is refused before anything is written. */
import { describe, expect, it } from "vitest";
import { OptionError, sgd } from "../../src/index.ts";
import {
  batchNorm,
  type CompileOptions,
  compile,
  conv2d,
  crossEntropy,
  embedding,
  flatten,
  linear,
  type Model,
  mse,
  type OptimizerChoice,
  type Plan,
  sequential,
} from "../../src/nn/index.ts";
import { testDevice } from "../browser/device.ts";
import { values } from "./nn-matrices.ts";

const classifier = () => sequential([6], [linear(3)]);

/** Compiles, does something with the plan, and frees it. */
async function withPlan<T>(
  model: Model,
  use: (plan: Plan) => T | Promise<T>,
  more: Partial<CompileOptions<OptimizerChoice>> = {},
): Promise<T> {
  const options = { batchSize: 4, loss: crossEntropy(), optimizer: { rule: sgd(), lr: 0 }, slots: 2, ...more };
  const plan = await compile(await testDevice(), model, options);
  try {
    return await use(plan);
  } finally {
    plan.destroy();
  }
}

describe("a batch from the host", () => {
  it("of fewer samples than the capacity is that many: nothing is learned from the rows behind it", () =>
    withPlan(classifier(), async (plan) => {
      const [x, labels] = [values(1, 24), [0, 1, 2, 0]];
      plan.write(x.subarray(0, 18), labels.slice(0, 3));
      plan.step();
      const gradient = await plan.readGradient("fc1.weight");
      expect((await plan.readRecord()).count).toBe(3);
      plan.write(x, labels);
      plan.step({ count: 3 });
      expect(await plan.readGradient("fc1.weight")).toEqual(gradient);
      plan.step();
      expect((await plan.readRecord()).count).toBe(4);
      plan.evaluateBatch({ count: 2 });
      expect(await plan.readOutput()).toHaveLength(2 * 3);
      // A batch that is only trained on has no output of evaluation.
      plan.step({ count: 4 });
      expect(await plan.readOutput()).toHaveLength(2 * 3);
    }));

  it.each<[string, readonly [ArrayLike<number>, ArrayLike<number>?], string]>([
    ["a class too many", [values(1, 12), [0, 3]], "plan: target[1] must be a whole number in [0, 2], got 3"],
    ["a class below 0", [values(1, 12), [-1, 0]], "plan: target[0] must be a whole number in [0, 2], got -1"],
    ["half a class", [values(1, 12), [0, 0.5]], "plan: target[1] must be a whole number in [0, 2], got 0.5"],
    ["NaN for a class", [values(1, 12), [0, Number.NaN]], "plan: target[1] must be a whole number in [0, 2], got NaN"],
    ["too few classes", [values(1, 12), [0]], "plan: target.length must be 1 for each of 2 samples, got 1"],
    ["too many classes", [values(1, 12), [0, 1, 2]], "plan: target.length must be 1 for each of 2 samples, got 3"],
    ["half a sample", [values(1, 9)], "plan: input.length must be 6 for each of 1 to 4 samples, got 9"],
    ["too many samples", [values(1, 30)], "plan: input.length must be 6 for each of 1 to 4 samples, got 30"],
    ["nothing", [[]], "plan: input.length must be 6 for each of 1 to 4 samples, got 0"],
    ["no array", [undefined as never], "plan: input.length must be 6 for each of 1 to 4 samples, got undefined"],
    [
      "lists of lists",
      [Array(6).fill([1, 2]), [0]],
      "plan: input[0] must be a number: samples lie one after the other",
    ],
  ])("is refused with %s, and what was there stays", (_, [input, target], message) =>
    withPlan(classifier(), async (plan) => {
      plan.write(values(2, 24), [2, 1, 0, 2]);
      plan.step();
      const before = await plan.readRecord();
      expect(() => plan.write(input, target)).toThrow(message);
      expect(() => plan.write(input, target)).toThrow(OptionError);
      plan.step({ slot: 1 });
      expect(await plan.readRecord(1)).toEqual(before);
    }),
  );

  it("is refused with tokens that the embedding does not have", () =>
    withPlan(sequential([2], [embedding(5, 4), flatten(), linear(3)]), (plan) => {
      expect(() => plan.write([0, 4, 5, 0], [0, 0])).toThrow("plan: input[2] must be a whole number in [0, 4], got 5");
      expect(() => plan.write([0, 4, 1.5, 0], [0, 0])).toThrow("plan: input[2] must be a whole number");
      plan.write([0, 4], [2]);
    }));

  it("of values needs as many as the output has", () =>
    withPlan(
      classifier(),
      (plan) => {
        expect(() => plan.write(values(1, 12), [0, 1])).toThrow(
          "plan: target.length must be 3 for each of 2 samples, got 2",
        );
        plan.write(values(1, 12), values(2, 6));
      },
      { loss: mse() },
    ));
});

it.each<[object, string]>([
  [{ count: 5 }, "plan: count must be a whole number in [1, 4], got 5"],
  [{ count: 2.5 }, "plan: count must be a whole number in [1, 4], got 2.5"],
  [{ slot: 2 }, "plan: slot must be a whole number in [0, 1], got 2"],
  [{ step: -1 }, "plan: step must be a whole number in [0, 4294967295], got -1"],
  [{ size: 3 }, "plan: size is no option; known: count, first, slot, seed, step, got 3"],
])("%j is no choice of a batch", (choice, message) =>
  withPlan(classifier(), (plan) => {
    expect(() => plan.select(choice)).toThrow(message);
    expect(() => plan.step(choice)).toThrow(OptionError);
  }),
);

it("what is not there cannot be read", () =>
  withPlan(classifier(), async (plan) => {
    await expect(plan.readRecord(2)).rejects.toThrow("readRecords: first must be a whole number in [0, 1], got 2");
    await expect(plan.readRecords(1, 2)).rejects.toThrow("readRecords: count must be a whole number in [1, 1], got 2");
    await expect(plan.readOutput(5)).rejects.toThrow("readOutput: count must be a whole number in [0, 4], got 5");
  }));

it("bytes pass through a flatten: the loss is that of a layer right on them", async () => {
  const bytes = { scale: 2, shift: -1 };
  const image = Uint8Array.from({ length: 3 * 18 }, (_, k) => (k * 37) % 256);
  const lossOf = (model: Model) =>
    withPlan(
      model,
      async (plan) => {
        plan.write(image, [0, 1, 2]);
        plan.step();
        return { record: await plan.readRecord(), gradient: await plan.readGradient("fc1.weight") };
      },
      { bytes },
    );
  const flat = await lossOf(sequential([2, 3, 3], [flatten(), linear(3)]));
  expect(flat).toEqual(await lossOf(sequential([18], [linear(3)])));
  await expect(lossOf(sequential([2, 3, 3], [flatten(), batchNorm(), linear(3)]))).rejects.toThrow(
    "bn1: input cannot be bytes: they must go into linear or conv2d first",
  );
});

it("a batch of one leaves the running variance of batch norm, which has none to learn from", () =>
  withPlan(sequential([6], [batchNorm({ momentum: 0.5 }), linear(3)]), async (plan) => {
    const x = values(3, 6);
    plan.write(x, [1]);
    plan.step();
    const { "bn1.running_mean": mean, "bn1.running_var": variance } = await plan.readBuffers();
    expect(mean).toEqual(x.map((v) => 0.5 * v));
    expect(variance).toEqual(new Float32Array(6).fill(1));
  }));

describe("compile", () => {
  const refused = (more: object, model = classifier()) => withPlan(model, () => {}, more as never);

  it.each<[string, object, string]>([
    ["a rule for an optimizer", { optimizer: sgd() }, "compile: optimizer must have a rule, as { rule: adamw() } has"],
    [
      "parameters beside those of the model",
      { optimizer: { rule: sgd(), params: [] } },
      "compile: optimizer.params must be left out: they are the model's, got []",
    ],
    [
      "tensors that are nowhere",
      { optimizer: { tensor: () => undefined } },
      'compile: tensor("fc1.weight").param must have a buffer, got undefined',
    ],
    ["a word for yes", { inputGradient: "yes" }, 'compile: inputGradient must be true or false, got "yes"'],
    ["a label that is no text", { label: 5 }, "compile: label must be a text, got 5"],
  ])("refuses %s", async (_, more, message) => {
    await expect(refused(more)).rejects.toThrow(message);
    await expect(refused(more)).rejects.toBeInstanceOf(OptionError);
  });

  it("refuses a tensor that no buffer holds before it draws initial values for it", async () => {
    const begin = performance.now();
    await expect(refused({}, sequential([40_000], [linear(40_000)]))).rejects.toThrow(
      /compile: fc1.weight has 6400000000 bytes, a buffer of this device at most \d+/,
    );
    // Drawing them takes minutes.
    expect(performance.now() - begin).toBeLessThan(5000);
  });
});

describe("a model", () => {
  it("says that a layer has to be called, and that layers make a list", () => {
    expect(() => sequential([6], [batchNorm as never])).toThrow(
      'batchNorm: options must not be a value: write batchNorm(), got "input"',
    );
    expect(() => (sequential as (...of: unknown[]) => void)([6], linear(3), linear(2))).toThrow(
      "sequential: parts must be a list of layers",
    );
    expect(() => sequential([1, 4, 4], [conv2d as never])).toThrow(OptionError);
  });
});
