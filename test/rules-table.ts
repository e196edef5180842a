/**
 * The one table of rules that tests go through: every rule with the options that select kernel code, its float64 twin, and how
 * to draw options for random problems. A new rule adds a row, and every property is tested for it.
 */

import {
  adabelief,
  adadelta,
  adafactor,
  adagrad,
  adam,
  adamax,
  adamw,
  adan,
  ademamix,
  adopt,
  asgd,
  defineRule,
  lamb,
  laprop,
  lars,
  lion,
  madgrad,
  muon,
  nadam,
  nadamw,
  novograd,
  prodigy,
  type Rule,
  radam,
  rmsprop,
  rprop,
  scheduleFreeAdamw,
  scheduleFreeRadam,
  scheduleFreeSgd,
  sgd,
  signum,
  sophiag,
} from "../src/index.ts";
import { adabelief as adabeliefTwin } from "./reference/adabelief.ts";
import { adadelta as adadeltaTwin } from "./reference/adadelta.ts";
import { adafactor as adafactorTwin } from "./reference/adafactor.ts";
import { adagrad as adagradTwin } from "./reference/adagrad.ts";
import { adam as adamTwin, adamw as adamwTwin } from "./reference/adam.ts";
import { adamax as adamaxTwin } from "./reference/adamax.ts";
import { adan as adanTwin } from "./reference/adan.ts";
import { ademamix as ademamixTwin } from "./reference/ademamix.ts";
import { adopt as adoptTwin } from "./reference/adopt.ts";
import { asgd as asgdTwin } from "./reference/asgd.ts";
import { lamb as lambTwin } from "./reference/lamb.ts";
import { laprop as lapropTwin } from "./reference/laprop.ts";
import { lars as larsTwin } from "./reference/lars.ts";
import { lion as lionTwin } from "./reference/lion.ts";
import { madgrad as madgradTwin } from "./reference/madgrad.ts";
import { muon as muonTwin } from "./reference/muon.ts";
import { nadam as nadamTwin } from "./reference/nadam.ts";
import { nadamw as nadamwTwin } from "./reference/nadamw.ts";
import { novograd as novogradTwin } from "./reference/novograd.ts";
import { prodigy as prodigyTwin } from "./reference/prodigy.ts";
import { radam as radamTwin } from "./reference/radam.ts";
import { rmsprop as rmspropTwin } from "./reference/rmsprop.ts";
import { rprop as rpropTwin } from "./reference/rprop.ts";
import { slot, type TwinRule } from "./reference/rule.ts";
import {
  scheduleFreeAdamw as scheduleFreeAdamwTwin,
  scheduleFreeRadam as scheduleFreeRadamTwin,
  scheduleFreeSgd as scheduleFreeSgdTwin,
} from "./reference/schedule-free.ts";
import { sgd as sgdTwin } from "./reference/sgd.ts";
import { signum as signumTwin } from "./reference/signum.ts";
import { sophiag as sophiagTwin } from "./reference/sophiag.ts";
import signMomentumWgsl from "./sign-momentum.wgsl?raw";

/** Uniform in [0, 1). */
export type Random = () => number;

/** Options of a rule, by names that engine and twin share. */
export interface RowOptions {
  readonly betas?: readonly number[];
  readonly [hyper: string]: unknown;
}

export interface RuleRow {
  readonly name: string;
  readonly rule: Rule;
  readonly twin: TwinRule;
  /** What `rule` was made with, for the twin. */
  readonly options: RowOptions;
  /** Options of a group, within the kernel code that `options` ask for. */
  readonly draw: (random: Random) => RowOptions;
  /** A change of options that may come at any time. */
  readonly change: RowOptions;
  /** The shape that a tensor must have in place of this one, with as many elements; default any shape. */
  readonly shape?: (shape: readonly number[]) => readonly number[];
  /** Slots that a zero gradient leaves other than zero, and why. */
  readonly traces?: { readonly slots: readonly string[]; readonly because: string };
  /** Why parameters move although lr is 0. */
  readonly movesWithoutLr?: string;
  /** Why parameters move although the gradient is zero. */
  readonly movesWithoutGradient?: string;
  /** Why what happens in one group shows in others. */
  readonly joinsGroups?: string;
  /** Of the large random problem, where the usual one has a sign within rounding distance. */
  readonly seed?: number;
}

