/** What a float64 twin of an optimizer is. The twins are written from the papers, never from a shader. */

import type { DecayMode } from "./decay.ts";

/** State of one tensor. `step` counts the updates this very tensor has had; slots appear with the first gradient. */
export interface TensorState {
  step: number;
  readonly slots: Record<string, Float64Array>;
}

/** Hyper-parameters by their names in the engine; each rule reads its own and fills in the defaults. */
export type RuleOptions = Readonly<Record<string, unknown>>;

/** What else an update may look at. */
export interface UpdateContext {
  /** The parameter before the step; the rule leaves it as it is. */
  readonly theta: Float64Array;
}

export interface TwinRule<O = RuleOptions> {
  readonly name: string;
  readonly decayMode: DecayMode;
  /** Default learning rate; 1e-3. */
  readonly lr?: number;
  readonly weightDecay: number;
  /**
   * Advances the state by the gradient and returns the update `u`, learning rate included: without decay the parameters
   * become `theta - u`. `state.step` has been counted up already, so it is 1 at the first gradient.
   */
  update(g: Float64Array, state: TensorState, options: O, lr: number, context: UpdateContext): Float64Array;
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
