/** What a training run leaves behind: the content of `out/mlp.json` and of the report. */
import type { Figures } from "../../src/index.ts";
import type { History } from "./history.ts";

export interface TrainingLog {
  name: string;
  /** What was trained, with what, in words. */
  setup: Record<string, string>;
  /** What is plotted. */
  charts: { tensors: string[]; accuracyFrom: number | undefined };
  result: {
    /** What counts, in words: names and values. */
    headline: (readonly [string, string])[];
    /** Right predictions on the test data, 0 to 1; NaN where there are no classes. */
    testAccuracy: number;
    testLoss: number;
    /** Steps of training only: no loading, no compilation, no evaluation. */
    trainingSeconds: number;
    samplesPerSecond: number;
    /** First 16 hex digits of the SHA-256 of all weights: equal on every run on the same adapter. */
    weightsHash: string;
  };
  /** Figures of the last monitored step. */
  last: Figures;
  history: History;
}
