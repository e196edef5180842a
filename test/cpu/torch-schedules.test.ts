/** Schedules against PyTorch's golden data and against the recursions PyTorch computes them by; and the bridge to them. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseFormula } from "../reference/lambda-formula.ts";
import { type TorchSchedulerCase, torchSchedule } from "../reference/torch-schedules.ts";

interface GoldenCase extends TorchSchedulerCase {
  id: string;
  lr: number[][];
  momentum?: number[][];
}
const golden: { cases: GoldenCase[] } = JSON.parse(
  readFileSync(new URL("../golden/schedulers.json", import.meta.url), "utf8"),
);

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/**
 * PyTorch multiplies its lr step by step, we take the closed form. Each of the at most 31 products rounds by 2^-53, and
 * the cosine recursion with T_max = 10 enlarges that by up to 1 / (1 + cos(0.9 pi)) = 20: 31 * 20 * 2^-53 = 7e-14.
 */
const RELATIVE = 1e-12;

const off = (got: number | undefined, want: number) => Math.abs(got! - want) - RELATIVE * Math.abs(want);

describe("golden data of PyTorch", () => {
  it.each(golden.cases.map((c) => [c.id, c] as const))("%s", (_, test) => {
    for (const group of test.baseLr.keys()) {
      const { lr, momentum } = torchSchedule(test, group);
      expect(lr.length).toBe(test.lr.length);
      for (const [i, want] of test.lr.entries()) expect(off(lr[i], want[group]!), `lr[${i}]`).toBeLessThanOrEqual(0);
      expect(momentum?.length).toBe(test.momentum?.length);
      for (const [i, want] of (test.momentum ?? []).entries()) {
        expect(off(momentum?.[i], want[group]!), `momentum[${i}]`).toBeLessThanOrEqual(0);
      }
    }
  });
});

/** PyTorch's `get_lr`: the lr of epoch t from that of the epoch before, and from the base lr. */
type Recursion = (lr: number, t: number, base: number) => number;

const recursions: Record<string, (args: Record<string, number>) => Recursion> = {
  StepLR: (a) => (lr, t) => (t === 0 || t % a.step_size! !== 0 ? lr : lr * a.gamma!),
  ConstantLR: (a) => (lr, t) => (t === 0 ? lr * a.factor! : t === a.total_iters! ? lr * (1 / a.factor!) : lr),
  LinearLR: (a) => {
    const rise = a.end_factor! - a.start_factor!;
    return (lr, t) => {
      if (t === 0) return lr * a.start_factor!;
      if (t > a.total_iters!) return lr;
      return lr * (1 + rise / (a.total_iters! * a.start_factor! + (t - 1) * rise));
    };
  },
  ExponentialLR: (a) => (lr, t) => (t === 0 ? lr : lr * a.gamma!),
  PolynomialLR: (a) => (lr, t) => {
    if (t === 0 || t > a.total_iters!) return lr;
    return lr * ((1 - t / a.total_iters!) / (1 - (t - 1) / a.total_iters!)) ** a.power!;
  },
  CosineAnnealingLR: (a) => (lr, t, base) => {
    const [T, low] = [a.T_max!, a.eta_min!];
    if (t === 0) return lr;
    if ((t - 1 - T) % (2 * T) === 0) return lr + ((base - low) * (1 - Math.cos(Math.PI / T))) / 2;
    const height = (x: number) => 1 + Math.cos((Math.PI * x) / T);
    return (height(t) / height(t - 1)) * (lr - low) + low;
  },
  CosineAnnealingWarmRestarts: (a) => {
    let [tCur, length] = [-1, a.T_0!];
    return (_lr, _t, base) => {
      if (++tCur >= length) {
        tCur -= length;
        length *= a.T_mult!;
      }
      return a.eta_min! + ((base - a.eta_min!) * (1 + Math.cos((Math.PI * tCur) / length))) / 2;
    };
  },
};

const EPOCHS = 60;
/**
 * 60 products of three rounded operations: 180 * 2^-53 = 2e-14; behind its lowest point a cosine carries on what it was
 * off there, times 1 / (1 + cos(pi 16/17)) = 60. Taken of the largest lr: the last step to 0 or to a floor is a difference.
 */
