/** What passes between the bench's page, its suites and Node. Plain data and types only: both sides import it. */
import type { CaseName } from "./cases.ts";

export const suiteNames = ["update", "train", "jax", "tfjs", "muon", "kernels", "rules", "soak"] as const;
export type SuiteName = (typeof suiteNames)[number];
/** Suites that time steps, and so give rows of the same form. */
export type TimedSuite = Exclude<SuiteName, "soak" | "kernels" | "rules">;

/** Matrices of the muon suite, rows x columns. */
export const matrixCases = ["256x256", "1024x256"] as const;
export type MatrixCase = (typeof matrixCases)[number];

/** What the command line asks for. */
export interface BenchRequest {
  readonly suites: readonly SuiteName[];
  readonly cases: readonly CaseName[];
  /** Cases of the rules suite; empty for all. */
  readonly rules: readonly string[];
  /** Names of implementations; empty for all. */
  readonly impls: readonly string[];
  readonly rounds: number;
  /** Steps of the soak suite. */
  readonly soakSteps: number;
}

/** WebGPU calls of one step. */
export interface CallCounts {
  readonly dispatches: number;
  readonly passes: number;
  readonly submits: number;
  readonly createBuffer: number;
  readonly createBindGroup: number;
  readonly writeBuffer: number;
  readonly mapAsync: number;
}

export interface UpdateRow {
  readonly suite: TimedSuite;
  readonly case: CaseName | MatrixCase;
  readonly impl: string;
  /** A step until the GPU is done: median and best of the rounds. */
  readonly median_ms: number;
  readonly min_ms: number;
  /** The step call alone, without waiting for the GPU. */
  readonly host_ms: number;
  /** This implementation's time over that of ours measured next to it: median over the rounds. */
  readonly over_ours: number;
  readonly counts: CallCounts;
  /** Largest error of a parameter before timing, in units of what is allowed (adamw-float64.ts). */
  readonly error: number;
  /** Of the train suite: samples by the median, and the most bytes of GPU buffers at once, through creation and the first steps. */
  readonly images_per_second?: number;
  readonly peak_bytes?: number;
}

export interface SoakRow {
  readonly suite: "soak";
  readonly steps: number;
  readonly buffers: { readonly early: number; readonly late: number };
  readonly heap_bytes: { readonly early: number; readonly late: number };
  readonly figures_delivered: number;
}

/** A kernel of the training kit alone, or what it is compared with. */
export interface KernelRow {
  readonly suite: "kernels";
  readonly case: string;
  readonly impl: string;
  /** Of its best round. */
  readonly gflops: number;
  /** Of what products and sums of registers reach. */
  readonly share: number;
}

/** A rule beside the stream floor of its own loads and stores. */
export interface RuleRow {
  readonly suite: "rules";
  /** Export of the library, and options that are not its defaults. */
  readonly case: string;
  /** Bytes per parameter. */
  readonly loaded: number;
  readonly stored: number;
  /** A step until the GPU is done: medians of the rounds. */
  readonly ours_ms: number;
  readonly floor_ms: number;
  /** Ours over the floor measured next to it: median over the rounds. */
  readonly ratio: number;
  /** Largest error of a parameter before timing, in units of what is allowed. */
  readonly error: number;
}

export type Row = UpdateRow | SoakRow | KernelRow | RuleRow;

export function isTimed(row: Row): row is UpdateRow {
  return row.suite !== "soak" && row.suite !== "kernels" && row.suite !== "rules";
}

export interface AdapterNames {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
}

/** What the page tells Node while it runs. */
export type BenchMessage =
  | { readonly type: "adapter"; readonly adapter: AdapterNames }
  | { readonly type: "row"; readonly row: Row }
  | { readonly type: "progress"; readonly text: string };

/** What a suite gets. */
export interface SuiteContext {
  readonly request: BenchRequest;
  /** For our engine and the floors; the peers bring their own. */
  readonly device: GPUDevice;
  row(row: Row): Promise<void>;
  progress(text: string): Promise<void>;
}

export type Suite = (context: SuiteContext) => Promise<void>;
