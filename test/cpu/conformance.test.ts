/** The comparison of the conformance run: it takes correct results, and refuses results that are wrong in any known way. */

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type ConformanceCase, casesOf, runCase } from "../conformance/cases.ts";
import { Comparison, type Criterion, HARDWARE, SOFTWARE } from "../conformance/compare.ts";
import { type GoldenFile, parseGolden } from "../conformance/golden/parse.ts";
import { spoilt, WRONG_ADAM, WRONG_DECAY, WRONG_SGD } from "../conformance/mutants.ts";
import { groupOptions, planOf, whyUnsupported } from "../conformance/optimizers.ts";
import type { SubjectMaker } from "../conformance/subject.ts";
import { twinMaker } from "../conformance/twin-subject.ts";
import { adam, adamw } from "../reference/adam.ts";
import { sgd } from "../reference/sgd.ts";

function load(name: string): GoldenFile {
  return parseGolden(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), "utf8"));
}

const files = {
  sgd: load("torch-sgd"),
  adam: load("torch-adam"),
  adamw: load("torch-adamw"),
  clip: load("clip"),
  gradscaler: load("gradscaler"),
  stateDict: load("state_dict"),
  prng: load("prng"),
};

function run(one: ConformanceCase, maker: SubjectMaker, criterion: Criterion = SOFTWARE) {
  return runCase(one, { maker, criterion, runSchedule: () => ({ lr: [] }) });
}

describe("the comparison accepts twins rounded to float32", () => {
  const names = readdirSync(new URL("../golden/", import.meta.url)).filter((name) => name.endsWith(".json"));
  for (const name of names.map((file) => file.replace(".json", ""))) {
    const file = load(name);
    // Schedules and networks have no twin here.
    if (file.kind === "schedulers" || file.kind === "e2e") continue;
    for (const one of casesOf(file)) {
      // One large case is enough in Node: the others take seconds each.
      if (one.skip !== undefined || (file.kind === "large" && one.id !== "adamw-70001")) continue;
      it(`${name} ${one.id}`, async () => {
        const outcome = await run(one, twinMaker());
        expect(outcome).toMatchObject({ status: "passed", messages: [] });
        expect(outcome.compared).toBeGreaterThan(0);
        // A single rounding at the end is far from using up the budget of a whole run.
        expect(outcome.worst).toBeLessThan(0.3);
      });
    }
  }
});

/** Ids of the cases that fail. */
async function failures(file: GoldenFile, maker: SubjectMaker, criterion?: Criterion): Promise<string[]> {
  const outcomes = await Promise.all(casesOf(file).map((one) => run(one, maker, criterion)));
  return outcomes.filter(({ status }) => status === "failed").map(({ id }) => id);
}

