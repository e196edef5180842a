/** A training at one moment, whole. */
import type { StateDict } from "../../engine/state.ts";
import { CheckpointError } from "../../errors.ts";
import type { EarlyStoppingState } from "./early-stopping.ts";
import type { RecordSums } from "./sums.ts";

const FORMAT = "webgpu-optim/fit";
const VERSION = 1;

/**
 * What a training goes on from, bit for bit: plain values and typed arrays, for `structuredClone`, IndexedDB or `postMessage`.
 * The order of the data, augmentation and dropout are functions of `seed` and `step`, and schedules of the optimizer's count.
 */
export interface FitCheckpoint {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  readonly seed: number;
  /** Batches done. */
  readonly step: number;
  /** Epochs that have been summed up and tested. */
  readonly epochsEnded: number;
  /** Batches of an epoch, and the capacity of a batch. */
  readonly stepsPerEpoch: number;
  readonly batchSize: number;
  /** Over the batches of the epoch under way. */
  readonly sums: RecordSums;
  readonly earlyStopping: EarlyStoppingState | null;
  readonly optimizer: StateDict;
  /** Running statistics and other buffers of the model. */
  readonly buffers: Readonly<Record<string, Float32Array>>;
}

/** Without the marks of the format. */
export function toCheckpoint(fields: Omit<FitCheckpoint, "format" | "version">): FitCheckpoint {
  return { format: FORMAT, version: VERSION, ...fields };
}

/** @throws {CheckpointError} with all differences, unless the checkpoint is of such a training. */
export function checkCheckpoint(
  given: FitCheckpoint,
  wanted: Pick<FitCheckpoint, "seed" | "stepsPerEpoch" | "batchSize">,
): void {
  const { format, version } = (given ?? {}) as Partial<FitCheckpoint>;
  const differences: string[] = [];
  const compare = (name: string, got: unknown, want: unknown) => {
    if (got !== want) differences.push(`${name} is ${String(got)} in the checkpoint, and ${String(want)} here`);
  };
  compare("format", format, FORMAT);
  compare("version", version, VERSION);
  if (differences.length === 0) {
    for (const name of ["seed", "stepsPerEpoch", "batchSize"] as const) compare(name, given[name], wanted[name]);
    if (!Number.isSafeInteger(given.step) || given.step < 0) differences.push(`step is ${given.step}`);
    if (
      typeof given.optimizer !== "object" ||
      typeof given.buffers !== "object" ||
      typeof given.sums?.count !== "number"
    )
      differences.push("optimizer, buffers or sums are missing");
  }
  if (differences.length > 0) throw new CheckpointError(`fit: resume: ${differences.join("; ")}`);
}
