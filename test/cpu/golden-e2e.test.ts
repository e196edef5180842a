/** Golden files of whole training runs: broken ones are refused, and so are results that are wrong. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { casesOf, runCase } from "../conformance/cases.ts";
import { SOFTWARE } from "../conformance/compare.ts";
import { GoldenError } from "../conformance/golden/check.ts";
import type { E2eCase } from "../conformance/golden/e2e.ts";
import { checkInputs, type GoldenFile, parseGolden } from "../conformance/golden/parse.ts";
import type { RunTraining, TrainingProblem, TrainingResult } from "../conformance/kinds/e2e.ts";
import type { SubjectMaker } from "../conformance/subject.ts";

const read = (name: string) => readFileSync(new URL(`../golden/${name}.json`, import.meta.url), "utf8");

// biome-ignore lint/suspicious/noExplicitAny: the very point is to put anything anywhere
type Json = any;

function refusal(name: string, id: string, edit: (one: Json) => void): string {
  const file = JSON.parse(read(name)) as Json;
  file.cases = file.cases.filter((one: Json) => one.id === id);
  edit(file.cases[0]);
  try {
    checkInputs(parseGolden(JSON.stringify(file)));
  } catch (error) {
    if (error instanceof GoldenError) return error.message;
    throw error;
  }
  return "taken";
}

describe("a broken file is refused", () => {
  const broken: readonly [string, (one: Json) => void, string][] = [
    ["nothing", () => {}, "taken"],
    [
      "another model",
      (c) => {
        c.model.type = "rnn";
      },
      'model.type must be mlp or cnn, got "rnn"',
    ],
    [
      "another activation",
      (c) => {
        c.model.activation = "elu";
      },
      "model.activation must be relu or",
    ],
    [
      "a field too many",
      (c) => {
        c.model.dropout = 0.5;
      },
      "model.dropout is not a field of this format",
    ],
    [
      "a layer too few",
      (c) => {
        c.model.sizes = [8];
      },
      "model.sizes must have at least 2 entries",
    ],
    [
      "no classes",
      (c) => {
        delete c.data.classes;
      },
      "data.classes is missing",
    ],
    [
      "another loss",
      (c) => {
        c.loss = "hinge";
      },
      "loss must be crossEntropy or mse",
    ],
    [
      "targets without their loss",
      (c) => {
        c.data.targets = 3;
      },
      "data.targets must be there exactly if there is loss mse",
    ],
    [
      "a batch too large",
      (c) => {
        c.data.batch = 65;
      },
      "data.batch must be at most the 64 samples, got 65",
    ],
    [
      "a loss too few",
      (c) => {
        c.lossF64.pop();
      },
      "lossF64 must have 40 entries, got 39",
    ],
    [
      "a loss that is not finite",
      (c) => {
        c.lossF64[3] = "nan";
      },
      "lossF64[3] must be a finite number",
    ],
    [
      "another seed",
      (c) => {
        c.seed += 1;
      },
      "but the inputs that the case describes have",
    ],
    [
      "another input hash",
      (c) => {
        c.inputHash = 1;
      },
      "inputHash is 1, but the inputs",
    ],
    [
      "another input",
      (c) => {
        c.inputHead[2] = 0.5;
      },
      "inputHead[2] is 0.5, but the case describes",
    ],
    [
      "another label",
      (c) => {
        c.labels[5] = (c.labels[5] + 1) % 4;
      },
      "labels[5] is",
    ],
    [
      "another initial value",
      (c) => {
        c.init[1][3] += 0.25;
      },
      "init[1][3] is",
    ],
    [
      "an initial tensor too few",
      (c) => {
        c.init.pop();
      },
      "init must have 4 entries, got 3",
    ],
    [
      "a gradient too short",
      (c) => {
        c.firstGrad[0].v.pop();
      },
      "firstGrad[0].v must have 128 entries, got 127",
    ],
    [
      "a final weight without deviation",
      (c) => {
        delete c.final[2].e;
      },
      "final[2].e is missing",
    ],
    [
      "a parameter in no group",
      (c) => {
        c.groups[1].params.pop();
      },
      "groups must have parameter fc1.bias once, but have it 0 times",
    ],
    [
      "a parameter in two groups",
      (c) => {
        c.groups[1].params.push("fc0.weight");
      },
      "once, but have it 2 times",
    ],
    [
      "a group of nothing known",
      (c) => {
        c.groups[1].params.push("fc7.bias");
      },
      'is no parameter: "fc7.bias"',
    ],
    [
      "norms without clipping",
      (c) => {
        delete c.clipNorm;
      },
      "clipNorm must be there exactly if there is gradNorms",
    ],
    [
      "norms too few",
      (c) => {
        c.gradNorms.v.pop();
      },
      "gradNorms.v must have 40 entries, got 39",
    ],
    [
      "an lr factor too few",
      (c) => {
        c.lrFactor = [1];
      },
      "lrFactor must have 40 entries, got 1",
    ],
    [
      "no accuracy",
      (c) => {
        delete c.evalAccuracy;
      },
      "evalAccuracy must be there exactly if there is loss crossEntropy",
    ],
    [
      "buffers of nothing",
      (c) => {
        c.buffers = {};
      },
      "buffers must be there exactly if there is model.batchNorm",
    ],
  ];
  it.each(broken)("%s", (_, edit, message) => {
    expect(refusal("e2e-mlp", "mlp-relu-adamw", edit)).toContain(message);
  });

  it("batch norm without buffers", () => {
    const edit = (c: Json) => {
      delete c.buffers;
    };
    expect(refusal("e2e-cnn", "cnn-bn-sgd", edit)).toContain(
      "buffers must be there exactly if there is model.batchNorm",
    );
  });
});

/** What the file itself says comes out, rounded to float32. */
function stated(one: E2eCase): TrainingResult {
  const rounded = (tensors: E2eCase["final"]) => tensors.map(({ values }) => Float32Array.from(values));
  return {
    losses: one.lossF32,
    gradNorms: [...Float32Array.from(one.gradNorms?.values ?? [])],
    firstGrad: rounded(one.firstGrad),
    final: rounded(one.final),
    buffers: Object.fromEntries(
      Object.entries(one.buffers ?? {}).map(([name, { values }]) => [name, Float32Array.from(values)]),
    ),
    evalLoss: one.evalLossF32,
    evalAccuracy: one.evalAccuracy ?? 0,
  };
}