describe("the comparison refuses", () => {
  for (const [what, [update, detected]] of Object.entries(WRONG_ADAM)) {
    it(`Adam with ${what}`, async () => {
      expect(await failures(files.adam, twinMaker({ rules: { adam: { ...adam, update } } }))).toContain(detected);
    });
  }

  for (const [what, [update, detected]] of Object.entries(WRONG_SGD)) {
    it(`SGD with ${what}`, async () => {
      expect(await failures(files.sgd, twinMaker({ rules: { sgd: { ...sgd, update } } }))).toContain(detected);
    });
  }

  for (const [what, [apply, detected]] of Object.entries(WRONG_DECAY)) {
    it(`decay ${what}`, async () => {
      expect(await failures(files.adamw, twinMaker({ applyUpdate: apply }))).toContain(detected);
    });
  }

  it("AdamW with coupled decay", async () => {
    const wrong = twinMaker({ rules: { adamw: { ...adamw, decayMode: "coupled" } } });
    expect(await failures(files.adamw, wrong)).toContain("adamw/wd-large");
  });

  it("a gradient of zero in the place of none", async () => {
    const wrong = spoilt((subject, { tensors }) => ({
      withoutGrad: (k) => subject.writeGrad(k, new Float32Array(tensors[k]!.data.length)),
    }));
    const all = await Promise.all([files.sgd, files.adam, files.adamw].map((file) => failures(file, wrong)));
    expect(all).toEqual([["sgd/grad-none"], ["adam/grad-none"], ["adamw/grad-none"]]);
    const inDicts = casesOf(files.stateDict).filter(({ skip }) => skip === undefined);
    expect(await failures(files.stateDict, wrong)).toEqual(inDicts.map(({ id }) => id));
  });

  it("an lr that does not change", async () => {
    if (files.adam.kind !== "trajectory") throw new Error(files.adam.kind);
    const wrong = spoilt(() => ({ setLr: () => {} }));
    const changing = files.adam.cases.filter(({ lrChanges }) => lrChanges).map(({ id }) => id);
    expect(changing.length).toBeGreaterThan(3);
    expect(await failures(files.adam, wrong)).toEqual(changing);
  });

  it("state that is missing, too short, counted wrongly or not finite", async () => {
    for (const spoil of [
      ({ exp_avg_sq: _, ...slots }: Record<string, Float32Array>) => ({ slots }),
      (slots: Record<string, Float32Array>) => ({ slots: { ...slots, exp_avg: slots.exp_avg!.subarray(1) } }),
      (slots: Record<string, Float32Array>) => ({ slots: { ...slots, exp_avg: slots.exp_avg!.map(() => Number.NaN) } }),
      () => ({ step: 1 }),
    ]) {
      const wrong = spoilt((subject) => ({
        async readState(k) {
          const state = await subject.readState(k);
          return { ...state, ...(state.step > 0 && spoil(state.slots)) };
        },
      }));
      expect(await failures(files.adamw, wrong)).toHaveLength(10);
    }
  });

  it("parameters that are not finite or of another length", async () => {
    for (const spoil of [
      (x: Float32Array) => x.map(() => Number.NaN),
      (x: Float32Array) => new Float32Array(x.length + 1),
    ]) {
      const wrong = spoilt((subject) => ({ readParam: async (k) => spoil(await subject.readParam(k)) }));
      expect(await failures(files.sgd, wrong)).toHaveLength(10);
      expect(await failures(files.gradscaler, wrong)).toHaveLength(4);
    }
  });

  it("clipping that loses non-finite values, and norms that do", async () => {
    const finite = (x: number) => (Number.isFinite(x) ? x : 0);
    const params = spoilt((subject) => ({ readParam: async (k) => (await subject.readParam(k)).map(finite) }));
    expect(await failures(files.clip, params)).toEqual(["norm2-inf-value", "norm2-nan-value", "value-nonfinite"]);
    const norms = spoilt((subject) => ({
      step: async () => ({ ...(await subject.step())!, gradNorm: 1 }),
    }));
    expect((await failures(files.clip, norms)).filter((id) => !id.startsWith("norm"))).toEqual([]);
    expect(await failures(files.clip, norms)).toHaveLength(11);
  });

  it("a loss scale that grows too late, backs off too far or does not skip", async () => {
    const maker = twinMaker();
    const withScaler = (change: object): SubjectMaker => ({
      createScaler: (options) => maker.createScaler({ ...options, ...change }),
      create: (options) => {
        const { lossScale } = options;
        if (!lossScale || "read" in lossScale) return maker.create(options);
        return maker.create({ ...options, lossScale: { ...lossScale, ...change } });
      },
    });
    expect(await failures(files.gradscaler, withScaler({}))).toEqual([]);
    expect(await failures(files.gradscaler, withScaler({ growthInterval: 4 }))).toHaveLength(4);
    expect(await failures(files.gradscaler, withScaler({ backoffFactor: 0.125 }))).toHaveLength(4);
    const unskipped: SubjectMaker = {
      ...maker,
      create: (options) => maker.create({ ...options, skipNonFinite: false }),
    };
    expect(await failures(files.gradscaler, unskipped)).toHaveLength(4);
  });
});