/** Momentum that is the mean of the gradients at first: see `sign-momentum.wgsl`. */
export const signMomentum = defineRule<{ beta: number; maximize: boolean }>({
  name: "sign-momentum",
  wgsl: signMomentumWgsl,
  defaults: { beta: 0.9, maximize: false },
  slots: ["momentum"],
  hyper: () => ({ unused: 0 }),
  stepRow: ({ beta }, t) => ({ keep: (beta * t) / (t + 1), take: 1 - (beta * t) / (t + 1) }),
  lastStepRow: () => Number.POSITIVE_INFINITY,
});

const signMomentumTwin: TwinRule<{ beta?: number }> = {
  name: "sign-momentum",
  decayMode: "decoupled",
  weightDecay: 0,
  update(g, state, { beta = 0.9 }, lr) {
    const keep = (beta * state.step) / (state.step + 1);
    const m = slot(state, "momentum", () => new Float64Array(g.length));
    return g.map((gi, i) => {
      m[i] = keep * m[i]! + (1 - keep) * gi;
      return lr * Math.sign(m[i]!);
    });
  },
};

const between = (random: Random, from: number, to: number) => from + (to - from) * random();
const betas = (random: Random): [number, number] => [between(random, 0, 0.99), between(random, 0.5, 0.9995)];
const threeBetas = (random: Random): [number, number, number] => [...betas(random), between(random, 0.5, 0.9999)];
const eps = (random: Random) => 10 ** between(random, -9, -3);
const coin = (random: Random) => random() < 0.5;
const pick = <T>(random: Random, all: readonly T[]): T => all[Math.floor(all.length * random())]!;

/** A matrix in the place of what is none, as square as its size allows. */
function matrixOf(shape: readonly number[]): readonly number[] {
  if (shape.length >= 2) return shape;
  const [size = 1] = shape;
  let rows = Math.floor(Math.sqrt(size));
  while (rows > 1 && size % rows !== 0) rows--;
  return [Math.max(1, rows), size / Math.max(1, rows)];
}

