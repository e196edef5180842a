/** What a training tells. */
import type { BatchRecord } from "../batch.ts";
import type { Evaluation } from "./sums.ts";

/** How one batch went. */
export interface StepRecord extends BatchRecord {
  /** Number of the batch, 1 for the first. */
  readonly step: number;
}

/** How an epoch went. */
export interface EpochSummary {
  /** 1 for the first. */
  readonly epoch: number;
  /** Batches so far. */
  readonly step: number;
  /** Over the batches as they were trained on, with dropout and augmentation. */
  readonly train: Evaluation;
  /** On the test set, with averaged parameters where the optimizer has them. */
  readonly test?: Evaluation;
}

/** Progress, in the order of the batches. */
export type FitEvent =
  | { readonly kind: "steps"; readonly records: readonly StepRecord[] }
  | ({ readonly kind: "epoch" } & EpochSummary);

/** Why a training has ended: all epochs or `maxSteps` done, early stopping, `onEpoch` said so, `signal`. */
export type StopReason = "epochs" | "maxSteps" | "earlyStopping" | "onEpoch" | "signal";

/** What a training comes to. */
export interface FitResult {
  readonly steps: number;
  readonly stopReason: StopReason;
  /** Epochs of this call. */
  readonly epochs: readonly EpochSummary[];
}