describe("the criterion", () => {
  const values = Float64Array.of(0.5, -2);
  const expected = { values, deviation: { abs: 1e-7, rel: 2e-7, norm: 0, sens: 3e-8 }, shape: undefined };
  // 4 * 1e-7 + 8 * 2^-24 * 2
  const budget = 4e-7 + 2 ** -20;

  function compare(actual: number[], name = "param", criterion?: Criterion, before?: number[]): Comparison {
    const comparison = new Comparison(criterion);
    if (before) comparison.remember("p0", before);
    comparison.tensor({ key: "p0", name }, actual, expected);
    return comparison;
  }

  it("measures the error as a fraction of the budget", () => {
    const comparison = compare([0.5 + budget / 2, -2]);
    expect(comparison.worst).toBeCloseTo(0.5, 6);
    expect(comparison).toMatchObject({ passed: true, where: "p0[0]", compared: 2, messages: [] });
    expect(compare([0.5 + 0.999 * budget, -2]).passed).toBe(true);
    expect(compare([0.5 + 1.001 * budget, -2]).passed).toBe(false);
    expect(compare([0.5, -2 + 1.001 * budget]).messages).toEqual([
      expect.stringMatching(/^p0\[1\] is -1.99\d+, must be -2 /),
    ]);
  });

  it("asks accumulators of non-negative terms for each element", () => {
    const squares = { ...expected, values: Float64Array.of(1, 1e-12, 0) };
    for (const [actual, passes] of [
      [[1, 1e-12 * (1 + 2e-6), 0], true],
      [[1, 1e-12 * (1 + 2.2e-6), 0], false],
      [[1, 1e-12, 1e-40], false],
    ] as const) {
      for (const name of ["exp_avg_sq", "param"]) {
        const comparison = new Comparison();
        comparison.tensor({ key: "p0", name }, actual, squares);
        expect(comparison.passed).toBe(passes || name === "param");
      }
    }
  });

  it("gives compounded quantities twice the room", () => {
    expect(compare([0.5 + 1.9 * budget, -2], "acc_delta").passed).toBe(true);
    expect(compare([0.5 + 2.1 * budget, -2], "acc_delta").passed).toBe(false);
  });

  it("remembers for hardware how large a parameter has been", () => {
    const off = [0.5 + 16 * 2 ** -24 * 90, -2];
    expect(compare(off, "param", HARDWARE, [-100]).passed).toBe(true);
    expect(compare(off, "param", HARDWARE).passed).toBe(false);
    expect(compare(off, "param", SOFTWARE, [-100]).passed).toBe(false);
  });

  it("does not pass what compared nothing", () => {
    expect(new Comparison()).toMatchObject({ passed: false, messages: ["nothing was compared"] });
  });

  it("tells the first failures and counts the rest", () => {
    const comparison = new Comparison();
    for (let i = 0; i < 9; i++) comparison.equal(`step ${i}`, i, 9);
    expect(comparison.messages).toHaveLength(6);
    expect(comparison.messages.at(-1)).toBe("and 4 more");
  });
});