const recursionError = (a: number[], b: number[]) =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i]!))) / Math.max(...b.map(Math.abs));

const closedFormCases: [string, Record<string, number>][] = [
  ...[1, 2, 7, 100].map((step_size) => ["StepLR", { step_size, gamma: 0.7 }] as [string, Record<string, number>]),
  ["ConstantLR", { factor: 0.3, total_iters: 1 }],
  ["ConstantLR", { factor: 1, total_iters: 13 }],
  ["LinearLR", { start_factor: 1 / 3, end_factor: 1, total_iters: 5 }],
  ["LinearLR", { start_factor: 1e-3, end_factor: 0.9, total_iters: 41 }],
  ["LinearLR", { start_factor: 1, end_factor: 0, total_iters: 16 }],
  ["ExponentialLR", { gamma: 0.83 }],
  ["ExponentialLR", { gamma: 1.1 }],
  ["PolynomialLR", { total_iters: 32, power: 0.9 }],
  ["PolynomialLR", { total_iters: 1, power: 3 }],
  ["CosineAnnealingLR", { T_max: 17, eta_min: 0 }],
  ["CosineAnnealingLR", { T_max: 9, eta_min: 0.02 }],
  ["CosineAnnealingLR", { T_max: 1000, eta_min: 0 }],
  ["CosineAnnealingWarmRestarts", { T_0: 1, T_mult: 3, eta_min: 0.01 }],
  ["CosineAnnealingWarmRestarts", { T_0: 7, T_mult: 1, eta_min: 0 }],
];

describe("closed forms equal PyTorch's recursions", () => {
  it.each(closedFormCases)("%s %o", (scheduler, args) => {
    const next = recursions[scheduler]!(args);
    const want: number[] = [];
    for (const t of range(EPOCHS)) want.push(next(want.at(-1) ?? 0.3, t, 0.3));
    const got = torchSchedule({ scheduler, args, baseLr: [0.3], lr: range(EPOCHS) }, 0).lr;
    expect(recursionError(got, want)).toBeLessThan(RELATIVE);
  });

  const [constantLR, exponentialLR] = [{ factor: 0.3, total_iters: 5 }, { gamma: 0.83 }];
  const chains: [string, Record<string, number>][][] = [
    [
      ["StepLR", { step_size: 7, gamma: 0.7 }],
      ["ConstantLR", constantLR],
      ["ExponentialLR", exponentialLR],
    ],
    [
      ["LinearLR", { start_factor: 0.1, end_factor: 1, total_iters: 10 }],
      ["CosineAnnealingLR", { T_max: 60, eta_min: 0 }],
    ],
    // No products: a floor, and up again behind T_max; a schedule that overwrites what was before it.
    [
      ["CosineAnnealingLR", { T_max: 9, eta_min: 0.02 }],
      ["ExponentialLR", exponentialLR],
    ],
    [
      ["ExponentialLR", exponentialLR],
      ["CosineAnnealingWarmRestarts", { T_0: 7, T_mult: 1, eta_min: 0 }],
      ["ConstantLR", constantLR],
    ],
  ];
  it.each(chains.map((c) => [c.map(([s]) => s).join(" "), c] as const))("ChainedScheduler %s", (_, schedulers) => {
    const links = schedulers.map(([scheduler, args]) => recursions[scheduler]!(args));
    const want: number[] = [];
    for (const t of range(EPOCHS)) want.push(links.reduce((lr, next) => next(lr, t, 0.3), want.at(-1) ?? 0.3));
    const test = { scheduler: "ChainedScheduler", args: { schedulers }, baseLr: [0.3], lr: range(EPOCHS) };
    expect(recursionError(torchSchedule(test, 0).lr, want)).toBeLessThan(RELATIVE);
  });
});

