/** Options of `fit`, and their checks. */
import { checkBoolean, checkKeys, checkNumber } from "../../engine/checks.ts";
import { OptionError } from "../../errors.ts";
import type { CompileOptions, OptimizerChoice } from "../compile.ts";
import type { ByteInput } from "../linear.ts";
import type { Model } from "../model.ts";
import { Plan } from "../plan.ts";
import { sizeOf, timesOf } from "../shape.ts";
import { type AugmentOptions, settleAugment } from "./augment.ts";
import type { FitCheckpoint } from "./checkpoint.ts";
import type { DataSet, DataSource, RowLayout } from "./data.ts";
import { EarlyStopping, type EarlyStoppingOptions } from "./early-stopping.ts";
import type { EpochSummary, StepRecord } from "./events.ts";
import type { ImageChanges } from "./gather.ts";

/** What is trained: a plan, or what `compile` makes one of. */
export type FitSubject =
  | { readonly plan: Plan }
  | ({ readonly device: GPUDevice; readonly model: Model } & Omit<
      CompileOptions<OptimizerChoice>,
      "slots" | "inputGradient" | "seed"
    >);

/** How it is trained. */
export interface FitSchedule {
  readonly data: DataSet | DataSource;
  /** What is evaluated after an epoch. */
  readonly test?: DataSet | DataSource;
  /** Passes over the data, those of a checkpoint included. */
  readonly epochs: number;
  /** Ends after so many batches, if that is sooner. */
  readonly maxSteps?: number;
  /** Of the order of the data, of augmentation and dropout, and (where there is no plan yet) of the parameters; default 0. */
  readonly seed?: number;
  /** Another order in every epoch; default true. */
  readonly shuffle?: boolean;
  /** Leaves out the short batch at the end of an epoch; default false. */
  readonly dropLast?: boolean;
  readonly augment?: AugmentOptions;
  /** Images are stored larger than the model takes them: it gets a part, for training at random, else the middle. */
  readonly stored?: readonly [height: number, width: number];
  /** What targets in a `Uint8Array` stand for, `scale * byte / 255 + shift`, where the loss wants values; default byte / 255. */
  readonly targetBytes?: ByteInput;
  /** Data whose input or target is larger than this stays with the host and is streamed; default what the device can bind. */
  readonly residentBytes?: number;
  /** Evaluate after every so many epochs (and after the last); default 1. */
  readonly evaluateEvery?: number;
  readonly earlyStopping?: EarlyStoppingOptions;
  /** Micro-batches of an update, where a plan is given whose optimizer accumulates; default 1. */
  readonly microBatches?: number;
  /** A checkpoint after every so many batches. What `save` returns is awaited. */
  readonly checkpoints?: { readonly every: number; readonly save: (checkpoint: FitCheckpoint) => unknown };
  /** Goes on from there, bit for bit. */
  readonly resume?: FitCheckpoint;
  /** Called with the records of every few batches, some batches later. What it returns is awaited. */
  readonly onSteps?: (records: readonly StepRecord[]) => unknown;
  /** Called after every epoch; `false` (or a promise of it) ends the training. */
  readonly onEpoch?: (summary: EpochSummary) => unknown;
  /** Ends the training after the batches under way. */
  readonly signal?: AbortSignal;
}

export type FitOptions = FitSubject & FitSchedule;

/** Options with everything settled. */
export interface SettledFit
  extends Required<
    Pick<
      FitSchedule,
      "epochs" | "maxSteps" | "seed" | "shuffle" | "dropLast" | "residentBytes" | "evaluateEvery" | "microBatches"
    >
  > {
  readonly layout: RowLayout;
  readonly changes: ImageChanges | undefined;
  readonly earlyStopping: EarlyStopping | undefined;
}

export const WHERE = "fit";
const SUBJECT = ["device", "model", "batchSize", "loss", "optimizer", "bytes", "label"];
const SCHEDULE = [
  ...["data", "test", "epochs", "maxSteps", "seed", "shuffle", "dropLast", "augment", "stored", "targetBytes"],
  ...["residentBytes", "evaluateEvery", "earlyStopping", "microBatches", "checkpoints", "resume", "onSteps", "onEpoch"],
  "signal",
];

