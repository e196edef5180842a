/**
 * From a PyTorch scheduler, by name and arguments, to our schedules: the bridge to the golden data (kind `schedulers`).
 * What is not known here is an error and never left out, so that a case cannot pass by accident.
 */

import { reduceOnPlateau } from "../../src/engine/plateau.ts";
import {
  constant,
  cosineAnnealing,
  exponential,
  linear,
  multiStep,
  polynomial,
  type Schedule,
  stepDecay,
} from "../../src/engine/schedules.ts";
import { chained, lambda, multiplicative, sequential } from "../../src/engine/schedules-compose.ts";
import { cyclic, cyclicMomentum, oneCycle, oneCycleMomentum, warmRestarts } from "../../src/engine/schedules-cyclic.ts";
import { parseFormula } from "./lambda-formula.ts";

/** One case of kind `schedulers`. */
export interface TorchSchedulerCase {
  scheduler: string;
  args: Readonly<Record<string, unknown>>;
  /** lr of each group when the scheduler was made. */
  baseLr: readonly number[];
  /** Expected lr; only its length is read here. */
  lr: readonly unknown[];
  /** ReduceLROnPlateau: what each step was told; non-finite numbers are the strings "nan", "inf", "-inf". */
  metrics?: readonly (number | string)[];
  /** The epoch passed to each step. */
  epochs?: readonly number[];
}

/** How PyTorch moves a group's lr; it matters when several schedulers act on the same lr. */
type Motion =
  | "factor" // lr *= f(t) / f(t - 1)
  | "cosine" // a recursion with a floor
  | "absolute"; // lr = f(t)

interface Built {
  lr: Schedule;
  momentum?: Schedule;
  motion: Motion;
}

/**
 * Our lr (and momentum, where PyTorch cycles it) for one group of a case: entry i is the value after i scheduler steps.
 * @throws Error for a scheduler, an argument or a combination that is not covered.
 */
export function torchSchedule(test: TorchSchedulerCase, groupIndex: number): { lr: number[]; momentum?: number[] } {
  const base = test.baseLr[groupIndex];
  if (base === undefined) throw new Error(`${test.scheduler}: no group ${groupIndex}`);
  if (test.scheduler === "ReduceLROnPlateau") return { lr: plateauValues(test, base, groupIndex) };
  if (test.metrics) throw new Error(`${test.scheduler}: takes no metrics`);
  if (test.epochs && /^(SequentialLR|ChainedScheduler|MultiplicativeLR)$/.test(test.scheduler)) {
    throw new Error(`${test.scheduler}: has no closed form to give it an epoch`);
  }
  const { lr, momentum } = build(test.scheduler, test.args, base, groupIndex);
  const steps = test.epochs ? [0, ...test.epochs] : test.lr.map((_, i) => i);
  return { lr: steps.map(lr), ...(momentum && { momentum: steps.map(momentum) }) };
}

function build(scheduler: string, rawArgs: Readonly<Record<string, unknown>>, base: number, group: number): Built {
  const args = new Arguments(scheduler, rawArgs, group);
  const built = buildFrom(scheduler, args, base, group);
  args.finish();
  return built;
}

function buildFrom(scheduler: string, args: Arguments, base: number, group: number): Built {
  switch (scheduler) {
    case "StepLR":
      return factor(stepDecay(base, args.number("step_size"), { gamma: args.number("gamma", 0.1) }));
    case "MultiStepLR":
      return factor(multiStep(base, args.list<number>("milestones"), { gamma: args.number("gamma", 0.1) }));
    case "ConstantLR":
      return factor(
        constant(base, { factor: args.number("factor", 1 / 3), totalIters: args.number("total_iters", 5) }),
      );
    case "LinearLR":
      return factor(
        linear(base, args.number("total_iters", 5), {
          startFactor: args.number("start_factor", 1 / 3),
          endFactor: args.number("end_factor", 1),
        }),
      );
    case "ExponentialLR":
      return factor(exponential(base, args.number("gamma")));
    case "PolynomialLR":
      return factor(polynomial(base, args.number("total_iters", 5), { power: args.number("power", 1) }));
    case "MultiplicativeLR":
      return factor(multiplicative(base, args.formula("lr_lambda")));
    case "LambdaLR":
      return { lr: lambda(base, args.formula("lr_lambda")), motion: "absolute" };
    case "CosineAnnealingLR":
      return {
        lr: cosineAnnealing(base, args.number("T_max"), { etaMin: args.number("eta_min", 0) }),
        motion: "cosine",
      };
    case "CosineAnnealingWarmRestarts": {
      const options = { tMult: args.number("T_mult", 1), etaMin: args.number("eta_min", 0) };
      return { lr: warmRestarts(base, args.number("T_0"), options), motion: "absolute" };
    }
    case "OneCycleLR":
      return buildOneCycle(args);
    case "CyclicLR":
      return buildCyclic(args);
    case "SequentialLR":
      return { lr: buildSequential(args, base, group), motion: "absolute" };
    case "ChainedScheduler":
      return { lr: buildChained(args, base, group), motion: "absolute" };
    default:
      throw new Error(`unknown scheduler ${scheduler}`);
  }
}

