/**
 * The safetensors format: the length of the header as u64, the header as JSON, and the data, which the tensors cover without
 * gap or overlap. https://github.com/huggingface/safetensors#format
 *
 * Reading trusts nothing. What it allocates stays below the size of the file and {@link ALLOWANCE}; the data are not copied.
 */
import { CheckpointError } from "../errors.ts";
import { JsonReader } from "./json-reader.ts";

/** Bytes of an element. Types of less than a byte have no place here. */
const SIZES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
  C64: 8,
} as const;

/** Type of a tensor's elements, as safetensors files name it. */
export type Dtype = keyof typeof SIZES;

/** A tensor as it lies in a file: little-endian, row-major. */
export interface SafeTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** What a file holds. */
export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, SafeTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

const DTYPES = Object.keys(SIZES) as Dtype[];
const FIELDS = ["dtype", "shape", "data_offsets"] as const;
const METADATA = "__metadata__";
/** PyTorch has no more dimensions. */
const MOST_DIMENSIONS = 64;
/** What reading may allocate beyond the size of the file, in bytes. */
const ALLOWANCE = 2 ** 20;
/** What a tensor takes in V8 (name, entry, view), in bytes; test/cpu/checkpoint-fuzz.test.ts measures that it is enough. */
const PER_TENSOR = 704;
/** Of an entry of the metadata, in bytes. */
const PER_TEXT = 256;

/**
 * Counts what reading a file of this many bytes makes. A header can ask for much more memory than it takes up: 53 bytes make
 * a tensor. So a checkpoint may have 700 tensors, and one more for each 1120 bytes of data.
 */
export class Allowance {
  #left: number;

  constructor(fileBytes: number) {
    // The rest is left to what is not counted.
    this.#left = fileBytes + 0.8 * ALLOWANCE;
  }

