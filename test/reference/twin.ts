/** A whole optimizer in float64, one tensor and one element after the other: what the engine is compared with. */

import { TwinAverage } from "./averaging.ts";
import { type CautiousUpdate, updateCautiously } from "./cautious-update.ts";
import { clipAdaptively, clipFactor, clipValues, norm, scale } from "./clip.ts";
import { applyUpdate, coupleDecay, type Decay, type DecayMode } from "./decay.ts";
import { beginLookahead, type LookaheadOptions, lookAhead } from "./lookahead.ts";
import { type LossScaleOptions, TwinLossScaler } from "./loss-scale.ts";
import type { Numbers, Participant, TensorState, TwinRule, UpdateContext } from "./rule.ts";

/** A value, or a function of the number of updates applied so far. */
export type Scheduled = number | ((step: number) => number);

/** Options of one group; what is absent has the rule's default, or is off. */
export interface TwinGroup {
  /** Default the optimizer's. */
  readonly rule?: TwinRule;
  readonly lr?: Scheduled;
  /** lr_0 of the mode `scheduled`; default the lr of step 0. */
  readonly referenceLr?: number;
  readonly weightDecay?: Scheduled;
  readonly decayMode?: DecayMode;
  readonly cautious?: boolean;
  readonly cautiousUpdate?: CautiousUpdate;
  readonly l1?: Scheduled;
  readonly maximize?: boolean;
  readonly clipValue?: number;
  readonly frozen?: boolean;
  /** Options of the rule. */
  readonly [hyper: string]: unknown;
}

export interface TwinTensor {
  readonly data: ArrayLike<number>;
  /** Default a vector. */
  readonly shape?: readonly number[];
  /** Index into the groups; default 0. */
  readonly group?: number;
  /** Where decay pulls to; default zero. */
  readonly anchor?: ArrayLike<number>;
}

/** Clipping, in the order of the fields; `eps` stands beside the norm, `adaptive` is Brock's with its own eps. */
export interface TwinClip {
  readonly globalNorm?: number;
  readonly tensorNorm?: number;
  readonly normType?: number;
  readonly eps?: number;
  readonly adaptive?: { readonly factor: number; readonly eps?: number };
  readonly value?: number;
}

export interface TwinOptions {
  readonly rule: TwinRule;
  readonly tensors: readonly TwinTensor[];
  readonly groups?: readonly TwinGroup[];
  readonly clip?: TwinClip;
  /** Default: only with norm clipping or loss scaling. */
  readonly skipNonFinite?: boolean;
  /** A fixed scale; options of a scaler of its own; or one shared with other twins, whose `update()` the caller calls. */
  readonly lossScale?: number | LossScaleOptions | TwinLossScaler;
  readonly lookahead?: LookaheadOptions;
  /** Averages of the parameters, exponentially forgetting or of all alike. */
  readonly ema?: { readonly decay: number };
  readonly swa?: object;
  /** See {@link UpdateContext.round}. */
  readonly round?: (x: number) => number;
  /** The last operation of a step. Tests put a wrong one here to see whether a comparison notices. */
  readonly applyUpdate?: typeof applyUpdate;
}

export interface TwinReport {
  readonly skipped: boolean;
  /** Norm of the unscaled gradients before clipping, of the type that clips. */
  readonly gradNorm: number;
  /** Factor of the global norm. */
  readonly clipFactor: number;
  /** Number of non-finite gradient elements. */
  readonly nonFinite: number;
}

const DEFAULT_LR = 1e-3;

interface Member {
  readonly group: number;
  readonly shape: readonly number[];
  readonly average: TwinAverage;
  readonly theta: Float64Array;
  readonly anchor: Float64Array;
  readonly state: TensorState;
}

export class Twin {
  /** Updates applied so far: schedules are functions of it; skipped steps do not count. */
  stepsApplied = 0;
  readonly #options: TwinOptions;
  readonly #groups: TwinGroup[];
  readonly #referenceLr: number[];
  readonly #members: Member[];
  readonly #ofGroup: Numbers[];
  readonly #ofRule = new Map<TwinRule, Numbers>();
  readonly #scaler: TwinLossScaler | undefined;

