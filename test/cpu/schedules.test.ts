/** Properties that every schedule has, the shapes of single ones, and how bad arguments are refused. */

import { describe, expect, it } from "vitest";
import { reduceOnPlateau } from "../../src/engine/plateau.ts";
import {
  constant,
  cosine,
  cosineAnnealing,
  exponential,
  inverseSqrt,
  linear,
  multiStep,
  noam,
  polynomial,
  type Schedule,
  stepDecay,
  wsd,
} from "../../src/engine/schedules.ts";
import { chained, delay, lambda, multiplicative, sequential, warmup } from "../../src/engine/schedules-compose.ts";
import { cyclic, cyclicMomentum, oneCycle, oneCycleMomentum, warmRestarts } from "../../src/engine/schedules-cyclic.ts";
import { OptionError } from "../../src/errors.ts";

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Every factory, as a function of its base value, without floors: so that the value scales with the base. */
const factories: Record<string, (base: number) => Schedule> = {
  constant: (v) => constant(v),
  "constant, factor": (v) => constant(v, { factor: 0.25, totalIters: 5 }),
  stepDecay: (v) => stepDecay(v, 30),
  "stepDecay, growing": (v) => stepDecay(v, 30, { gamma: 1.5 }),
  multiStep: (v) => multiStep(v, [80, 30, 30]),
  exponential: (v) => exponential(v, 0.999),
  "exponential, growing": (v) => exponential(v, 1.01),
  linear: (v) => linear(v, 7),
  "linear to 0": (v) => linear(v, 7, { endFactor: 0 }),
  polynomial: (v) => polynomial(v, 100, { power: 0.9 }),
  cosine: (v) => cosine(v, 1000),
  cosineAnnealing: (v) => cosineAnnealing(v, 50),
  inverseSqrt: (v) => inverseSqrt(v, 100),
  noam: (v) => noam(512, 100, { factor: v }),
  "wsd, linear": (v) => wsd(v, { warmup: 10, stable: 50, decay: 20 }),
  "wsd, cosine": (v) => wsd(v, { warmup: 0, stable: 50, decay: 20, shape: "cosine" }),
  "wsd, sqrt": (v) => wsd(v, { warmup: 10, stable: 0, decay: 20, start: 0.1, shape: "sqrt" }),
  "wsd, nothing": (v) => wsd(v, { warmup: 0, stable: 0, decay: 0 }),
  warmRestarts: (v) => warmRestarts(v, 10),
  "warmRestarts, longer": (v) => warmRestarts(v, 10, { tMult: 2 }),
  "warmRestarts, fractional": (v) => warmRestarts(v, 0.7, { tMult: 1.3 }),
  oneCycle: (v) => oneCycle(v, 100),
  "oneCycle, linear": (v) => oneCycle(v, 100, { annealStrategy: "linear", finalDivFactor: 1e20 }),
  "oneCycle, three": (v) => oneCycle(v, 100, { threePhase: true }),
  "oneCycle, all rise": (v) => oneCycle(v, 100, { pctStart: 1 }),
  "oneCycle, no rise": (v) => oneCycle(v, 100, { pctStart: 0 }),
  "oneCycle, short": (v) => oneCycle(v, 1, { pctStart: 1, threePhase: true }),
  cyclic: (v) => cyclic(0, v, 7),
  "cyclic, fractional": (v) => cyclic(0, v, 0.1, { stepSizeDown: 1.3 }),
  "cyclic, halved": (v) => cyclic(0, v, 7, { mode: "triangular2" }),
  "cyclic, exp": (v) => cyclic(0, v, 7, { mode: "exp_range", gamma: 0.99 }),
  "cyclic, growing": (v) => cyclic(0, v, 7, { mode: "exp_range", gamma: 1.1 }),
  "cyclic, own scale": (v) => cyclic(0, v, 7, { scale: (cycle, step) => 1 / (cycle + step) }),
  warmup: (v) => warmup(20, cosine(v, 100)),
  delay: (v) => delay(20, linear(v, 50, { startFactor: 0 })),
  sequential: (v) => sequential([linear(v, 10), constant(v), exponential(v, 0.9)], [10, 40]),
  chained: (v) => chained(v, [linear(1, 10), exponential(1, 1.5), polynomial(1, 1000)]),
  lambda: (v) => lambda(v, (step) => 1 / (1 + step)),
  multiplicative: (v) => multiplicative(v, (step) => (step % 2 === 0 ? 0.9 : 1.05)),
  "multiplicative, growing": (v) => multiplicative(v, () => 1.5),
  reduceOnPlateau: (v) => reduceOnPlateau(v),
};
const eachFactory = Object.entries(factories);