  readonly spend = (bytes: number): void => {
    this.#left -= bytes;
    if (this.#left < 0) throw fault("the header asks for more memory than the size of the file and 1 MiB");
  };
}

function fault(what: string): CheckpointError {
  return new CheckpointError(`checkpoint: ${what}`);
}

/** A name as it stands in a message. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 57)}...` : name);
}

/** @throws {CheckpointError} for an argument that does not fit. */
export function need(fits: unknown, where: string, option: string, must: string, value: unknown): void {
  if (!fits) throw new CheckpointError(`${where}: ${option} ${must}, got ${value === null ? "null" : typeof value}`);
}

export function checkTensor(where: string, name: string, tensor: SafeTensor): SafeTensor {
  const fits = SIZES[tensor?.dtype] && Array.isArray(tensor.shape) && tensor.bytes instanceof Uint8Array;
  need(fits, where, name, "must be { dtype, shape, bytes }", tensor);
  return tensor;
}

/** A plain object is no list of pairs, a Map is. */
export function checkPairs(where: string, option: string, pairs: Iterable<unknown>): void {
  need(typeof pairs !== "string" && pairs?.[Symbol.iterator], where, option, "must be a Map, or [name, value]s", pairs);
}

/**
 * Reads a safetensors file. The tensors are views of `file`.
 *
 * @throws {CheckpointError} for whatever is wrong with it.
 */
export function readSafetensors(
  file: ArrayBuffer | Uint8Array,
  allowance: Allowance = new Allowance(file?.byteLength ?? 0),
): SafetensorsFile {
  const fits = file instanceof Uint8Array || file instanceof ArrayBuffer;
  need(fits, "checkpoint", "a file", "must be an ArrayBuffer or a Uint8Array", file);
  const bytes = file instanceof Uint8Array ? file : new Uint8Array(file);
  if (bytes.length < 8) throw fault(`the file has ${bytes.length} bytes; 8 tell the length of the header`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (length > bytes.length - 8) throw fault(`the header's ${length} bytes do not fit a file of ${bytes.length}`);
  const data = bytes.subarray(8 + length);
  const { tensors, metadata } = readHeader(bytes.subarray(8, 8 + length), data, allowance);
  checkTiling(tensors, data);
  return { tensors, metadata };
}

function readHeader(bytes: Uint8Array, data: Uint8Array, allowance: Allowance) {
  const reader = new JsonReader("header", decode(bytes, allowance), allowance.spend);
  const tensors = new Map<string, SafeTensor>();
  let metadata: Map<string, string> | undefined;
  // The format wants the brace first; white space may only follow.
  if (bytes[0] !== 0x7b) reader.fail("{ expected first");
  for (reader.open("{"); reader.more("}"); ) {
    const name = reader.key();
    if (name === METADATA) {
      if (metadata) reader.fail(`${METADATA} stands twice`);
      metadata = readMetadata(reader, allowance);
    } else {
      if (tensors.has(name)) reader.fail(`${quote(name)} stands twice`);
      allowance.spend(PER_TENSOR);
      tensors.set(name, readTensor(reader, name, data));
    }
  }
  reader.end();
  return { tensors, metadata: metadata ?? new Map<string, string>() };
}

/** The header's text; V8 takes two bytes for each of its characters if one is beyond Latin-1. */
function decode(bytes: Uint8Array, allowance: Allowance): string {
  allowance.spend((bytes.some((byte) => byte >= 0x80) ? 2 : 1) * bytes.length);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fault("the header is no valid UTF-8");
  }
}

function readMetadata(reader: JsonReader, allowance: Allowance): Map<string, string> {
  const metadata = new Map<string, string>();
  for (reader.open("{"); reader.more("}"); ) {
    const key = reader.key();
    if (metadata.has(key)) reader.fail(`${METADATA}: ${quote(key)} stands twice`);
    allowance.spend(PER_TEXT);
    metadata.set(key, reader.string());
  }
  return metadata;
}

function readTensor(reader: JsonReader, name: string, data: Uint8Array): SafeTensor {
  let dtype: Dtype | undefined;
  let shape: readonly number[] | undefined;
  let begin = -1;
  let end = -1;
  for (reader.open("{"); reader.more("}"); ) {
    const key = reader.keyOf(FIELDS);
    if (key === "dtype" && !dtype) dtype = reader.oneOf("dtype", DTYPES);
    else if (key === "shape" && !shape) shape = readShape(reader);
    else if (key === "data_offsets" && end < 0) {
      reader.open("[");
      if (reader.more("]")) begin = reader.whole(key);
      if (begin >= 0 && reader.more("]")) end = reader.whole(key);
      if (end < 0 || reader.more("]")) reader.fail(`${quote(name)}: data_offsets must be two numbers`);
    } else reader.fail(`${quote(name)}: ${key} stands twice`);
  }
  if (!dtype || !shape || end < 0) return reader.fail(`${quote(name)} must have dtype, shape and data_offsets`);
  const size = byteSize(dtype, shape);
  if (size === undefined) reader.fail(`${quote(name)}: shape [${shape.join()}] has more than 2^53 bytes`);
  if (end - begin !== size)
    reader.fail(`${quote(name)}: ${dtype} [${shape.join()}] takes ${size} bytes, data_offsets are [${begin},${end}]`);
  if (end > data.length) reader.fail(`${quote(name)} ends at byte ${end} of the data, the file has ${data.length}`);
  return { dtype, shape, bytes: data.subarray(begin, end) };
}

/** Where a shape is gathered: an array that grows takes ten times what it holds. */
const EXTENTS: number[] = new Array(MOST_DIMENSIONS).fill(0);

function readShape(reader: JsonReader): number[] {
  let rank = 0;
  for (reader.open("["); reader.more("]"); rank++) {
    if (rank === MOST_DIMENSIONS) reader.fail(`shape has more than ${MOST_DIMENSIONS} numbers`);
    EXTENTS[rank] = reader.whole("shape");
  }
  return EXTENTS.slice(0, rank);
}

/** Bytes of a tensor; undefined where float64 cannot count them. */
function byteSize(dtype: Dtype, shape: readonly number[]): number | undefined {
  if (shape.includes(0)) return 0;
  let size: number = SIZES[dtype];
  for (let i = 0; i < shape.length; i++) size *= shape[i] as number;
  return Number.isSafeInteger(size) ? size : undefined;
}

/** Neither gaps nor overlaps: each tensor begins where another ends, and the last one ends with the file. */
function checkTiling(tensors: ReadonlyMap<string, SafeTensor>, data: Uint8Array): void {
  const bytesOf = (name: string): Uint8Array => (tensors.get(name) as SafeTensor).bytes;
  const names = Array.from(tensors.keys());
  names.sort((a, b) => bytesOf(a).byteOffset - bytesOf(b).byteOffset || bytesOf(a).length - bytesOf(b).length);
  let at = 0;
  for (const name of names) {
    const begin = bytesOf(name).byteOffset - data.byteOffset;
    if (begin !== at) throw fault(`${quote(name)} begins at byte ${begin} of the data, must at ${at}`);
    at = begin + bytesOf(name).length;
  }
  if (at !== data.length) throw fault(`the tensors take ${at} bytes of data, the file has ${data.length}`);
}

/**
 * A safetensors file. Each tensor begins at a multiple of its element size.
 *
 * @throws {CheckpointError} for names or shapes that no file can hold.
 */
export function writeSafetensors(
  tensors: Iterable<readonly [name: string, tensor: SafeTensor]>,
  metadata: Iterable<readonly [key: string, value: string]> = [],
): Uint8Array<ArrayBuffer> {
  const where = "writeSafetensors";
  checkPairs(where, "tensors", tensors);
  checkPairs(where, "metadata", metadata);
  // Wide elements first, so that all are aligned.
  const entries = Array.from(tensors, ([name, tensor]) => [name, checkTensor(where, name, tensor)] as const).sort(
    ([, a], [, b]) => SIZES[b.dtype] - SIZES[a.dtype],
  );
  const names = new Set([METADATA]);
  let at = 0;
  const fields = entries.map(([name, { dtype, shape, bytes }]) => {
    if (names.has(name)) throw fault(`the name ${quote(name)} stands twice, or is reserved`);
    names.add(name);
    const begin = at;
    at += bytes.length;
    if (byteSize(dtype, shape) !== bytes.length)
      throw fault(`${quote(name)}: ${dtype} [${shape.join()}] does not take ${bytes.length} bytes`);
    return `${text(name)}:{"dtype":"${dtype}","shape":[${shape.join()}],"data_offsets":[${begin},${at}]}`;
  });
  // Put together as text: an object would put names such as "1" first, and "__proto__" is no key like others.
  const pairs = [...metadata].map(([key, value]) => `${text(key)}:${text(value)}`);
  if (pairs.length > 0) fields.unshift(`"${METADATA}":{${pairs.join()}}`);
  const header = new TextEncoder().encode(`{${fields.join()}}`);
  const padded = Math.ceil(header.length / 8) * 8;
  const file = new Uint8Array(8 + padded + at);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(header, 8);
  file.fill(0x20, 8 + header.length, 8 + padded);
  let place = 8 + padded;
  for (const [, { bytes }] of entries) {
    file.set(bytes, place);
    place += bytes.length;
  }
  return file;
}

function text(value: string): string {
  need(typeof value === "string", "writeSafetensors", "a name or text", "must be a string", value);
  if (/\p{Surrogate}/u.test(value)) throw fault(`${quote(value)} has half a surrogate pair`);
  return JSON.stringify(value);
}
