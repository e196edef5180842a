import { slot, type TensorState } from "./rule.ts";

export interface LookaheadOptions {
  /** Updates between synchronizations. */
  readonly k: number;
  readonly alpha: number;
  /**
   * What the slow weights begin as: what the first synchronization finds, as in timm, so that it changes nothing; or the initial
   * parameters, as in the paper.
   */
  readonly init: "first-sync" | "initial";
}

/** Slow weights there from the start, where they begin as the parameters do. */
export function beginLookahead(theta: Float64Array, state: TensorState, { init }: LookaheadOptions): void {
  if (init === "initial") slot(state, "lookahead_slow_buff", () => theta.slice());
}

/** Lookahead (Zhang et al. 2019) after the update number `t`: every k-th one the slow weights follow, and the fast ones go back. */
export function lookAhead(theta: Float64Array, state: TensorState, { k, alpha }: LookaheadOptions, t: number): void {
  if (t % k !== 0) return;
  const slow = slot(state, "lookahead_slow_buff", () => theta.slice());
  theta.forEach((x, i) => {
    slow[i] = slow[i]! + alpha * (x - slow[i]!);
    theta[i] = slow[i]!;
  });
}
