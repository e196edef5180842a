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
  const where = "fit: resume";
  checkForm(where, given);
  const differences = (["seed", "stepsPerEpoch", "batchSize"] as const).flatMap((name) =>
    difference(name, given[name], wanted[name]),
  );
  if (!Number.isSafeInteger(given.step) || given.step < 0) differences.push(`step is ${given.step}`);
  refuse(where, differences);
}

/** @throws {CheckpointError} unless `given` is a checkpoint of a training, of whichever. */
export function checkForm(where: string, given: FitCheckpoint): void {
  const { format, version, optimizer, buffers, sums } = (given ?? {}) as Partial<FitCheckpoint>;
  refuse(where, [...difference("format", format, FORMAT), ...difference("version", version, VERSION)]);
  const whole =
    typeof (optimizer ?? 0) === "object" &&
    typeof (buffers ?? 0) === "object" &&
    Object.values(buffers as object).every((values) => values instanceof Float32Array) &&
    typeof sums?.count === "number";
  if (!whole) refuse(where, ["optimizer, buffers or sums are missing"]);
}

function difference(name: string, got: unknown, want: unknown): string[] {
  return got === want ? [] : [`${name} is ${String(got)} in the checkpoint, and ${String(want)} here`];
}

function refuse(where: string, differences: readonly string[]): void {
  if (differences.length > 0) throw new CheckpointError(`${where}: ${differences.join("; ")}`);
}
