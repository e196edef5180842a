/** What a conformance case needs of an optimizer: the engine is one such subject, a float64 twin another one. */

import type { GroupOptions, RuleName, WholeOptions } from "./convert.ts";

export interface SubjectTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface SubjectGroup {
  /** Indices of its tensors. Each tensor is in exactly one group. */
  readonly tensors: readonly number[];
  readonly options: GroupOptions;
}

export interface ScalerOptions {
  readonly initial: number;
  readonly growthFactor: number;
  readonly backoffFactor: number;
  readonly growthInterval: number;
}

export interface ScaleState {
  readonly scale: number;
  readonly growthTracker: number;
}

/** A loss scale that several optimizers share. */
export interface SharedScaler {
  /** Ends a step, after those of all optimizers. */
  update(): void;
  read(): Promise<ScaleState>;
  destroy(): void;
}

export interface SubjectOptions extends WholeOptions {
  /** Of the groups that do not name another. */
  readonly rule: RuleName;
  readonly tensors: readonly SubjectTensor[];
  readonly groups: readonly SubjectGroup[];
  /** Averages of the parameters, exponentially forgetting or of all alike. */
  readonly ema?: { readonly decay: number };
  readonly swa?: object;
  readonly skipNonFinite?: boolean;
  readonly lossScale?: ScalerOptions | SharedScaler;
  /** Whether step() is to return figures. */
  readonly figures?: boolean;
}

export interface SubjectFigures {
  readonly skipped: boolean;
  /** Norm of the unscaled gradients before clipping, of the type that clips. */
  readonly gradNorm: number;
  readonly clipFactor: number;
  readonly maxGrad: number;
}

export interface SubjectState {
  /** Updates that this tensor has had. */
  readonly step: number;
  /** By the names of PyTorch. */
  readonly slots: Readonly<Record<string, Float32Array>>;
}

export interface SubjectStateDict {
  /** By index; a tensor that never had a gradient has no entry. */
  readonly tensors: ReadonlyMap<number, SubjectState>;
  /** Options of each group, defaults included; undefined where they are not part of the state dict. */
  readonly groups: readonly Readonly<Record<string, unknown>>[] | undefined;
}

export interface Subject {
  writeGrad(tensor: number, values: Float32Array): void;
  /** The tensor has no gradient in the next step. */
  withoutGrad(tensor: number): void;
  setLr(group: number, lr: number): void;
  /** One step; resolves with its figures if they were asked for. */
  step(): Promise<SubjectFigures | undefined>;
  readParam(tensor: number): Promise<Float32Array>;
  readState(tensor: number): Promise<SubjectState>;
  stateDict(): Promise<SubjectStateDict>;
  readLossScale(): Promise<ScaleState>;
  destroy(): void;

  // What only some cases need.
  setWeightDecay?(group: number, weightDecay: number): void;
  writeParam?(tensor: number, values: Float32Array): void;
  /** Estimates of curvature, one for each tensor, for rules that take them; no step. */
  observe?(estimates: readonly Float32Array[]): void;
  /** The parameter to evaluate with: an average, or what the rule says. */
  readEvaluated?(tensor: number): Promise<Float32Array>;
  /** Numbers of a group and its rule, by the names of the reference. */
  readNumbers?(group: number): Promise<Readonly<Record<string, number>>>;
}

export interface SubjectMaker {
  create(options: SubjectOptions): Promise<Subject>;
  createScaler(options: ScalerOptions): Promise<SharedScaler>;
}