const factor = (lr: Schedule): Built => ({ lr, motion: "factor" });

function buildOneCycle(args: Arguments): Built {
  const perEpoch = args.number("epochs", 0) * args.number("steps_per_epoch", 0);
  const totalSteps = args.number("total_steps", perEpoch);
  const shape = {
    pctStart: args.number("pct_start", 0.3),
    annealStrategy: args.choice("anneal_strategy", ["cos", "linear"]),
    threePhase: args.flag("three_phase", false),
  };
  const divisors = { divFactor: args.number("div_factor", 25), finalDivFactor: args.number("final_div_factor", 1e4) };
  const momenta = { baseMomentum: args.number("base_momentum", 0.85), maxMomentum: args.number("max_momentum", 0.95) };
  return {
    lr: oneCycle(args.number("max_lr"), totalSteps, { ...shape, ...divisors }),
    ...(args.flag("cycle_momentum", true) && { momentum: oneCycleMomentum(totalSteps, { ...shape, ...momenta }) }),
    motion: "absolute",
  };
}

function buildCyclic(args: Arguments): Built {
  const up = args.number("step_size_up", 2000);
  const shape = {
    stepSizeDown: args.number("step_size_down", up),
    mode: args.choice("mode", ["triangular", "triangular2", "exp_range"]),
    gamma: args.number("gamma", 1),
  };
  const momenta = { baseMomentum: args.number("base_momentum", 0.8), maxMomentum: args.number("max_momentum", 0.9) };
  return {
    lr: cyclic(args.number("base_lr"), args.number("max_lr"), up, shape),
    ...(args.flag("cycle_momentum", true) && { momentum: cyclicMomentum(up, { ...shape, ...momenta }) }),
    motion: "absolute",
  };
}

type Link = [scheduler: string, args: Readonly<Record<string, unknown>>];

/** The schedulers inside SequentialLR and ChainedScheduler, but those that PyTorch refuses or that disturb the others. */
function links(args: Arguments): Link[] {
  const found = args.list<Link>("schedulers");
  for (const [i, [scheduler]] of found.entries()) {
    const nested = /^(SequentialLR|ChainedScheduler|ReduceLROnPlateau)$/.test(scheduler);
    const overwritesInitialLr = scheduler === "OneCycleLR" || (scheduler === "CyclicLR" && i === 0);
    if (nested || overwritesInitialLr) throw new Error(`${args.scheduler}: ${scheduler} at ${i} is not covered`);
  }
  return found;
}

/** At a milestone PyTorch calls `scheduler.step(0)`: the closed form at 0, from the group's initial lr. */
function buildSequential(args: Arguments, base: number, group: number): Schedule {
  const milestones = args.list<number>("milestones");
  const parts: Schedule[] = [];
  for (const [i, [scheduler, own]] of links(args).entries()) {
    const before = parts[i - 1];
    const length = (milestones[i - 1] ?? 0) - (milestones[i - 2] ?? 0);
    if (before && !(length > 0)) throw new Error("SequentialLR: milestones must be above 0 and ascend");
    // MultiplicativeLR has no closed form: it goes on from the lr it finds.
    const start = before && scheduler === "MultiplicativeLR" ? before(length - 1) : base;
    parts.push(build(scheduler, own, start, group).lr);
  }
  return sequential(parts, milestones);
}

function buildChained(args: Arguments, base: number, group: number): Schedule {
  const chain = links(args).map(([scheduler, own]) => {
    const unit = build(scheduler, own, 1, group);
    return { own, ...(unit.motion === "factor" ? unit : build(scheduler, own, base, group)) };
  });
  if (chain.every(({ motion }) => motion === "factor")) {
    return chained(
      base,
      chain.map(({ lr }) => lr),
    );
  }
  // The others do not commute: PyTorch's recursion over the lr, one scheduler after the other, in every step.
  return (steps) => {
    let lr = base;
    for (let t = 0; t <= steps; t++) {
      for (const { own, lr: curve, motion } of chain) {
        if (motion === "absolute") lr = curve(t);
        else if (motion === "factor") lr *= ratio(curve, t);
        else if (t > 0) lr = cosineRecursion(lr, base, t, Number(own.T_max), Number(own.eta_min ?? 0));
      }
    }
    return lr;
  };
}

