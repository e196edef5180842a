/**
 * A state dict as a safetensors file: `model.NAME`, `optimizer.NAME.SLOT`, and in the metadata what is no tensor. Python reads
 * it by name with `safetensors.torch.load_file`; docs/torch_bridge.py puts it into a model and optimizer of PyTorch.
 */
import type { HyperValue } from "../engine/rule.ts";
import type { GroupState, StateDict, TensorState } from "../engine/state.ts";
import { CheckpointError } from "../errors.ts";
import { fitTo } from "./fit.ts";
import { JsonReader } from "./json-reader.ts";
import { Allowance, checkPairs, quote, readSafetensors, type SafeTensor, writeSafetensors } from "./safetensors.ts";
import { checkOptions, checkState, fromFloats, fromScalar, isScalar, toFloats, toScalar } from "./values.ts";

const FORMAT: StateDict["format"] = "webgpu-optim/state";
const VERSION: StateDict["version"] = 1;
const MODEL = "model.";
const OPTIMIZER = "optimizer.";

/** What a checkpoint file holds. */
export interface Checkpoint {
  /** For `loadStateDict`. Its arrays are views of the file where that allows it. */
  readonly state: StateDict;
  /** What stands under `model.` and is no parameter of the optimizer, such as `bn.running_mean`; names without `model.`. */
  readonly buffers: ReadonlyMap<string, SafeTensor>;
  /** All of the file's metadata, those of the state dict included. */
  readonly metadata: ReadonlyMap<string, string>;
}

export interface WriteOptions {
  /** Tensors of the model that the optimizer does not know, by name. */
  readonly buffers?: ReadonlyMap<string, SafeTensor>;
  /** Further metadata. The names that a state dict needs are taken. */
  readonly metadata?: ReadonlyMap<string, string>;
}

export interface ReadOptions {
  /**
   * A state dict of the optimizer that is going to load, for files that PyTorch has written: its groups are taken, and where a
   * tensor has not been updated yet, zeros for its slots.
   */
  readonly like?: StateDict;
}

function fault(what: string): CheckpointError {
  return new CheckpointError(`checkpoint: ${what}`);
}

/**
 * A safetensors file of model and optimizer. Reading it gives the same state dict, bit for bit.
 *
 * @throws {CheckpointError} for what the file cannot hold, such as a slot's name with a dot.
 */
export function writeCheckpoint(state: StateDict, options: WriteOptions = {}): Uint8Array<ArrayBuffer> {
  const where = "writeCheckpoint";
  checkState(where, "state", state);
  checkOptions(where, options, ["buffers", "metadata"]);
  const { buffers = [], metadata: further = [] } = options;
  checkPairs(where, "buffers", buffers);
  checkPairs(where, "metadata", further);
  const tensors: [string, SafeTensor][] = [];
  const grouped = new Set<string>();
  for (const name of state.groups.flatMap((group) => group.tensors)) {
    if (grouped.has(name)) throw fault(`${quote(name)} is in two groups`);
    grouped.add(name);
  }
  for (const [name, { shape, param, slots, scalars = {} }] of Object.entries(state.tensors)) {
    if (!grouped.has(name)) throw fault(`${quote(name)} is in no group`);
    tensors.push([MODEL + name, fromFloats(shape, param)]);
    // Adafactor has slots of other sizes.
    for (const [slot, data] of Object.entries(slots))
      tensors.push([slotKey(name, slot), fromFloats(data.length === param.length ? shape : [data.length], data)]);
    for (const [key, value] of Object.entries(scalars)) tensors.push([slotKey(name, key), toScalar(value)]);
  }
  for (const [name, tensor] of buffers) tensors.push([MODEL + name, tensor]);
  const { lossScale } = state;
  const metadata = [
    ["format", FORMAT],
    ["version", String(VERSION)],
    ["rule", state.rule],
    ["stepsApplied", number("stepsApplied", state.stepsApplied)],
    ["stepsSkipped", number("stepsSkipped", state.stepsSkipped)],
    ...(lossScale
      ? [
          ["lossScale", number("lossScale.scale", lossScale.scale)],
          ["growthTracker", number("lossScale.growthTracker", lossScale.growthTracker)],
        ]
      : []),
    ...(state.numbers ? [["numbers", numbersText("numbers", state.numbers)]] : []),
    ["groups", `[${state.groups.map((group) => groupText(group, state)).join()}]`],
    ...further,
  ] as [string, string][];
  const file = writeSafetensors(tensors, metadata);
  // What could not be read must not be found out when it is needed. Nothing is copied for it.
  readCheckpoint(file);
  return file;
}