describe("options of the reference", () => {
  it("become the engine's, the group's before the constructor's", () => {
    expect(groupOptions("AdamW", { lr: 0.1, betas: [0.5, 0.9] }, { lr: 0.2, weight_decay: 0.3 })).toEqual({
      lr: 0.2,
      betas: [0.5, 0.9],
      weightDecay: 0.3,
    });
  });

  it("have the defaults of the reference where those are others", () => {
    const muon = { rule: "muon", convention: "keller-jordan", lr: 0.02, weightDecay: 0 };
    const adam = { rule: "adamw", lr: 3e-4, betas: [0.9, 0.95], eps: 1e-10, weightDecay: 0 };
    const groups = [{ use_muon: true }, { use_muon: false }];
    expect(planOf("MuonWithAuxAdam@KellerJordan", {}, groups)).toEqual({ rule: "muon", groups: [muon, adam] });
    expect(groupOptions("CautiousLion@C-Optim")).toEqual({ cautiousUpdate: "c-optim", betas: [0.95, 0.98] });
    expect(groupOptions("Adafactor@timm", {}, { eps: 1e-20 })).toMatchObject({
      relativeStep: true,
      eps: [1e-20, 1e-3],
    });
    expect(groupOptions("Adafactor@torch2", {}, { eps: [null, 1e-2] })).toMatchObject({ eps: [0, 1e-2] });
    expect(groupOptions("Prodigy", { growth_rate: "inf", beta3: null })).toEqual({ growthRate: 0, beta3: 0 });
  });

  it("become the whole optimizer's where they are no group's here", () => {
    const sgd = [{ lr: 0.1, momentum: 0.9 }];
    expect(planOf("Lookahead@timm", { base: "SGD", momentum: 0.9, k: 3, alpha: 0.8 }, [{ lr: 0.1 }])).toEqual({
      rule: "sgd",
      groups: sgd,
      lookahead: { k: 3, alpha: 0.8, init: "first-sync" },
    });
    expect(planOf("Lamb@timm").clip).toEqual({ globalNorm: 1, eps: 0 });
    expect(planOf("Lamb@timm", { max_grad_norm: null }).clip).toBeUndefined();
    const clip = { globalNorm: 2, eps: 1e-4 };
    expect(planOf("Adan", { max_grad_norm: 2 }, [{ eps: 1e-3 }, { eps: 1e-4 }]).clip).toEqual(clip);
    expect(planOf("Adan", { max_grad_norm: 2, eps: 1e-4 }, [{ eps: 1e-3 }, {}]).clip).toEqual(clip);
  });

  it("that depend on the lr follow it", () => {
    const corrected = { weight_decay: 0.2, corrected_weight_decay: true };
    expect(groupOptions("CautiousAdamW@timm", { lr: 0.02 }, { ...corrected, lr: 0.005 }).weightDecay).toBeCloseTo(
      0.05,
      12,
    );
    expect(
      groupOptions("MADGRAD@timm", { decoupled_decay: true, momentum: 0.5 }, { weight_decay: 0.2 }).weightDecay,
    ).toBe(0.1);
  });

  it("that belong to construction are the constructor's", () => {
    // Lookahead and RMSprop both have an alpha.
    const groups = [{ alpha: 0.9 }, {}];
    expect(planOf("Lookahead@timm", { base: "RMSprop", k: 3, alpha: 0.8 }, groups)).toEqual({
      rule: "rmsprop",
      groups,
      lookahead: { k: 3, alpha: 0.8, init: "first-sync" },
    });
    expect(groupOptions("Adagrad", {}, { initial_accumulator_value: 1 })).toEqual({ initialAccumulatorValue: 0 });
    expect(groupOptions("Adagrad", { initial_accumulator_value: 1 })).toEqual({ initialAccumulatorValue: 1 });
    for (const optimizer of ["Lion@lucidrains", "CautiousLion@lucidrains"]) {
      expect(
        groupOptions(optimizer, { lr: 0.1, decoupled_weight_decay: true }, { lr: 0.01, weight_decay: 0.2 }),
      ).toMatchObject({ lr: 0.01, weightDecay: 0.2, decayMode: "scheduled", referenceLr: 0.1 });
    }
  });

  it("decide together", () => {
    expect(groupOptions("CautiousSGDW@timm", {}, { momentum: 0 })).toEqual({ momentum: 0, decayMode: "decoupled" });
    expect(groupOptions("CautiousSGDW@timm", {}, { momentum: 0.9 })).toMatchObject({ cautiousUpdate: "timm" });
    expect(groupOptions("CautiousLion@lucidrains")).toEqual({
      cautiousUpdate: { convention: "lucidrains", factor: 0 },
    });
    for (const one of [{ weight_decouple: false }, { fixed_decay: true, weight_decouple: false }])
      expect(groupOptions("AdaBelief", one)).toEqual({ decayMode: "coupled" });
    expect(groupOptions("AdaBelief", { fixed_decay: true })).toEqual({ decayMode: "independent" });
  });

  it("that are off at 0 here and not there are next to 0", () => {
    const least = 2 ** -126;
    expect(groupOptions("Adafactor@transformers", {}, { beta1: 0 })).toMatchObject({ beta1: least });
    expect(groupOptions("Prodigy", { beta3: 0 })).toEqual({ beta3: least });
    expect(groupOptions("ADOPT@timm", {}, { clip_exp: 0 })).toEqual({ clipExp: least });
    expect(groupOptions("ADOPT@timm", {}, { clip_exp: null })).toEqual({ clipExp: 0 });
  });

  it("are never ignored", () => {
    expect(() => groupOptions("SGD", { betas: [0.9, 0.9] })).toThrow("SGD has no option betas here");
    expect(() => groupOptions("SGD", { toString: 1 })).toThrow("SGD has no option toString here");
    expect(() => groupOptions("SGD", { nesterov: 1 })).toThrow("SGD: nesterov must be true or false, got 1");
    expect(() => groupOptions("Adam", { betas: [0.9] })).toThrow("Adam: betas must be two numbers, got [0.9]");
    expect(() => groupOptions("Adam", { weight_decay: null })).toThrow("Adam: weight_decay must be a number, got null");
  });

  it("belong to optimizers that are there", () => {
    expect(whyUnsupported("AdamW")).toBeUndefined();
    expect(whyUnsupported("AdamX")).toBe("the engine has no optimizer AdamX yet");
    expect(whyUnsupported("constructor")).toContain("no optimizer constructor");
  });
});
