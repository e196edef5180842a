/** What a float64 twin of an optimizer is. The twins are written from the papers, never from a shader. */

import type { DecayMode } from "./decay.ts";

/** State of one tensor. `step` counts the updates this very tensor has had; slots appear with the first gradient. */
export interface TensorState {
  step: number;
  /** By element; or fewer numbers, where the rule keeps those of rows and columns, or one for the whole tensor. */
  readonly slots: Record<string, Float64Array>;
}

/** Hyper-parameters by their names in the engine; each rule reads its own and fills in the defaults. */
export type RuleOptions = Readonly<Record<string, unknown>>;

/** Numbers that outlive a step and belong to no tensor, by name. */
export type Numbers = Record<string, number>;

/** What else an update may look at. */
export interface UpdateContext {
  /** The parameter before the step; the rule leaves it as it is. */
  readonly theta: Float64Array;
  readonly shape: readonly number[];
  /** Weight decay of the group, whatever its mode. */
  readonly lambda: number;
  readonly decayMode: DecayMode;
  /** The fraction that decay takes away before the update: in the modes `decoupled`, `scheduled` and `independent`. */
  readonly firstDecay: number;
  /** Weight decay that the rule itself has to apply: lambda in the mode `rule`, else 0. */
  readonly ruleDecay: number;
  /** Rounds what is computed on the way, in rules whose error that is; default not at all. */
  readonly round?: (x: number) => number;
  /** What {@link TwinRule.forGroup} keeps for the tensor's group. */
  readonly ofGroup: Readonly<Numbers>;
  /** What {@link TwinRule.forAll} keeps for all tensors of the rule. */
  readonly ofAll: Readonly<Numbers>;
}

/** A tensor that takes part in a step, just before its update. */
export interface Participant<O = RuleOptions> {
  /** Clipped, and with coupled decay. */
  readonly g: Float64Array;
  readonly state: TensorState;
  readonly options: O;
  readonly lr: number;
  readonly context: UpdateContext;
}

export interface TwinRule<O = RuleOptions> {
  readonly name: string;
  readonly decayMode: DecayMode;
  /** Default learning rate; 1e-3. */
  readonly lr?: number;
  readonly weightDecay: number;
  /** Updates of a tensor before this one of its own do not decay; default 1. */
  readonly decayFrom?: number;
  /** Recursions of a whole group: once in every step, before any update. */
  forGroup?(numbers: Numbers, options: O, lr: number): void;
  /** Sums over all tensors of the rule that take part: once in every step, before any update. */
  forAll?(tensors: readonly Participant<O>[], numbers: Numbers): void;
  /**
   * Advances the state by the gradient and returns the update `u`, learning rate included: without decay the parameters
   * become `theta - u`. `state.step` has been counted up already, so it is 1 at the first gradient.
   */
  update(g: Float64Array, state: TensorState, options: O, lr: number, context: UpdateContext): Float64Array;
  /** What comes after the parameter has changed; `context.theta` is the new one. */
  after?(state: TensorState, options: O, lr: number, context: UpdateContext): void;
  /** Takes an estimate of curvature in, outside of any step. */
  observe?(q: Float64Array, state: TensorState, options: O): void;
  /** The parameter to evaluate with; default the parameter itself. */
  evaluated?(theta: Float64Array, state: TensorState, options: O): Float64Array;
}

/** The slot of that name, made by `first` if the tensor has none yet. */
export function slot(state: TensorState, name: string, first: () => Float64Array): Float64Array {
  state.slots[name] ??= first();
  return state.slots[name];
}

/** The slot of that name; zeros if the tensor has none yet. */
export function zeroSlot(state: TensorState, name: string, size: number): Float64Array {
  return slot(state, name, () => new Float64Array(size));
}

/** Keeps one number for the whole tensor, as a slot. */
export function keepNumber(state: TensorState, name: string, value: number): void {
  zeroSlot(state, name, 1)[0] = value;
}

/** The 2-norm. */
export function length(x: Float64Array): number {
  return Math.sqrt(x.reduce((sum, xi) => sum + xi * xi, 0));
}

/** The root of the mean of squares; 0 of nothing. */
export function rms(x: Float64Array): number {
  return x.length === 0 ? 0 : length(x) / Math.sqrt(x.length);
}
