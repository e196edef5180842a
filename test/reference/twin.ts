/** A whole optimizer in float64, one tensor and one element after the other: what the engine is compared with. */

import { clipFactor, clipValues, norm, scale } from "./clip.ts";
import { applyUpdate, coupleDecay, type Decay, type DecayMode } from "./decay.ts";
import { type LossScaleOptions, TwinLossScaler } from "./loss-scale.ts";
import type { TensorState, TwinRule } from "./rule.ts";

/** A value, or a function of the number of updates applied so far. */
export type Scheduled = number | ((step: number) => number);

/** Options of one group; what is absent has the rule's default, or is off. */
export interface TwinGroup {
  readonly lr?: Scheduled;
  /** lr_0 of the mode `scheduled`; default the lr of step 0. */
  readonly referenceLr?: number;
  readonly weightDecay?: Scheduled;
  readonly decayMode?: DecayMode;
  readonly cautious?: boolean;
  readonly l1?: Scheduled;
  readonly maximize?: boolean;
  readonly clipValue?: number;
  readonly frozen?: boolean;
  /** Options of the rule. */
  readonly [hyper: string]: unknown;
}

export interface TwinTensor {
  readonly data: ArrayLike<number>;
  /** Index into the groups; default 0. */
  readonly group?: number;
  /** Where decay pulls to; default zero. */
  readonly anchor?: ArrayLike<number>;
}

export interface TwinOptions {
  readonly rule: TwinRule;
  readonly tensors: readonly TwinTensor[];
  readonly groups?: readonly TwinGroup[];
  readonly clip?: { globalNorm?: number; tensorNorm?: number; normType?: number; value?: number };
  /** Default: only with norm clipping or loss scaling. */
  readonly skipNonFinite?: boolean;
  /** A fixed scale; options of a scaler of its own; or one shared with other twins, whose `update()` the caller calls. */
  readonly lossScale?: number | LossScaleOptions | TwinLossScaler;
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
  readonly theta: Float64Array;
  readonly anchor: Float64Array;
  readonly state: TensorState;
}

export class Twin {
  /** Updates applied so far: schedules are functions of it; skipped steps do not count. */
  stepsApplied = 0;
  readonly #options: TwinOptions;
  readonly #groups: TwinGroup[];
  readonly #defaultLr: number;
  readonly #referenceLr: number[];
  readonly #members: Member[];
  readonly #scaler: TwinLossScaler | undefined;

  constructor(options: TwinOptions) {
    this.#options = options;
    this.#groups = [...(options.groups ?? [{}])];
    this.#defaultLr = options.rule.lr ?? DEFAULT_LR;
    this.#referenceLr = this.#groups.map(({ lr, referenceLr }) => referenceLr ?? valueAt(lr ?? this.#defaultLr, 0));
    this.#members = options.tensors.map(({ data, group = 0, anchor }) => {
      if (!this.#groups[group]) throw new Error(`there is no group ${group}`);
      const theta = Float64Array.from(data);
      return { group, theta, anchor: Float64Array.from(anchor ?? theta.map(() => 0)), state: { step: 0, slots: {} } };
    });
    const { lossScale } = options;
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
    const factor = clip.globalNorm === undefined ? 1 : clipFactor(gradNorm, clip.globalNorm);
    const nonFinite = active.reduce((sum, { g }) => sum + g.filter((x) => !Number.isFinite(x)).length, 0);
    const measured = clip.globalNorm !== undefined || clip.tensorNorm !== undefined || lossScale !== undefined;
    const skipped = nonFinite > 0 && (this.#options.skipNonFinite ?? measured);

    if (!skipped) {
      for (const { g, ...member } of active) {
        if (clip.globalNorm !== undefined) scale(g, factor);
        if (clip.tensorNorm !== undefined) scale(g, clipFactor(norm([g], clip.normType ?? 2), clip.tensorNorm));
        this.#update(member, g);
      }
      this.stepsApplied++;
    }
    this.#scaler?.report(nonFinite > 0);
    if (this.#scaler && this.#scaler !== lossScale) this.#scaler.update();
    return { skipped, gradNorm, clipFactor: factor, nonFinite };
  }

  /** What comes after norm clipping: value clip, sign, coupled decay, rule, and the other kinds of decay. */
  #update({ group: index, theta, anchor, state }: Member, g: Float64Array): void {
    const { rule, clip = {} } = this.#options;
    const group = this.#groups[index]!;
    const lr = valueAt(group.lr ?? this.#defaultLr, this.stepsApplied);
    const decay: Decay = {
      mode: group.decayMode ?? rule.decayMode,
      lambda: valueAt(group.weightDecay ?? rule.weightDecay, this.stepsApplied),
      l1: valueAt(group.l1 ?? 0, this.stepsApplied),
      cautious: group.cautious ?? false,
      lr,
      referenceLr: this.#referenceLr[index]!,
    };
    const limit = group.clipValue ?? clip.value;
    if (limit !== undefined) clipValues(g, limit);
    if (group.maximize) scale(g, -1);
    coupleDecay(g, theta, anchor, decay);
    state.step++;
    const u = rule.update(g, state, group, lr, { theta });
    (this.#options.applyUpdate ?? applyUpdate)(theta, u, anchor, decay);
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