/** f(t) / f(t - 1); a factor that has become 0 stays. */
function ratio(f: Schedule, t: number): number {
  if (t === 0) return f(0);
  return f(t - 1) === 0 ? 1 : f(t) / f(t - 1);
}

/** `CosineAnnealingLR.get_lr`. Behind its lowest point it adds a part of the base lr, whatever the lr has become. */
function cosineRecursion(lr: number, base: number, t: number, tMax: number, etaMin: number): number {
  if ((t - 1 - tMax) % (2 * tMax) === 0) return lr + ((base - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2;
  const height = (step: number) => 1 + Math.cos((Math.PI * step) / tMax);
  return (height(t) / height(t - 1)) * (lr - etaMin) + etaMin;
}

function plateauValues(test: TorchSchedulerCase, base: number, group: number): number[] {
  if (!test.metrics) throw new Error("ReduceLROnPlateau: the case has no metrics");
  const args = new Arguments(test.scheduler, test.args, group);
  const plateau = reduceOnPlateau(base, {
    mode: args.choice("mode", ["min", "max"]),
    factor: args.number("factor", 0.1),
    patience: args.number("patience", 10),
    threshold: args.number("threshold", 1e-4),
    thresholdMode: args.choice("threshold_mode", ["rel", "abs"]),
    cooldown: args.number("cooldown", 0),
    minLr: args.number("min_lr", 0),
    eps: args.number("eps", 1e-8),
  });
  args.finish();
  const values = [plateau(0)];
  for (const [i, metric] of test.metrics.entries()) {
    plateau.update(goldenNumber(metric));
    values.push(plateau(i + 1));
  }
  return values;
}

/** A number of the golden data, where non-finite ones are strings. */
export function goldenNumber(value: number | string): number {
  const special: Readonly<Record<string, number>> = { nan: Number.NaN, inf: Infinity, "-inf": -Infinity };
  const number = typeof value === "number" ? value : special[value];
  if (number === undefined) throw new Error(`not a number: ${value}`);
  return number;
}

/** Keyword arguments in PyTorch's names; a list stands for one value a group. Knows in the end which were not read. */
class Arguments {
  readonly scheduler: string;
  readonly #args: Readonly<Record<string, unknown>>;
  readonly #group: number;
  readonly #unread: Set<string>;

  constructor(scheduler: string, args: Readonly<Record<string, unknown>>, group: number) {
    this.scheduler = scheduler;
    this.#args = args;
    this.#group = group;
    this.#unread = new Set(Object.keys(args));
  }

  number(name: string, fallback?: number): number {
    const value = this.#forGroup(name) ?? fallback;
    return typeof value === "number" ? value : this.#refuse(name, "a number");
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.#read(name) ?? fallback;
    return typeof value === "boolean" ? value : this.#refuse(name, "true or false");
  }

  /** One of the choices; the first is the default. */
  choice<const T extends string>(name: string, choices: readonly T[]): T {
    const value = this.#read(name) ?? choices[0];
    return choices.find((choice) => choice === value) ?? this.#refuse(name, `one of ${choices.join(", ")}`);
  }

  list<T>(name: string): T[] {
    const value = this.#read(name);
    return Array.isArray(value) ? value : this.#refuse(name, "a list");
  }

  formula(name: string): Schedule {
    const value = this.#forGroup(name);
    return typeof value === "string" ? parseFormula(value) : this.#refuse(name, "a formula for every group");
  }

  /** @throws Error if there is an argument that nothing asked for. */
  finish(): void {
    if (this.#unread.size > 0) throw new Error(`${this.scheduler}: unknown argument ${[...this.#unread].join(", ")}`);
  }

  /** null is Python's None: the default. */
  #read(name: string): unknown {
    this.#unread.delete(name);
    return this.#args[name] ?? undefined;
  }

  #forGroup(name: string): unknown {
    const value = this.#read(name);
    return Array.isArray(value) ? value[this.#group] : value;
  }

  #refuse(name: string, must: string): never {
    throw new Error(`${this.scheduler}: ${name} must be ${must}, got ${JSON.stringify(this.#args[name])}`);
  }
}