function slotKey(name: string, slot: string): string {
  // Names have dots; the last one parts name and slot.
  if (slot.includes(".")) throw fault(`${quote(name)}: the slot ${quote(slot)} has a dot in its name`);
  return `${OPTIMIZER}${name}.${slot}`;
}

function number(what: string, value: number): string {
  if (!Number.isFinite(value)) throw fault(`${what} must be a finite number, got ${value}`);
  return Object.is(value, -0) ? "-0" : String(value);
}

function numbersText(what: string, numbers: Readonly<Record<string, number>>): string {
  const pairs = Object.entries(numbers).map(([key, x]) => `${JSON.stringify(key)}:${number(`${what}: ${key}`, x)}`);
  return `{${pairs.join()}}`;
}

/** The group as JSON. `tensors` are names with their step counts; an object made of them would sort names such as "1" first. */
function groupText(group: GroupState, state: StateDict): string {
  const { name, tensors, lr, weightDecay, decayMode, decayDose, hyper, carry } = group;
  const at = `group ${quote(name)}`;
  const value = (x: HyperValue, what: string): string => {
    if (typeof x === "boolean" || typeof x === "string") return JSON.stringify(x);
    return typeof x === "number" ? number(what, x) : `[${x.map((item) => number(what, item)).join()}]`;
  };
  const options = Object.entries(hyper).map(([key, x]) => `${JSON.stringify(key)}:${value(x, `${at}: ${key}`)}`);
  const steps: string[] = [];
  const numbers: string[] = [];
  for (const tensor of tensors) {
    const found = Object.hasOwn(state.tensors, tensor) ? state.tensors[tensor] : undefined;
    if (!found) throw fault(`${at}: ${quote(tensor)} is not among the tensors`);
    const key = JSON.stringify(tensor);
    steps.push(`${key}:${number(`${quote(tensor)}: step`, found.step)}`);
    if (found.numbers) numbers.push(`${key}:${numbersText(quote(tensor), found.numbers)}`);
  }
  const fields = {
    name: JSON.stringify(name),
    lr: number(`${at}: lr`, lr),
    weightDecay: number(`${at}: weightDecay`, weightDecay),
    decayMode: JSON.stringify(decayMode),
    decayDose: decayDose === null ? "null" : number(`${at}: decayDose`, decayDose),
    hyper: `{${options.join()}}`,
    ...(carry && { carry: numbersText(`${at}: carry`, carry) }),
    tensors: `{${steps.join()}}`,
    ...(numbers.length > 0 && { numbers: `{${numbers.join()}}` }),
  };
  const pairs = Object.entries(fields).map(([key, text]) => `"${key}":${text}`);
  return `{${pairs.join()}}`;
}

/**
 * Reads a checkpoint file, whole or not at all.
 *
 * @throws {CheckpointError} for whatever is wrong with the file, and for what does not fit `like`.
 */