export const RULES: readonly RuleRow[] = [
  {
    name: "sgd",
    rule: sgd(),
    twin: sgdTwin,
    options: {},
    draw: (random) => ({ maximize: coin(random) }),
    change: { maximize: true },
  },
  {
    name: "sgd, momentum and dampening",
    rule: sgd({ momentum: 0.9, dampening: 0.3 }),
    twin: sgdTwin,
    options: { momentum: 0.9, dampening: 0.3 },
    draw: (random) => ({ momentum: between(random, 0.1, 0.99), dampening: random(), maximize: coin(random) }),
    change: { momentum: 0.7, dampening: 0.1 },
  },
  {
    name: "sgd, Nesterov momentum, maximizing",
    rule: sgd({ momentum: 0.9, nesterov: true, maximize: true }),
    twin: sgdTwin,
    options: { momentum: 0.9, nesterov: true, maximize: true },
    draw: (random) => ({ momentum: between(random, 0.1, 0.99), nesterov: coin(random), maximize: coin(random) }),
    change: { momentum: 0.7, nesterov: false },
  },
  {
    name: "adam",
    rule: adam(),
    twin: adamTwin,
    options: {},
    draw: (random) => ({ betas: betas(random), eps: eps(random), maximize: coin(random) }),
    change: { betas: [0.8, 0.99], eps: 1e-6 },
  },
  {
    name: "adam, AMSGrad",
    rule: adam({ amsgrad: true }),
    twin: adamTwin,
    options: { amsgrad: true },
    draw: (random) => ({ betas: betas(random), eps: eps(random), amsgrad: coin(random) }),
    change: { betas: [0.8, 0.99], eps: 1e-6 },
  },
  {
    name: "adamw",
    rule: adamw({ betas: [0.9, 0.95] }),
    twin: adamwTwin,
    options: { betas: [0.9, 0.95] },
    draw: (random) => ({ betas: betas(random), eps: eps(random) }),
    change: { betas: [0.8, 0.99], eps: 1e-6 },
  },
  {
    name: "adamw, AMSGrad, maximizing",
    rule: adamw({ amsgrad: true, maximize: true }),
    twin: adamwTwin,
    options: { amsgrad: true, maximize: true },
    draw: (random) => ({ betas: betas(random), eps: eps(random), amsgrad: coin(random), maximize: coin(random) }),
    change: { betas: [0.8, 0.99], eps: 1e-6 },
  },
  {
    name: "a rule of the user's own",
    rule: signMomentum({ beta: 0.95 }),
    twin: signMomentumTwin,
    options: { beta: 0.95 },
    draw: (random) => ({ beta: random(), maximize: coin(random) }),
    change: { beta: 0.5 },
  },
  {
    name: "adamax",
    rule: adamax(),
    twin: adamaxTwin,
    options: {},
    draw: (random) => ({ betas: betas(random), eps: eps(random), maximize: coin(random) }),
    change: { betas: [0.8, 0.99], eps: 1e-6 },
    traces: { slots: ["exp_inf"], because: "eps is inside the maximum" },
  },
  {
    name: "nadam",
    rule: nadam(),
    twin: nadamTwin,
    options: {},
    draw: (random) => ({
      betas: betas(random),
      eps: eps(random),
      momentumDecay: random() ** 4,
      maximize: coin(random),
    }),
    change: { betas: [0.8, 0.99], eps: 1e-6, momentumDecay: 0.1 },
  },
  {
    name: "nadamw",
    rule: nadamw(),
    twin: nadamwTwin,
    options: {},
    draw: (random) => ({ betas: betas(random), eps: eps(random), maximize: coin(random) }),
    change: { betas: [0.8, 0.99], eps: 1e-6 },
  },
  {
    name: "radam",
    rule: radam(),
    twin: radamTwin,
    options: {},
    draw: (random) => ({ betas: betas(random), eps: eps(random), maximize: coin(random) }),
    change: { betas: [0.8, 0.99], eps: 1e-6 },
  },
  {
    name: "adabelief",
    rule: adabelief({ betas: [0.9, 0.9] }),
    twin: adabeliefTwin,
    options: { betas: [0.9, 0.9] },
    draw: (random) => ({
      betas: betas(random),
      eps: 10 ** between(random, -16, -6),
      rectify: coin(random),
      degeneratedToSgd: coin(random),
      maximize: coin(random),
    }),
    change: { betas: [0.8, 0.99], eps: 1e-10 },
    traces: { slots: ["exp_avg_var"], because: "eps is part of the variance" },
  },
  {
    name: "adabelief, AMSGrad, not rectified",
    rule: adabelief({ amsgrad: true, rectify: false }),
    twin: adabeliefTwin,
    options: { amsgrad: true, rectify: false },
    draw: (random) => ({ betas: betas(random), eps: 1e-12, amsgrad: coin(random), rectify: coin(random) }),
    change: { betas: [0.8, 0.99], eps: 1e-10 },
    traces: { slots: ["exp_avg_var", "max_exp_avg_var"], because: "eps is part of the variance" },
  },
  {
    name: "rmsprop",
    rule: rmsprop(),
    twin: rmspropTwin,
    options: {},
    draw: (random) => ({ alpha: between(random, 0.5, 0.999), eps: eps(random), maximize: coin(random) }),
    change: { alpha: 0.9, eps: 1e-6 },
  },
  {
    name: "rmsprop, centered, momentum",
    rule: rmsprop({ centered: true, momentum: 0.9 }),
    twin: rmspropTwin,
    options: { centered: true, momentum: 0.9 },
    draw: (random) => ({
      alpha: between(random, 0.5, 0.999),
      eps: eps(random),
      centered: coin(random),
      momentum: coin(random) ? 0 : between(random, 0.1, 0.99),
    }),
    change: { alpha: 0.9, momentum: 0.7 },
  },
  {
    name: "rmsprop, TensorFlow's",
    rule: rmsprop({ alpha: 0.9, eps: 1e-10, momentum: 0.9, tensorflow: true }),
    twin: rmspropTwin,
    options: { alpha: 0.9, eps: 1e-10, momentum: 0.9, tensorflow: true },
    draw: (random) => ({ alpha: between(random, 0.5, 0.999), eps: eps(random), momentum: random(), tensorflow: true }),
    change: { alpha: 0.99, momentum: 0.7 },
    traces: { slots: ["square_avg"], because: "it begins with 1" },
  },
  {
    name: "adagrad",
    rule: adagrad(),
    twin: adagradTwin,
    options: {},
    draw: (random) => ({ eps: eps(random), maximize: coin(random) }),
    change: { eps: 1e-6 },
  },
  {
    name: "adagrad, lr decay, initial value",
    rule: adagrad({ lrDecay: 0.1, initialAccumulatorValue: 0.1 }),
    twin: adagradTwin,
    options: { lrDecay: 0.1, initialAccumulatorValue: 0.1 },
    draw: (random) => ({ lrDecay: random(), initialAccumulatorValue: random(), eps: eps(random) }),
    change: { lrDecay: 0.5 },
    traces: { slots: ["sum"], because: "it begins with the initial value" },
  },
  {
    name: "adadelta",
    rule: adadelta(),
    twin: adadeltaTwin,
    options: {},
    draw: (random) => ({ rho: between(random, 0.5, 0.99), eps: eps(random), maximize: coin(random) }),
    change: { rho: 0.95, eps: 1e-5 },
  },
  {
    name: "rprop",
    rule: rprop(),
    twin: rpropTwin,
    options: {},
    draw: (random) => ({
      // Of float32: what rounding does to a factor grows with every step that it is applied in.
      etas: [Math.fround(between(random, 0.1, 0.9)), Math.fround(between(random, 1.05, 2))],
      stepSizes: [10 ** between(random, -7, -3), between(random, 0.1, 50)],
      maximize: coin(random),
    }),
    change: { etas: [0.4, 1.5], stepSizes: [1e-5, 1] },
    traces: { slots: ["step_size"], because: "it begins with lr" },
    movesWithoutLr: "lr is only the first step size, and less than the least is raised to it",
  },
  {
    name: "lion",
    rule: lion(),
    twin: lionTwin,
    options: {},
    draw: (random) => ({ betas: betas(random), maximize: coin(random) }),
    change: { betas: [0.95, 0.98] },
  },
  {
    name: "adan",
    rule: adan(),
    twin: adanTwin,
    options: {},
    draw: (random) => ({ betas: threeBetas(random), eps: eps(random), maximize: coin(random) }),
    change: { betas: [0.9, 0.8, 0.95], eps: 1e-6 },
  },
  {
    name: "ademamix",
    rule: ademamix({ alpha: 5, alphaWarmup: 7, beta3Warmup: 11 }),
    twin: ademamixTwin,
    options: { alpha: 5, alphaWarmup: 7, beta3Warmup: 11 },
    draw: (random) => ({
      betas: threeBetas(random),
      eps: eps(random),
      alpha: between(random, 0, 8),
      alphaWarmup: coin(random) ? 0 : Math.floor(30 * random()),
      beta3Warmup: coin(random) ? 0 : Math.floor(30 * random()),
      maximize: coin(random),
    }),
    change: { betas: [0.8, 0.99, 0.999], alpha: 3 },
  },
  {
    name: "signum",
    seed: 6,
    rule: signum(),
    twin: signumTwin,
    options: {},
    draw: (random) => ({ momentum: coin(random) ? 0 : random(), maximize: coin(random) }),
    change: { momentum: 0.5 },
  },
  {
    name: "signum without momentum",
    rule: signum({ momentum: 0 }),
    twin: signumTwin,
    options: { momentum: 0 },
    draw: (random) => ({ maximize: coin(random) }),
    change: { maximize: true },
  },
  {
    name: "madgrad",
    rule: madgrad(),
    twin: madgradTwin,
    options: {},
    draw: (random) => ({
      momentum: coin(random) ? 0 : between(random, 0.1, 0.99),
      eps: eps(random),
      maximize: coin(random),
    }),
    change: { momentum: 0.7, eps: 1e-4 },
    traces: { slots: ["x0"], because: "it is the initial parameter" },
    movesWithoutLr: "eps is added to lr",
  },
  {
    name: "madgrad without momentum",
    rule: madgrad({ momentum: 0 }),
    twin: madgradTwin,
    options: { momentum: 0 },
    draw: (random) => ({ momentum: 0, eps: eps(random), maximize: coin(random) }),
    change: { eps: 1e-4 },
    movesWithoutLr: "eps is added to lr",
  },
  {
    name: "adopt",
    rule: adopt(),
    twin: adoptTwin,
    options: {},
    draw: (random) => ({
      betas: betas(random),
      eps: eps(random),
      // Where decay nearly cancels the first gradient, what is divided by its root is off by any amount: clipping bounds that.
      ...(coin(random) ? { clipExp: 0, decayMode: "decoupled" } : { clipExp: between(random, 0.1, 1) }),
      maximize: coin(random),
    }),
    change: { betas: [0.8, 0.99], eps: 1e-4, clipExp: 0.25 },
  },
  {
    name: "asgd",
    rule: asgd({ lambd: 0.01, t0: 3 }),
    twin: asgdTwin,
    options: { lambd: 0.01, t0: 3 },
    draw: (random) => ({
      lambd: 10 ** between(random, -5, 0),
      alpha: between(random, 0.5, 1),
      t0: Math.floor(12 * random()),
      maximize: coin(random),
    }),
    change: { lambd: 0.1, alpha: 0.9, t0: 2 },
    traces: { slots: ["ax"], because: "it is the mean of the parameter" },
    movesWithoutGradient: "lambd shrinks them",
  },
  {
    name: "laprop",
    rule: laprop(),
    twin: lapropTwin,
    options: {},
    draw: (random) => ({ betas: betas(random), eps: eps(random), maximize: coin(random) }),
    change: { betas: [0.8, 0.99], eps: 1e-6 },
  },
  {
    name: "lamb",
    rule: lamb(),
    twin: lambTwin,
    options: {},
    draw: (random) => ({
      betas: betas(random),
      eps: eps(random),
      biasCorrection: coin(random),
      gradAveraging: coin(random),
      trustClip: coin(random),
      alwaysAdapt: coin(random),
      convention: coin(random) ? "timm" : "cybertronai",
      maximize: coin(random),
    }),
    change: { betas: [0.8, 0.99], eps: 1e-4, trustClip: true },
  },
  {
    name: "lars",
    rule: lars(),
    twin: larsTwin,
    options: {},
    draw: (random) => ({
      trustCoeff: 10 ** between(random, -3, 0),
      eps: eps(random),
      trustClip: coin(random),
      alwaysAdapt: coin(random),
      maximize: coin(random),
    }),
    change: { trustCoeff: 0.1, alwaysAdapt: true },
  },
  {
    name: "lars, Nesterov momentum",
    rule: lars({ momentum: 0.9, nesterov: true, trustCoeff: 0.1 }),
    twin: larsTwin,
    options: { momentum: 0.9, nesterov: true, trustCoeff: 0.1 },
    draw: (random) => ({
      momentum: between(random, 0.1, 0.99),
      ...(coin(random) ? { nesterov: true } : { nesterov: false, dampening: random() }),
      trustCoeff: 10 ** between(random, -3, 0),
      trustClip: coin(random),
    }),
    change: { momentum: 0.7, nesterov: false },
  },
  {
    name: "novograd",
    rule: novograd(),
    twin: novogradTwin,
    options: {},
    draw: (random) => ({
      betas: betas(random),
      eps: eps(random),
      gradAveraging: coin(random),
      amsgrad: coin(random),
      maximize: coin(random),
    }),
    change: { betas: [0.8, 0.5], eps: 1e-4, amsgrad: true },
  },
  {
    name: "prodigy",
    rule: prodigy({ d0: 1e-3 }),
    twin: prodigyTwin,
    options: { d0: 1e-3 },
    draw: (random) => ({ d0: 1e-3, eps: eps(random), maximize: coin(random) }),
    change: { eps: 1e-4 },
    traces: { slots: ["p0"], because: "it is the initial parameter" },
    joinsGroups: "d is one number for all tensors",
  },
  {
    name: "prodigy, every third element, with all its switches",
    rule: prodigy({ d0: 0.01, dCoef: 2, growthRate: 1.5, useBiasCorrection: true, safeguardWarmup: true, sliceP: 3 }),
    twin: prodigyTwin,
    options: { d0: 0.01, dCoef: 2, growthRate: 1.5, useBiasCorrection: true, safeguardWarmup: true, sliceP: 3 },
    draw: (random) => ({
      ...{ d0: 0.01, dCoef: 2, growthRate: 1.5, useBiasCorrection: true },
      eps: eps(random),
      safeguardWarmup: coin(random),
      sliceP: 1 + Math.floor(5 * random()),
    }),
    change: { eps: 1e-4 },
    traces: { slots: ["p0"], because: "it is the initial parameter" },
    joinsGroups: "d is one number for all tensors",
  },
  {
    name: "schedule-free-sgd",
    rule: scheduleFreeSgd({ warmupSteps: 4 }),
    twin: scheduleFreeSgdTwin,
    options: { warmupSteps: 4 },
    draw: (random) => ({
      momentum: between(random, 0.3, 0.99),
      warmupSteps: Math.floor(10 * random()),
      r: 2 * random(),
      weightLrPower: 2 * random(),
      maximize: coin(random),
    }),
    change: { momentum: 0.8, r: 1 },
    traces: { slots: ["z"], because: "it follows the parameter" },
  },
  {
    name: "schedule-free-adamw",
    rule: scheduleFreeAdamw(),
    twin: scheduleFreeAdamwTwin,
    options: {},
    draw: (random) => ({
      betas: [between(random, 0.3, 0.99), between(random, 0.5, 0.9995)],
      eps: eps(random),
      warmupSteps: Math.floor(10 * random()),
      r: 2 * random(),
      weightLrPower: 2 * random(),
      maximize: coin(random),
    }),
    change: { betas: [0.8, 0.99], eps: 1e-6, r: 1 },
    traces: { slots: ["z"], because: "it follows the parameter" },
  },
  {
    name: "schedule-free-adamw, inner momentum",
    rule: scheduleFreeAdamw({ innerMomentum: 0.9, warmupSteps: 4 }),
    twin: scheduleFreeAdamwTwin,
    options: { innerMomentum: 0.9, warmupSteps: 4 },
    draw: (random) => ({ innerMomentum: between(random, 0.1, 0.95), eps: eps(random), maximize: coin(random) }),
    change: { innerMomentum: 0.5 },
    traces: { slots: ["z"], because: "it follows the parameter" },
  },
  {
    name: "schedule-free-radam",
    rule: scheduleFreeRadam({ betas: [0.9, 0.9], silentSgdPhase: false }),
    twin: scheduleFreeRadamTwin,
    options: { betas: [0.9, 0.9], silentSgdPhase: false },
    draw: (random) => ({
      betas: [between(random, 0.3, 0.99), between(random, 0.5, 0.9995)],
      eps: eps(random),
      silentSgdPhase: coin(random),
      r: 2 * random(),
      maximize: coin(random),
    }),
    change: { betas: [0.8, 0.99], silentSgdPhase: true },
    traces: { slots: ["z"], because: "it follows the parameter" },
  },
  {
    name: "sophiag",
    rule: sophiag(),
    twin: sophiagTwin,
    options: {},
    draw: (random) => ({
      betas: betas(random),
      rho: random(),
      bs: 1 + Math.floor(1000 * random()),
      maximize: coin(random),
    }),
    change: { betas: [0.9, 0.9], rho: 0.1 },
  },
  {
    name: "adafactor",
    rule: adafactor(),
    twin: adafactorTwin,
    options: {},
    shape: matrixOf,
    draw: (random) => ({
      eps: [coin(random) ? 0 : eps(random), eps(random)],
      clipThreshold: between(random, 0.3, 3),
      decayRate: between(random, 0.3, 1),
      maximize: coin(random),
    }),
    change: { eps: [1e-4, 1e-2], clipThreshold: 0.5, decayRate: 0.5 },
  },
  {
    name: "adafactor, transformers', momentum",
    rule: adafactor({ convention: "transformers", beta1: 0.9 }),
    twin: adafactorTwin,
    options: { convention: "transformers", beta1: 0.9 },
    shape: (shape) => shape,
    draw: (random) => ({
      convention: "transformers",
      eps: [10 ** between(random, -30, -6), eps(random)],
      clipThreshold: between(random, 0.3, 3),
      beta1: coin(random) ? 0 : between(random, 0.1, 0.95),
      relativeStep: coin(random),
      scaleParameter: coin(random),
      warmupInit: coin(random),
    }),
    change: { beta1: 0.5, scaleParameter: false },
    traces: { slots: ["exp_avg_sq", "exp_avg_sq_row", "exp_avg_sq_col"], because: "eps is added to the squares" },
  },
  {
    name: "adafactor, timm's",
    rule: adafactor({ convention: "timm", minDimSizeToFactor: 2 }),
    twin: adafactorTwin,
    options: { convention: "timm", minDimSizeToFactor: 2 },
    shape: matrixOf,
    draw: (random) => ({
      convention: "timm",
      minDimSizeToFactor: Math.floor(4 * random()),
      eps: [10 ** between(random, -30, -6), eps(random)],
      relativeStep: coin(random),
      scaleParameter: coin(random),
    }),
    change: { clipThreshold: 0.5 },
    traces: { slots: ["exp_avg_sq", "exp_avg_sq_row", "exp_avg_sq_col"], because: "eps is added to the squares" },
  },
  {
    name: "muon",
    rule: muon(),
    twin: muonTwin,
    options: {},
    shape: matrixOf,
    draw: (random) => ({
      momentum: between(random, 0, 0.99),
      nesterov: coin(random),
      nsSteps: 1 + Math.floor(6 * random()),
      eps: eps(random),
      adjustLrFn: pick(random, ["original", "match_rms_adamw", "spectral_unclamped"]),
      convention: pick(random, ["torch", "keller-jordan"]),
      maximize: coin(random),
    }),
    change: { momentum: 0.8, nesterov: false },
  },
];

/** The name by which the library exports a rule: `scheduleFreeSgd` of schedule-free-sgd. */
export function exportOf({ name }: { readonly name: string }): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** Those of the library. */
export const OFFERED: readonly RuleRow[] = RULES.filter(({ rule }) => rule.definition.name !== "sign-momentum");