  constructor(options: TwinOptions) {
    this.#options = options;
    this.#groups = [...(options.groups ?? [{}])];
    this.#ofGroup = this.#groups.map(() => ({}));
    this.#referenceLr = this.#groups.map((group, g) => group.referenceLr ?? this.#lr(g));
    const { lossScale, lookahead, ema } = options;
    this.#members = options.tensors.map(({ data, group = 0, anchor, shape = [data.length] }) => {
      if (!this.#groups[group]) throw new Error(`there is no group ${group}`);
      const theta = Float64Array.from(data);
      const state: TensorState = { step: 0, slots: {} };
      if (lookahead) beginLookahead(theta, state, lookahead);
      const average = new TwinAverage(theta.length, ema?.decay);
      return { group, shape, theta, average, anchor: Float64Array.from(anchor ?? theta.map(() => 0)), state };
    });
    if (lossScale instanceof TwinLossScaler) this.#scaler = lossScale;
    else if (typeof lossScale === "object") this.#scaler = new TwinLossScaler(lossScale);
  }

  /** Parameters of a tensor after the steps so far; not a copy. */
  param(index: number): Float64Array {
    return this.#member(index).theta;
  }

  state(index: number): TensorState {
    return this.#member(index).state;
  }

  /** The parameter to evaluate with: the average if there is one, or what the rule says. */
  evaluated(index: number): Float64Array {
    const { theta, state, group, average } = this.#member(index);
    if (average.count > 0) return average.values;
    return this.#rule(group).evaluated?.(theta, state, this.#groups[group]!) ?? theta;
  }

  /** Numbers of a group and of its rule. */
  numbers(group: number): Readonly<Numbers> {
    return { ...this.#ofGroup[group], ...this.#ofRule.get(this.#rule(group)) };
  }

  /** The scale that the next step divides gradients by; 1 without loss scaling. */
  get lossScale(): number {
    const { lossScale } = this.#options;
    return this.#scaler?.scale ?? (typeof lossScale === "number" ? lossScale : 1);
  }

  get growthTracker(): number {
    return this.#scaler?.growthTracker ?? 0;
  }

  /** Changes options of a group from the next step on. The lr_0 of `scheduled` decay stays what it was. */
  setGroup(index: number, options: TwinGroup): void {
    this.#groups[index] = { ...this.#groups[index]!, ...options };
  }

  /** One step; `null` stands for a tensor without a gradient, which is left alone altogether. */
  step(grads: readonly (ArrayLike<number> | null)[]): TwinReport {
    if (grads.length !== this.#members.length) {
      throw new Error(`there are ${this.#members.length} tensors, but ${grads.length} gradients`);
    }
    const { clip = {}, lossScale } = this.#options;
    const active = this.#members.flatMap((member, i) => {
      const grad = grads[i]!;
      if (grad === null || this.#groups[member.group]!.frozen) return [];
      if (grad.length !== member.theta.length) throw new Error(`the gradient of tensor ${i} has a wrong length`);
      return [{ ...member, g: Float64Array.from(grad) }];
    });

    const inverse = 1 / this.lossScale;
    for (const { g } of active) scale(g, inverse);
    const gradNorm = norm(
      active.map(({ g }) => g),
      clip.normType ?? 2,
    );
    const factor = clip.globalNorm === undefined ? 1 : clipFactor(gradNorm, clip.globalNorm, clip.eps);
    const nonFinite = active.reduce((sum, { g }) => sum + g.filter((x) => !Number.isFinite(x)).length, 0);
    const measured = clip.globalNorm !== undefined || clip.tensorNorm !== undefined || lossScale !== undefined;
    const skipped = nonFinite > 0 && (this.#options.skipNonFinite ?? measured);

    if (!skipped) {
      for (const { g, theta, shape } of active) {
        if (clip.globalNorm !== undefined) scale(g, factor);
        if (clip.tensorNorm !== undefined)
          scale(g, clipFactor(norm([g], clip.normType ?? 2), clip.tensorNorm, clip.eps));
        if (clip.adaptive) clipAdaptively(g, theta, shape, clip.adaptive.factor, clip.adaptive.eps);
      }
      this.#update(active);
      this.stepsApplied++;
      for (const { theta, average } of this.#members) {
        if (this.#options.ema || this.#options.swa) average.take(theta);
      }
    }
    this.#scaler?.report(nonFinite > 0);
    if (this.#scaler && this.#scaler !== lossScale) this.#scaler.update();
    return { skipped, gradNorm, clipFactor: factor, nonFinite };
  }

  /** What comes after norm clipping: value clip, sign, coupled decay, rule, and the other kinds of decay. */
  #update(active: readonly (Member & { readonly g: Float64Array })[]): void {
    const { clip = {}, lookahead, round } = this.#options;
    const decays = this.#groups.map((_, index) => this.#decay(index));
    this.#groups.forEach((group, index) => {
      this.#rule(index).forGroup?.(this.#ofGroup[index]!, group, decays[index]!.lr);
    });
    const ready = active.map((member): Member & Participant => {
      const { g, theta, anchor, state, shape, group: index } = member;
      const group = this.#groups[index]!;
      const decay = decays[index]!;
      const limit = group.clipValue ?? clip.value;
      if (limit !== undefined) clipValues(g, limit);
      if (group.maximize) scale(g, -1);
      coupleDecay(g, theta, anchor, decay);
      state.step++;
      const { mode: decayMode, lambda, lr, referenceLr } = decay;
      const rates: Partial<Record<DecayMode, number>> = { decoupled: lr, scheduled: lr / referenceLr, independent: 1 };
      const firstDecay = (rates[decayMode] ?? 0) * lambda;
      const ruleDecay = decayMode === "rule" ? lambda : 0;
      const ofAll = this.#numbersOf(this.#rule(index));
      const ofGroup = this.#ofGroup[index]!;
      const context = {
        theta,
        shape,
        lambda,
        decayMode,
        firstDecay,
        ruleDecay,
        ofGroup,
        ofAll,
        ...(round && { round }),
      };
      return { ...member, options: group, lr, context };
    });
    for (const rule of new Set(this.#groups.map((_, index) => this.#rule(index)))) {
      rule.forAll?.(
        ready.filter(({ group }) => this.#rule(group) === rule),
        this.#numbersOf(rule),
      );
    }
    for (const { g, theta, anchor, state, options, lr, context, group } of ready) {
      const rule = this.#rule(group);
      const { cautiousUpdate } = this.#groups[group]!;
      const decay = state.step < (rule.decayFrom ?? 1) ? { ...decays[group]!, lambda: 0, l1: 0 } : decays[group]!;
      let u = rule.update(g, state, options, lr, context);
      if (cautiousUpdate) u = updateCautiously(u, g, cautiousUpdate);
      (this.#options.applyUpdate ?? applyUpdate)(theta, u, anchor, decay);
      rule.after?.(state, options, lr, context);
      if (lookahead) lookAhead(theta, state, lookahead, this.stepsApplied + 1);
    }
  }

  /** Estimates of curvature for rules that take them; `null` where there is none. No step, no count, no decay. */
  observe(estimates: readonly (ArrayLike<number> | null)[]): void {
    estimates.forEach((estimate, index) => {
      const { group, state } = this.#member(index);
      if (!estimate || this.#groups[group]!.frozen) return;
      const q = Float64Array.from(estimate, (x) => x / this.lossScale);
      this.#rule(group).observe?.(q, state, this.#groups[group]!);
    });
  }

  #rule(group: number): TwinRule {
    return this.#groups[group]!.rule ?? this.#options.rule;
  }

  #lr(group: number): number {
    return valueAt(this.#groups[group]!.lr ?? this.#rule(group).lr ?? DEFAULT_LR, this.stepsApplied);
  }

  #numbersOf(rule: TwinRule): Numbers {
    const known = this.#ofRule.get(rule) ?? {};
    this.#ofRule.set(rule, known);
    return known;
  }

  #decay(index: number): Decay {
    const group = this.#groups[index]!;
    const rule = this.#rule(index);
    return {
      mode: group.decayMode ?? rule.decayMode,
      lambda: valueAt(group.weightDecay ?? rule.weightDecay, this.stepsApplied),
      l1: valueAt(group.l1 ?? 0, this.stepsApplied),
      cautious: group.cautious ?? false,
      lr: this.#lr(index),
      referenceLr: this.#referenceLr[index]!,
    };
  }

  #member(index: number): Member {
    const member = this.#members[index];
    if (!member) throw new Error(`there is no tensor ${index}`);
    return member;
  }
}

function valueAt(value: Scheduled, step: number): number {
  return typeof value === "function" ? value(step) : value;
}