export function readCheckpoint(file: ArrayBuffer | Uint8Array, options: ReadOptions = {}): Checkpoint {
  checkOptions("readCheckpoint", options, ["like"]);
  const { like } = options;
  if (like !== undefined) checkState("readCheckpoint", "like", like);
  const allowance = new Allowance(file?.byteLength ?? 0);
  const { tensors: entries, metadata } = readSafetensors(file, allowance);
  const text = (key: string): string => {
    const value = metadata.get(key);
    if (value === undefined) throw fault(`the metadata have no ${key}`);
    return value;
  };
  const count = (key: string): number => read(key, text(key), allowance, (reader) => reader.whole(key));
  if (text("format") !== FORMAT) throw fault(`format must be ${FORMAT}, got ${quote(text("format"))}`);
  if (text("version") !== String(VERSION)) throw fault(`version must be ${VERSION}, got ${quote(text("version"))}`);
  const groups = read("groups", text("groups"), allowance, (reader) => readGroups(reader, allowance));
  const { tensors, buffers } = sort(entries, groups, allowance);
  const state: StateDict = {
    format: FORMAT,
    version: VERSION,
    rule: text("rule"),
    stepsApplied: count("stepsApplied"),
    stepsSkipped: count("stepsSkipped"),
    ...(metadata.has("lossScale")
      ? {
          lossScale: {
            scale: read("lossScale", text("lossScale"), allowance, (reader) => reader.number("lossScale")),
            growthTracker: count("growthTracker"),
          },
        }
      : {}),
    ...(metadata.has("numbers")
      ? { numbers: read("numbers", text("numbers"), allowance, (reader) => readNumbers(reader, allowance)) }
      : {}),
    groups: groups.groups,
    tensors,
  };
  return { state: like ? fitTo(state, like) : state, buffers, metadata };
}

function read<T>(where: string, text: string, allowance: Allowance, value: (reader: JsonReader) => T): T {
  const reader = new JsonReader(where, text, allowance.spend);
  const result = value(reader);
  reader.end();
  return result;
}

const REQUIRED = ["name", "lr", "weightDecay", "decayMode", "decayDose", "hyper", "tensors"] as const;
const GROUP_FIELDS = [...REQUIRED, "carry", "numbers"] as const;
/** Of a tensor's name and step count, and of an option, in bytes. */
const PER_ITEM = 256;
/** Of a tensor's place in a state dict, in bytes. */
const PER_PLACE = 416;
const LONGEST_LIST = 16;

interface Groups {
  readonly groups: GroupState[];
  /** By tensor. */
  readonly steps: Map<string, number>;
  readonly numbers: Map<string, Record<string, number>>;
}

function readGroups(reader: JsonReader, allowance: Allowance): Groups {
  const result: Groups = { groups: [], steps: new Map(), numbers: new Map() };
  for (reader.open("["); reader.more("]"); ) {
    const got: Partial<Record<(typeof GROUP_FIELDS)[number], unknown>> = {};
    allowance.spend(PER_ITEM);
    for (reader.open("{"); reader.more("}"); ) {
      const key = reader.keyOf(GROUP_FIELDS);
      if (key in got) reader.fail(`${key} stands twice`);
      got[key] = readField(reader, key, allowance, result);
    }
    const missing = REQUIRED.filter((key) => !(key in got));
    if (missing.length > 0) reader.fail(`a group has no ${missing.join(", ")}`);
    const { numbers: _, ...group } = got;
    result.groups.push(group as unknown as GroupState);
  }
  return result;
}

function readField(
  reader: JsonReader,
  key: (typeof GROUP_FIELDS)[number],
  allowance: Allowance,
  { steps, numbers }: Groups,
): unknown {
  switch (key) {
    case "name":
    case "decayMode":
      return reader.string();
    case "hyper":
      return Object.fromEntries(readItems(reader, allowance, new Map(), (name) => readHyperValue(reader, name)));
    case "carry":
      return readNumbers(reader, allowance);
    case "tensors": {
      const names: string[] = [];
      readItems(reader, allowance, steps, (name) => {
        names.push(name);
        return reader.whole("a step count");
      });
      return names;
    }
    case "numbers":
      readItems(reader, allowance, numbers, () => readNumbers(reader, allowance));
      return true;
    case "decayDose":
      return reader.peek() === "n" ? reader.literal(key) : reader.number(key);
    default:
      return reader.number(key);
  }
}

