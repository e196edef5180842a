/**
 * A training as a file: a checkpoint of `webgpu-optim/checkpoint` (so Python reads its tensors by name), with the rest of the
 * training as JSON in the metadata, under `fit`.
 */
import { readCheckpoint, writeCheckpoint } from "../../checkpoint/checkpoint.ts";
import { JsonReader } from "../../checkpoint/json-reader.ts";
import { Allowance } from "../../checkpoint/safetensors.ts";
import { fromFloats, toFloats } from "../../checkpoint/values.ts";
import { CheckpointError } from "../../errors.ts";
import { checkForm, type FitCheckpoint, toCheckpoint } from "./checkpoint.ts";

const KEY = "fit";
const VERSION = 1;
const COUNTS = ["version", "seed", "step", "epochsEnded", "stepsPerEpoch", "batchSize"] as const;
const SUMS = ["loss", "correct", "correctTop5", "count"] as const;
const EARLY_STOPPING = ["best", "bad"] as const;
const FIELDS = [...COUNTS, "sums", "earlyStopping"] as const;
/** Losses may be these, and JSON has no numbers for them. */
const NOT_FINITE = ["NaN", "Infinity", "-Infinity"] as const;

/**
 * A safetensors file of everything that a training goes on from. Reading it gives an equal checkpoint, bit for bit.
 *
 *     const file = writeFitCheckpoint(await training.checkpoint());
 *
 * @throws {CheckpointError} for what is no checkpoint of a training, or what the file cannot hold, such as a slot's name with a dot.
 */
export function writeFitCheckpoint(checkpoint: FitCheckpoint): Uint8Array<ArrayBuffer> {
  checkForm("writeFitCheckpoint", checkpoint);
  const { optimizer, buffers, sums, earlyStopping } = checkpoint;
  const counts = COUNTS.map((key) => pair(key, key === "version" ? VERSION : checkpoint[key]));
  const parts = [
    ...counts,
    `"sums":${objectOf(SUMS.map((key) => pair(key, sums[key])))}`,
    `"earlyStopping":${earlyStopping ? objectOf(EARLY_STOPPING.map((key) => pair(key, earlyStopping[key]))) : "null"}`,
  ];
  const file = writeCheckpoint(optimizer, {
    buffers: new Map(Object.entries(buffers).map(([name, values]) => [name, fromFloats([values.length], values)])),
    metadata: new Map([[KEY, objectOf(parts)]]),
  });
  // What could not be read must not be found out when it is needed.
  readFitCheckpoint(file);
  return file;
}

const objectOf = (pairs: readonly string[]) => `{${pairs.join()}}`;

function pair(key: string, value: number | null): string {
  return `"${key}":${value === null || Number.isFinite(value) ? value : `"${value}"`}`;
}

/**
 * Reads what {@link writeFitCheckpoint} has made, whole or not at all; for `resume`. Its arrays are views of the file where that
 * allows it.
 *
 *     const training = await fit({ ...sameOptions, resume: readFitCheckpoint(file) });
 *
 * @throws {CheckpointError} for whatever is wrong with the file, and for a checkpoint of something else than a training.
 */
export function readFitCheckpoint(file: ArrayBuffer | Uint8Array): FitCheckpoint {
  const { state, buffers, metadata } = readCheckpoint(file);
  const text = metadata.get(KEY);
  if (text === undefined) throw new CheckpointError(`checkpoint: the metadata have no ${KEY}: this is no training`);
  const allowance = new Allowance(file.byteLength);
  const reader = new JsonReader(KEY, text, allowance.spend);
  const { version, ...fields } = readFields(reader);
  reader.end();
  if (version !== VERSION) throw new CheckpointError(`checkpoint: ${KEY}: version must be ${VERSION}, got ${version}`);
  const values = [...buffers].map(([name, tensor]) => [name, toFloats(tensor, `model.${name}`, allowance)] as const);
  return toCheckpoint({ ...fields, optimizer: state, buffers: Object.fromEntries(values) });
}

type Fields = Omit<FitCheckpoint, "format" | "optimizer" | "buffers" | "version"> & { readonly version: number };

function readFields(reader: JsonReader): Fields {
  return readObject(reader, FIELDS, (key) => {
    if (key === "sums")
      return readObject(reader, SUMS, (figure) => (figure === "loss" ? readLoss(reader) : reader.whole(figure)));
    if (key !== "earlyStopping") return reader.whole(key);
    if (reader.peek() === "n") return reader.literal(key);
    return readObject(reader, EARLY_STOPPING, (figure) => {
      if (figure === "bad") return reader.whole(figure);
      return reader.peek() === "n" ? reader.literal(figure) : readLoss(reader);
    });
  }) as unknown as Fields;
}

/** An object with each of these keys once. */
function readObject<K extends string>(
  reader: JsonReader,
  keys: readonly K[],
  value: (key: K) => unknown,
): Record<K, unknown> {
  const got: Partial<Record<K, unknown>> = {};
  for (reader.open("{"); reader.more("}"); ) {
    const key = reader.keyOf(keys);
    if (key in got) reader.fail(`${key} stands twice`);
    got[key] = value(key);
  }
  const missing = keys.filter((key) => !(key in got));
  if (missing.length > 0) reader.fail(`there is no ${missing.join(", ")}`);
  return got as Record<K, unknown>;
}

function readLoss(reader: JsonReader): number {
  return reader.peek() === '"' ? Number(reader.oneOf("a loss", NOT_FINITE)) : reader.number("a loss");
}
