/** What does not change over an optimizer's life, as its steps need it. */
import type { Matrices } from "../kernels/newton-schulz-plan.ts";
import type { RuleVariant, SharedOptions } from "../kernels/stage.ts";
import type { Limits } from "./limits.ts";
import type { Tensor } from "./memory.ts";
import type { PassTimer } from "./pass-timer.ts";

/** One of the rules: its kernels, and what it makes of tensors. */
export interface RuleKernels extends RuleVariant {
  /** Numbers of a tensor that are settled at creation. */
  readonly numbersOf: ((tensor: Tensor) => readonly number[]) | undefined;
  /** How a tensor's second moments are factored, if they are. */
  readonly factored:
    | ((tensor: Tensor) => { readonly rows: number; readonly cols: number; readonly inner: number } | undefined)
    | undefined;
  /** The state slot that is orthogonalized before the update, and as which matrices a tensor's is. */
  readonly orthogonalizes:
    | { readonly slot: number; readonly matrices: (tensor: Tensor) => Omit<Matrices, "offset"> }
    | undefined;
}

/** Options of the steps of an optimizer. */
export interface StepOptions extends SharedOptions {
  readonly label: string;
  readonly limits: Limits;
  /** Invocations per workgroup, at most 64: workgroup memory stays within 1 KiB. */
  readonly workgroup: number;
  readonly rules: readonly RuleKernels[];
  /** Adaptive clipping. */
  readonly clipsUnits: boolean;
  /** Parameters are averaged over the steps. */
  readonly averages: boolean;
  readonly monitors: boolean;
  /** Of monitored steps. */
  readonly timer: PassTimer | undefined;
  readonly accumulates: boolean;
  /** What raw gradients are multiplied by where nothing is measured, and so `control` decides nothing. */
  readonly unscale: number;
  /** By a tensor's name, what the rounding of its parameters is hashed from. */
  readonly roundingKey: ((name: string) => number) | undefined;
  /** Buffer of the dynamic loss scale. */
  readonly scaler: GPUBuffer | undefined;
}
