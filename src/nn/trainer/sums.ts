/** Sums of batch records, in float64. */
import type { BatchRecord } from "../batch.ts";

/** Sums over the batches of an epoch so far. */
export interface RecordSums {
  /** Of the samples' losses. */
  readonly loss: number;
  readonly correct: number;
  readonly correctTop5: number;
  readonly count: number;
}

export const NOTHING: RecordSums = { loss: 0, correct: 0, correctTop5: 0, count: 0 };

export function addRecords(sums: RecordSums, records: readonly BatchRecord[]): RecordSums {
  return records.reduce(
    (sum, { loss, correct, correctTop5, count }) => ({
      loss: sum.loss + loss * count,
      correct: sum.correct + correct,
      correctTop5: sum.correctTop5 + correctTop5,
      count: sum.count + count,
    }),
    sums,
  );
}

/** Figures of a pass over a data set. */
export interface Evaluation {
  /** Mean over the samples. */
  readonly loss: number;
  /** Share of right predictions, and of those right among the 5 most likely; NaN where the targets are no classes. */
  readonly accuracy: number;
  readonly accuracyTop5: number;
  /** Samples, or times of samples. */
  readonly count: number;
}

export function evaluationOf({ loss, correct, correctTop5, count }: RecordSums, classes: boolean): Evaluation {
  return {
    loss: loss / count,
    accuracy: classes ? correct / count : Number.NaN,
    accuracyTop5: classes ? correctTop5 / count : Number.NaN,
    count,
  };
}