describe("the bridge from PyTorch", () => {
  const ask = (scheduler: string, args: Record<string, unknown>, more: Partial<TorchSchedulerCase> = {}) =>
    torchSchedule({ scheduler, args, baseLr: [0.1, 0.2], lr: range(4), ...more }, 1);
  const linked = (scheduler: string, ...schedulers: unknown[]) =>
    ask(scheduler, { schedulers, milestones: schedulers.slice(1).map((_, i) => 2 * i + 2) });

  it("takes PyTorch's defaults, and values for all groups or for each", () => {
    expect(ask("LinearLR", {}).lr[0]).toBe(0.2 / 3);
    expect(ask("OneCycleLR", { max_lr: [1, 2], total_steps: 4 }).lr[0]).toBeCloseTo(2 / 25, 15);
    expect(ask("OneCycleLR", { max_lr: 1, total_steps: 4, cycle_momentum: false }).momentum).toBeUndefined();
    expect(ask("CyclicLR", { base_lr: [0.5, 0.25], max_lr: 1 }).momentum?.[0]).toBe(0.9);
    expect(ask("LambdaLR", { lr_lambda: "1/(1+epoch)" }).lr).toEqual([0.2, 0.1, 0.2 * (1 / 3), 0.05]);
  });

  it("lets MultiplicativeLR go on from the lr it finds at a milestone", () => {
    const values = linked(
      "SequentialLR",
      ["ConstantLR", { factor: 0.5 }],
      ["MultiplicativeLR", { lr_lambda: ["1", "0.5"] }],
    );
    expect(values.lr).toEqual([0.1, 0.1, 0.1, 0.05]);
  });

  it.each<[string, () => unknown]>([
    ["unknown scheduler NoSuchLR", () => ask("NoSuchLR", {})],
    ["StepLR: unknown argument last_epoch", () => ask("StepLR", { step_size: 3, last_epoch: 4 })],
    ["StepLR: step_size must be a number", () => ask("StepLR", {})],
    [
      "CyclicLR: mode must be one of triangular, triangular2, exp_range",
      () => ask("CyclicLR", { base_lr: 0, max_lr: 1, mode: "x" }),
    ],
    ["StepLR: takes no metrics", () => ask("StepLR", { step_size: 3 }, { metrics: [1] })],
    ["ReduceLROnPlateau: the case has no metrics", () => ask("ReduceLROnPlateau", {})],
    ["ReduceLROnPlateau: unknown argument foo", () => ask("ReduceLROnPlateau", { foo: 1 }, { metrics: [1] })],
    ["ChainedScheduler: OneCycleLR at 0 is not covered", () => linked("ChainedScheduler", ["OneCycleLR", {}])],
    ["SequentialLR: SequentialLR at 0 is not covered", () => linked("SequentialLR", ["SequentialLR", {}])],
    ["MultiplicativeLR: has no closed form", () => ask("MultiplicativeLR", { lr_lambda: "1" }, { epochs: [1] })],
    ["StepLR: no group 1", () => ask("StepLR", { step_size: 3 }, { baseLr: [1] })],
  ])("refuses: %s", (message, call) => {
    expect(call).toThrow(message);
  });

  it.each<[string, number, number]>([
    ["1 + 2 * epoch - 6 / 4", 3, 5.5],
    ["8/4/2", 0, 1],
    ["2-1-1", 0, 0],
    ["-epoch*-2", 3, 6],
    ["-(1+epoch)", 3, -4],
    ["epoch%2==0?0.9:1.05", 4, 0.9],
    ["epoch%2==0?0.9:1.05", 5, 1.05],
    ["epoch<2?1:epoch<4?.5:.25", 3, 0.5],
    ["epoch<2?1:epoch<4?.5:.25", 4, 0.25],
    ["epoch>2?epoch>4?3:2:1", 3, 2],
    ["1+(epoch<=3)+(epoch>=3)+(epoch!=3)", 3, 3],
    ["max(1e-3,min(1,(epoch+1)/8))", 3, 0.5],
    ["0.5*(1+cos(pi*min(epoch,10)/10))", 10, 0],
    ["pow(0.95,epoch)", 3, 0.95 ** 3],
    ["exp(-epoch/3)*sqrt(4)+sin(0)", 3, 2 * Math.exp(-1)],
    ["pow(0.5,floor(epoch/30))", 89, 0.25],
  ])("evaluates %s at %d", (text, epoch, want) => {
    expect(parseFormula(text)(epoch)).toBe(want);
  });

  it.each(["", "1+", "epoch epoch", "(1", "pow(1,2", "1?2", "constructor", "toString()", "a.b", "1;2", "2**3", "pow"])(
    "refuses the formula %j",
    (text) => {
      expect(() => parseFormula(text)).toThrow(`formula "${text}"`);
    },
  );
});