describe("every schedule", () => {
  it.each(eachFactory)("%s: no NaN and nothing below 0 in 100 000 steps and between them", (_, make) => {
    const schedule = make(0.1);
    // NaN >= 0 is false.
    const wrong = range(100_000).find((t) => !(schedule(t) >= 0));
    expect(wrong).toBeUndefined();
    expect(range(1000).find((i) => !(schedule(i * 0.37) >= 0))).toBeUndefined();
  });

  it.each(eachFactory)("%s: a base value of 0 is 0 for ever", (_, make) => {
    const schedule = make(0);
    expect(range(100_000).find((t) => schedule(t) !== 0)).toBeUndefined();
  });

  it.each(eachFactory)("%s: is proportional to the base value, so that lrScale may multiply it", (_, make) => {
    const [one, four] = [make(0.1), make(0.4)];
    // A factor of 4 is exact in binary floating point.
    expect(range(500).map(four)).toEqual(range(500).map((t) => 4 * one(t)));
  });

  it.each(eachFactory)("%s: the order of calls does not matter, to the bit", (_, make) => {
    const schedule = make(0.1);
    const forwards = range(300).map(schedule);
    const shuffled = range(300).map((i) => (i * 127 + 41) % 300);
    for (const t of shuffled) expect(schedule(t)).toBe(forwards[t]);
    expect(range(300).reverse().map(schedule)).toEqual([...forwards].reverse());
    expect(range(300).map((t) => make(0.1)(t))).toEqual(forwards);
  });
});

describe("shapes", () => {
  it("cosine stays at its floor, cosineAnnealing rises again", () => {
    const [held, wave] = [cosine(1, 100, { etaMin: 0.25 }), cosineAnnealing(1, 100, { etaMin: 0.25 })];
    expect([0, 50, 100, 101, 200].map(held)).toEqual([1, 0.625, 0.25, 0.25, 0.25]);
    for (const t of range(101)) expect(held(t)).toBe(wave(t));
    expect(wave(200)).toBe(1);
  });

  it("linear starts and ends exactly at its factors", () => {
    for (const start of range(100)) {
      const schedule = linear(1, 7, { startFactor: start / 100, endFactor: 0.58 });
      expect([schedule(0), schedule(7), schedule(8)]).toEqual([start / 100, 0.58, 0.58]);
    }
  });

  it("warmRestarts finds the cycle where PyTorch's logarithm does not", () => {
    // Cycles of 3^i end at (3^n - 1) / 2; log(243) / log(3) rounds to 4.999...
    const schedule = warmRestarts(1, 1, { tMult: 3 });
    for (const n of range(10)) expect(schedule((3 ** n - 1) / 2)).toBe(1);
    expect(schedule((3 ** 5 - 1) / 2 - 1e-6)).toBeLessThan(1e-12);
  });

  it("noam has the peak of the Transformer paper's base model, and is inverseSqrt counted from 1", () => {
    const schedule = noam(512, 4000);
    expect(schedule(3999)).toBeCloseTo(1 / Math.sqrt(512 * 4000), 15);
    const same = inverseSqrt((512 * 4000) ** -0.5, 4000);
    // A handful of roundings on either side.
    for (const t of range(20_000)) expect(Math.abs(schedule(t) / same(t + 1) - 1)).toBeLessThan(1e-14);
  });

  it("wsd keeps its value, then decays in the given shape", () => {
    const at = [0, 50, 100, 599, 600, 625, 700, 9999];
    const lengths = { warmup: 100, stable: 500, decay: 100, etaMin: 0.1 };
    expect(at.map(wsd(1.1, lengths))).toEqual([0, 0.55, 1.1, 1.1, 1.1, 0.85, 0.1, 0.1]);
    expect(wsd(1, { ...lengths, etaMin: 0, shape: "sqrt" })(625)).toBe(0.5);
    expect(wsd(1, { ...lengths, etaMin: 0, shape: "cosine" })(625)).toBe((1 + Math.SQRT1_2) / 2);
    expect(wsd(1, { ...lengths, start: 0.5 })(0)).toBe(0.5);
  });

  it("oneCycle and its momentum move against each other and stay where the cycle ends", () => {
    const lr = oneCycle(1, 100, { divFactor: 32, finalDivFactor: 1024 });
    const momentum = oneCycleMomentum(100, { baseMomentum: 0.5, maxMomentum: 0.75 });
    expect([lr(0), lr(29), lr(99), lr(5000)]).toEqual([2 ** -5, 1, 2 ** -15, 2 ** -15]);
    expect([momentum(0), momentum(29), momentum(99), momentum(5000)]).toEqual([0.75, 0.5, 0.75, 0.75]);
    for (const t of range(99)) expect(Math.sign(lr(t + 1) - lr(t))).toBe(-Math.sign(momentum(t + 1) - momentum(t)));
    const third = oneCycleMomentum(100, { threePhase: true });
    for (const t of range(41)) expect(third(58 + t)).toBe(0.95);
  });

  it("cyclicMomentum is highest where cyclic is lowest", () => {
    const shape = { stepSizeDown: 6, mode: "triangular2" } as const;
    const [lr, momentum] = [cyclic(0.25, 0.75, 4, shape), cyclicMomentum(4, shape)];
    expect([0, 4, 7, 10, 14].map(lr)).toEqual([0.25, 0.75, 0.5, 0.25, 0.5]);
    for (const t of range(40)) expect(momentum(t)).toBeCloseTo(0.9 - (lr(t) - 0.25) / 5, 14);
  });

  it.each<[string, Schedule, number[]]>([
    ["warmup", warmup(200, cosine(1, 1000)), [200, 1000]],
    ["warmup of a fast decay", warmup(50, exponential(1, 0.9)), [50]],
    ["delay behind warmup", warmup(200, delay(200, cosine(1, 800))), [200, 1000]],
    ["wsd, linear", wsd(1, { warmup: 10, stable: 20, decay: 30, etaMin: 0.1 }), [10, 30, 60]],
    ["wsd, cosine", wsd(1, { warmup: 10, stable: 20, decay: 30, shape: "cosine" }), [10, 30, 60]],
    ["oneCycle", oneCycle(1, 100), [29, 99]],
    ["oneCycle, three phases", oneCycle(1, 100, { threePhase: true }), [29, 58, 99]],
    ["cyclic", cyclic(0.1, 1, 4, { stepSizeDown: 6 }), [4, 10, 14, 20]],
    ["inverseSqrt", inverseSqrt(1, 50), [50]],
    ["noam", noam(64, 50), [49]],
    ["linear", linear(1, 10), [10]],
    ["polynomial", polynomial(1, 10, { power: 2, etaMin: 0.1 }), [10]],
  ])("%s: no jump where its pieces join", (_, schedule, joins) => {
    // No slope here exceeds 1 per step, so a gap of 1e-9 steps moves the value by no more than 1e-9 and its rounding.
    for (const join of joins) {
      expect(Math.abs(schedule(join) - schedule(join - 1e-9))).toBeLessThan(2e-9);
      expect(Math.abs(schedule(join + 1e-9) - schedule(join))).toBeLessThan(2e-9);
    }
  });
});