function readNumbers(reader: JsonReader, allowance: Allowance): Record<string, number> {
  // Not by assignment: a key may be __proto__.
  return Object.fromEntries(readItems(reader, allowance, new Map(), (key) => reader.number(quote(key))));
}

/** An object with any keys, whose items go into `items`, where none of them may be. */
function readItems<T>(
  reader: JsonReader,
  allowance: Allowance,
  items: Map<string, T>,
  item: (key: string) => T,
): Map<string, T> {
  for (reader.open("{"); reader.more("}"); ) {
    const key = reader.key();
    if (items.has(key)) reader.fail(`${quote(key)} stands twice`);
    allowance.spend(PER_ITEM);
    items.set(key, item(key));
  }
  return items;
}

function readHyperValue(reader: JsonReader, key: string): HyperValue {
  const first = reader.peek();
  if (first === "[") {
    const list: number[] = [];
    for (reader.open("["); reader.more("]"); ) {
      if (list.length === LONGEST_LIST) reader.fail(`${quote(key)} has more than ${LONGEST_LIST} numbers`);
      list.push(reader.number(quote(key)));
    }
    return list;
  }
  if (first === '"') return reader.string();
  if (first !== "t" && first !== "f") return reader.number(quote(key));
  return reader.literal(quote(key)) as boolean;
}

interface Draft {
  readonly shape: readonly number[];
  readonly step: number;
  readonly param: Float32Array;
  readonly slots: [string, Float32Array][];
  readonly scalars: [string, number][];
}

/** Parts a file's tensors into those of the optimizer and the model's buffers. */
function sort(
  entries: ReadonlyMap<string, SafeTensor>,
  { steps, numbers }: Groups,
  allowance: Allowance,
): { tensors: Record<string, TensorState>; buffers: Map<string, SafeTensor> } {
  const drafts = new Map<string, Draft>();
  const buffers = new Map<string, SafeTensor>();
  // By forEach: an iterator makes a pair for each entry.
  entries.forEach((tensor, key) => {
    allowance.spend(PER_PLACE);
    if (!key.startsWith(MODEL)) return;
    const name = key.slice(MODEL.length);
    const step = steps.get(name);
    if (step === undefined) buffers.set(name, tensor);
    else
      drafts.set(name, { shape: tensor.shape, step, param: toFloats(tensor, key, allowance), slots: [], scalars: [] });
  });
  for (const name of steps.keys()) if (!drafts.has(name)) throw fault(`${quote(MODEL + name)} is missing`);
  for (const name of numbers.keys()) if (!drafts.has(name)) throw fault(`${quote(name)} has numbers and no group`);
  entries.forEach((tensor, key) => {
    if (key.startsWith(MODEL)) return;
    const dot = key.lastIndexOf(".");
    const draft = key.startsWith(OPTIMIZER) ? drafts.get(key.slice(OPTIMIZER.length, dot)) : undefined;
    if (!draft) throw fault(`${quote(key)} belongs to no parameter`);
    const slot = key.slice(dot + 1);
    if (isScalar(tensor)) draft.scalars.push([slot, fromScalar(tensor)]);
    else {
      const values = toFloats(tensor, key, allowance);
      const ownSize = values.length !== draft.param.length && tensor.shape.length === 1;
      if (!ownSize && tensor.shape.join() !== draft.shape.join())
        throw fault(`${quote(key)} must have shape [${draft.shape.join()}], got [${tensor.shape.join()}]`);
      draft.slots.push([slot, values]);
    }
  });
  const tensors = [...drafts].map(([name, { slots, scalars, ...rest }]): [string, TensorState] => [
    name,
    {
      ...rest,
      slots: Object.fromEntries(slots),
      ...(numbers.has(name) ? { numbers: numbers.get(name) as Record<string, number> } : {}),
      ...(scalars.length > 0 ? { scalars: Object.fromEntries(scalars) } : {}),
    },
  ]);
  // Not by assignment: a tensor may be called __proto__.
  return { tensors: Object.fromEntries(tensors), buffers };
}