describe("the comparison", () => {
  const files = ["e2e-mlp", "e2e-cnn"].map((name) => parseGolden(read(name)) as GoldenFile & { kind: "e2e" });
  const cases = files.flatMap((file) => file.cases.map((one, i) => [one.id, one, casesOf(file)[i]!] as const));
  const run = (one: (typeof cases)[number], runTraining: RunTraining) =>
    runCase(one[2], { maker: {} as SubjectMaker, runSchedule: () => ({ lr: [] }), runTraining, criterion: SOFTWARE });

  it.each(cases)("takes what %s says, and trains as it says", async (...one) => {
    let problem: TrainingProblem | undefined;
    const outcome = await run(one, async (asked) => {
      problem = asked;
      return stated(one[1]);
    });
    expect(outcome).toMatchObject({ status: "passed", messages: [] });
    expect(problem!.input).toHaveLength(one[1].data.samples * problem!.data.inputShape.reduce((a, b) => a * b));
    expect(problem!.groups.map(({ options }) => options.lr)).toEqual(one[1].groups.map(({ options }) => options.lr));
    // The reference's own float32 losses are off by a quarter of the budget at most: K = 4.
    expect(outcome.worst).toBeLessThanOrEqual(0.25);
  });

  // Off by 2e-5 of the largest value: five to fifty times what float32 makes of these runs.
  const off = (values: ArrayLike<number>, i = 0) => {
    const out = Array.from(values);
    out[i] = out[i]! + 2e-5 * Math.max(...out.map(Math.abs));
    return out;
  };
  const wrong: readonly [string, (result: TrainingResult) => Partial<TrainingResult>, number][] = [
    ["a loss", ({ losses }) => ({ losses: off(losses, 9) }), 12],
    ["losses that are missing", ({ losses }) => ({ losses: losses.slice(1) }), 12],
    ["a norm", ({ gradNorms }) => ({ gradNorms: off(gradNorms) }), 2],
    [
      "a first gradient",
      ({ firstGrad: [first, ...rest] }) => ({ firstGrad: [Float32Array.from(off(first!)), ...rest] }),
      12,
    ],
    ["a final weight", ({ final }) => ({ final: [...final.slice(0, -1), Float32Array.from(off(final.at(-1)!))] }), 10],
    [
      "a weight that is not finite",
      ({ final: [first, ...rest] }) => ({ final: [first!.map(() => Number.NaN), ...rest] }),
      12,
    ],
    [
      "buffers",
      ({ buffers }) => ({
        buffers: Object.fromEntries(Object.entries(buffers).map(([n, v]) => [n, Float32Array.from(off(v))])),
      }),
      2,
    ],
    ["no buffers", () => ({ buffers: {} }), 2],
    ["the loss of the evaluation", ({ evalLoss }) => ({ evalLoss: evalLoss * 1.0001 + 1e-4 }), 12],
    ["the accuracy", ({ evalAccuracy }) => ({ evalAccuracy: evalAccuracy - 1 / 64 }), 11],
  ];
  it.each(wrong)("refuses wrong results: %s", async (_, spoil, atLeast) => {
    const outcomes = await Promise.all(
      cases.map((one) => run(one, async () => ({ ...stated(one[1]), ...spoil(stated(one[1])) }))),
    );
    expect(outcomes.filter(({ status }) => status === "failed").length).toBeGreaterThanOrEqual(atLeast);
  });
});