describe("bad arguments", () => {
  const bad: [string, () => unknown][] = [
    ["constant: value must be a finite number >= 0, got -1", () => constant(-1)],
    ["constant: totalIters must be a finite number > 0, got 0", () => constant(1, { factor: 1, totalIters: 0 })],
    ["stepDecay: stepSize must be a finite number > 0, got 0", () => stepDecay(1, 0)],
    ["stepDecay: gamma must be a finite number >= 0, got -0.1", () => stepDecay(1, 1, { gamma: -0.1 })],
    ["multiStep: milestones[1] must be a finite number >= 0, got NaN", () => multiStep(1, [3, Number.NaN])],
    ["exponential: gamma must be a finite number >= 0, got undefined", () => exponential(1, undefined as never)],
    ["linear: endFactor must be a finite number >= 0, got Infinity", () => linear(1, 5, { endFactor: Infinity })],
    ["polynomial: power must be a finite number >= 0, got -2", () => polynomial(1, 5, { power: -2 })],
    ["cosine: steps must be a finite number > 0, got NaN", () => cosine(1, Number.NaN)],
    ['cosine: value must be a finite number >= 0, got "1"', () => cosine("1" as never, 5)],
    ["cosineAnnealing: etaMin must be a finite number >= 0, got -1", () => cosineAnnealing(1, 5, { etaMin: -1 })],
    ["inverseSqrt: warmupSteps must be a finite number > 0, got 0", () => inverseSqrt(1, 0)],
    ["noam: dModel must be a finite number > 0, got 0", () => noam(0, 5)],
    ["wsd: start must be in [0, 1], got 2", () => wsd(1, { warmup: 1, stable: 1, decay: 1, start: 2 })],
    [
      'wsd: shape must be one of "linear", "cosine", "sqrt", got "exp"',
      () => wsd(1, { warmup: 1, stable: 1, decay: 1, shape: "exp" as never }),
    ],
    ["warmRestarts: tMult must be a finite number >= 1, got 0.5", () => warmRestarts(1, 5, { tMult: 0.5 })],
    ["oneCycle: totalSteps must be a finite number >= 1, got 0", () => oneCycle(1, 0)],
    ["oneCycle: pctStart must be in [0, 1], got 30", () => oneCycle(1, 9, { pctStart: 30 })],
    ["oneCycle: divFactor must be a finite number > 0, got 0", () => oneCycle(1, 9, { divFactor: 0 })],
    ["oneCycleMomentum: maxMomentum must be in [0, 1], got 2", () => oneCycleMomentum(9, { maxMomentum: 2 })],
    ["cyclic: stepSizeDown must be a finite number > 0, got 0", () => cyclic(0, 1, 5, { stepSizeDown: 0 })],
    ["cyclic: scale must be a function that returns a number, got 2", () => cyclic(0, 1, 5, { scale: 2 as never })],
    ["cyclicMomentum: stepSizeUp must be a finite number > 0, got -5", () => cyclicMomentum(-5)],
    ["warmup: inner must be a function that returns a number, got 0.1", () => warmup(5, 0.1 as never)],
    ["warmup: start must be in [0, 1], got -1", () => warmup(5, constant(1), { start: -1 })],
    ["delay: steps must be a finite number >= 0, got -5", () => delay(-5, constant(1))],
    ["sequential: schedules must not be empty, got []", () => sequential([], [])],
    ["sequential: milestones must be 1 in number, got []", () => sequential([constant(1), constant(1)], [])],
    [
      "sequential: milestones[1] must be a finite number >= 9, got 5",
      () => sequential([constant(1), constant(1), constant(1)], [9, 5]),
    ],
    ["chained: factors[0] must be a function that returns a number, got 0.5", () => chained(1, [0.5 as never])],
    ["lambda: value must be a finite number >= 0, got NaN", () => lambda(Number.NaN, constant(1))],
    ["multiplicative: factor must be a function that returns a number, got 0.9", () => multiplicative(1, 0.9 as never)],
    ["multiStep: milestones must be a list, got 5", () => multiStep(1, 5 as never)],
    ["sequential: schedules must be a list, got undefined", () => sequential(undefined as never, [])],
    [
      "sequential: milestones must be a list, got undefined",
      () => sequential([constant(1), constant(1)], undefined as never),
    ],
    ["chained: factors must be a list, got undefined", () => chained(1.5, undefined as never)],
    ["oneCycle: threePhase must be true or false, got 1", () => oneCycle(1, 9, { threePhase: 1 as never })],
    [
      "cyclic: scale must be a function that returns a number, got null",
      () => cyclic(0, 1, 5, { scale: null as never }),
    ],
    ["constant: totalIters must be a finite number > 0, got undefined", () => constant(1, { factor: 1 } as never)],
    ["wsd: options must be an object, got undefined", () => wsd(1, undefined as never)],
  ];
  it.each(bad)("%s", (message, make) => {
    expect(make).toThrow(OptionError);
    expect(make).toThrow(message);
  });

  const withOptions: Record<string, (options: never) => unknown> = {
    constant: (o) => constant(1, o),
    stepDecay: (o) => stepDecay(1, 5, o),
    multiStep: (o) => multiStep(1, [5], o),
    linear: (o) => linear(1, 5, o),
    polynomial: (o) => polynomial(1, 5, o),
    cosine: (o) => cosine(1, 5, o),
    cosineAnnealing: (o) => cosineAnnealing(1, 5, o),
    noam: (o) => noam(64, 5, o),
    wsd: (o) => wsd(1, o),
    warmRestarts: (o) => warmRestarts(1, 5, o),
    oneCycle: (o) => oneCycle(1, 5, o),
    oneCycleMomentum: (o) => oneCycleMomentum(5, o),
    cyclic: (o) => cyclic(0, 1, 5, o),
    cyclicMomentum: (o) => cyclicMomentum(5, o),
    warmup: (o) => warmup(5, constant(1), o),
    delay: (o) => delay(5, constant(1), o),
    reduceOnPlateau: (o) => reduceOnPlateau(1, o),
  };
  it.each(Object.entries(withOptions))("%s: none of its options is lost", (name, make) => {
    // An option of another schedule or of PyTorch, and what would be an argument by position there.
    expect(() => make({ eta_min: 0.5 } as never)).toThrow(`${name}: eta_min is no option; known: `);
    for (const options of [null, 0.5, "linear", [0.5], true]) {
      expect(() => make(options as never)).toThrow(OptionError);
      expect(() => make(options as never)).toThrow(
        `${name}: options must be an object, got ${JSON.stringify(options)}`,
      );
    }
  });
});