/** What can be checked before there is a plan. @throws {OptionError} */
export function checkOptions(options: FitOptions): void {
  const { plan } = (options ?? {}) as Partial<{ plan: Plan }>;
  checkKeys(WHERE, "", options, [...SCHEDULE, ...(plan === undefined ? SUBJECT : ["plan"])]);
  if (plan !== undefined && !(plan instanceof Plan))
    throw new OptionError(WHERE, "plan", "must be what compile() has made", plan);
  if (plan !== undefined && typeof plan.optimizer?.step !== "function")
    throw new OptionError(WHERE, "plan.optimizer", "must be an optimizer", plan.optimizer);
  const { data, epochs, maxSteps, seed, shuffle, dropLast, residentBytes, evaluateEvery, microBatches, targetBytes } =
    options as FitSchedule;
  if (typeof data !== "object" || data === null) throw new OptionError(WHERE, "data", "must be samples", data);
  checkNumber(WHERE, "epochs", epochs, { min: 0, max: 2 ** 20, whole: true });
  const count = { min: 1, max: 2 ** 31, whole: true };
  if (maxSteps !== undefined) checkNumber(WHERE, "maxSteps", maxSteps, { ...count, min: 0 });
  if (seed !== undefined) checkNumber(WHERE, "seed", seed, { min: 0, max: 2 ** 32 - 1, whole: true });
  if (shuffle !== undefined) checkBoolean(WHERE, "shuffle", shuffle);
  if (dropLast !== undefined) checkBoolean(WHERE, "dropLast", dropLast);
  if (residentBytes !== undefined) checkNumber(WHERE, "residentBytes", residentBytes, { min: 0 });
  if (evaluateEvery !== undefined) checkNumber(WHERE, "evaluateEvery", evaluateEvery, count);
  if (microBatches !== undefined) checkNumber(WHERE, "microBatches", microBatches, count);
  if (targetBytes !== undefined) {
    checkKeys(WHERE, "targetBytes", targetBytes, ["scale", "shift"]);
    checkNumber(WHERE, "targetBytes.scale", targetBytes.scale);
    checkNumber(WHERE, "targetBytes.shift", targetBytes.shift);
  }
  checkCalls(options);
}

function checkCalls({ checkpoints, onSteps, onEpoch, signal }: FitSchedule): void {
  const call = (option: string, value: unknown) => {
    if (value !== undefined && typeof value !== "function")
      throw new OptionError(WHERE, option, "must be a function", value);
  };
  call("onSteps", onSteps);
  call("onEpoch", onEpoch);
  if (checkpoints !== undefined) {
    checkKeys(WHERE, "checkpoints", checkpoints, ["every", "save"]);
    checkNumber(WHERE, "checkpoints.every", checkpoints.every, { min: 1, whole: true });
    if (typeof checkpoints.save !== "function")
      throw new OptionError(WHERE, "checkpoints.save", "must be a function", checkpoints.save);
  }
  if (signal !== undefined && typeof signal?.aborted !== "boolean")
    throw new OptionError(WHERE, "signal", "must be an AbortSignal", signal);
}

/** The rest, on a plan. @throws {OptionError} */
export function settle(options: FitOptions, plan: Plan): SettledFit {
  const { model, kinds } = plan;
  const { augment, stored, checkpoints, earlyStopping } = options;
  const changes = settleAugment(WHERE, model.input, augment, stored);
  if (changes && kinds.input === "tokens") throw new OptionError(WHERE, "augment", "cannot change tokens", augment);
  const accumulate = (options as Partial<{ optimizer: OptimizerChoice }>).optimizer?.accumulate;
  const given = typeof accumulate === "object" ? accumulate.microBatches : accumulate;
  const { microBatches = given ?? 1 } = options;
  if (given !== undefined && given !== microBatches)
    throw new OptionError(WHERE, "microBatches", `must be ${given}, as the optimizer accumulates`, microBatches);
  if (checkpoints && checkpoints.every % microBatches !== 0)
    throw new OptionError(
      WHERE,
      "checkpoints.every",
      `must be a multiple of ${microBatches}: sums of micro-batches are not saved`,
      checkpoints.every,
    );
  return {
    epochs: options.epochs,
    maxSteps: options.maxSteps ?? Number.POSITIVE_INFINITY,
    seed: options.seed ?? 0,
    shuffle: options.shuffle ?? true,
    dropLast: options.dropLast ?? false,
    residentBytes: options.residentBytes ?? Number.POSITIVE_INFINITY,
    evaluateEvery: options.evaluateEvery ?? 1,
    microBatches,
    changes,
    earlyStopping: earlyStopping && new EarlyStopping(WHERE, earlyStopping, kinds.target === "classes"),
    layout: {
      input: kinds.input,
      inputFeatures: changes ? changes.channels * changes.stored[0] * changes.stored[1] : sizeOf(model.input),
      target: kinds.target,
      tokens: model.vocabulary,
      targetFeatures: kinds.target === "classes" ? timesOf(model.output) : sizeOf(model.output),
      classes: model.output.at(-1)!,
      targetBytes: options.targetBytes ?? { scale: 1, shift: 0 },
    },
  };
}
