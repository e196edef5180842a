/** Data sets: what a user hands over, and rows of words as the GPU has them. */
import { checkKeys } from "../../engine/checks.ts";
import { OptionError } from "../../errors.ts";
import { quadsOf } from "../activation.ts";
import type { ByteInput } from "../linear.ts";
import type { TargetKind } from "../loss.ts";
import { checkIndices, type PackedKind, packIndices, packRows, wholeSamples } from "../packing.ts";

/** Samples in memory. */
export interface DataSet {
  /**
   * Samples one after the other: `Uint8Array` (or `Uint8ClampedArray`) for a plan of bytes, `Float32Array` for one of floats,
   * `Uint32Array` (or another one of integers) for tokens.
   */
  readonly input: ArrayLike<number>;
  /**
   * Classes: a whole number for each sample (or each time of it). Or values as the model's output has them: floats, or
   * bytes, which stand for numbers as `targetBytes` says. May be the same array as `input`.
   */
  readonly target: ArrayLike<number>;
}

/** Samples that come when they are needed, for what does not fit memory. */
export interface DataSource {
  /** Samples in all. */
  readonly count: number;
  /** Gives these samples, in this order. It is asked for the next part while the GPU works on the one before. */
  read(indices: Uint32Array): DataSet | Promise<DataSet>;
}

/** How samples lie in rows of words. */
export interface RowLayout {
  readonly input: PackedKind;
  /** Elements of a stored sample. */
  readonly inputFeatures: number;
  /** Tokens are below this. */
  readonly tokens: number;
  readonly target: TargetKind;
  /** Elements of a sample's target. */
  readonly targetFeatures: number;
  /** Classes are below this. */
  readonly classes: number;
  /** What targets stand for that are bytes. */
  readonly targetBytes: ByteInput;
}

type Words = Uint32Array<ArrayBuffer>;

/** Samples as rows of words. */
export interface PackedRows {
  readonly count: number;
  readonly input: Words;
  readonly target: Words;
  /** The target's rows are four bytes a word. */
  readonly targetIsBytes: boolean;
}

/** Words of a row of the input, and of the target as the plan has it and as it is stored. */
export function wordsOf(layout: RowLayout, targetIsBytes: boolean) {
  const { input, inputFeatures, target, targetFeatures } = layout;
  const quads = quadsOf(targetFeatures);
  const targetWords = target === "classes" ? targetFeatures : 4 * quads;
  return {
    input: input === "bytes" ? quadsOf(inputFeatures) : 4 * quadsOf(inputFeatures),
    target: targetWords,
    storedTarget: targetIsBytes ? quads : targetWords,
  };
}

export function isSource(data: DataSet | DataSource): data is DataSource {
  return typeof (data as Partial<DataSource> | null)?.read === "function";
}

/**
 * Number of samples.
 *
 * @throws {OptionError} unless the arrays hold whole samples, equally many.
 */
export function countSamples(where: string, option: string, data: DataSet | DataSource, layout: RowLayout): number {
  if (isSource(data)) {
    if (!Number.isSafeInteger(data.count) || data.count < 1)
      throw new OptionError(where, `${option}.count`, "must be a whole number from 1 on", data.count);
    return data.count;
  }
  checkKeys(where, option, data, ["input", "target"]);
  const { input, target } = data as unknown as DataSet;
  if (layout.input === "bytes" && !isBytes(input))
    throw new OptionError(where, `${option}.input`, "must be a Uint8Array: the plan takes bytes", input);
  const samples = wholeSamples(where, `${option}.input`, input, layout.inputFeatures);
  if (target?.length !== samples * layout.targetFeatures) {
    const each = layout.target === "classes" ? "a class" : "a value";
    const must = `must be ${layout.targetFeatures} for each of ${samples} samples, ${each} each`;
    throw new OptionError(where, `${option}.target.length`, must, target?.length);
  }
  return samples;
}

function isBytes(values: unknown): boolean {
  return values instanceof Uint8Array || values instanceof Uint8ClampedArray;
}

/** @throws {OptionError} as {@link countSamples} does, and for tokens and classes that do not exist. */
export function pack(where: string, option: string, data: DataSet, layout: RowLayout): PackedRows {
  const count = countSamples(where, option, data, layout);
  const { input, target } = data;
  const targetIsBytes = layout.target === "values" && isBytes(target);
  if (layout.input === "tokens") checkIndices(where, `${option}.input`, input, layout.tokens);
  const packed = rowsOfWords(layout.input, input, count, layout.inputFeatures);
  if (layout.target === "classes") {
    const classes = packIndices(where, `${option}.target`, target, layout.classes);
    return { count, input: packed, target: classes, targetIsBytes };
  }
  const kind = targetIsBytes ? "bytes" : "floats";
  const same = target === input && kind === layout.input && layout.inputFeatures === layout.targetFeatures;
  return {
    count,
    input: packed,
    target: same ? packed : rowsOfWords(kind, target, count, layout.targetFeatures),
    targetIsBytes,
  };
}

const ARRAYS = { floats: Float32Array, bytes: Uint8Array, tokens: Uint32Array };

function rowsOfWords(kind: PackedKind, values: ArrayLike<number>, count: number, features: number): Words {
  // Rows without padding are taken as they are.
  const packed =
    features % 4 === 0 && values instanceof ARRAYS[kind] && values.byteOffset % 4 === 0
      ? (values as Uint8Array<ArrayBuffer>)
      : packRows(kind, values, count, features);
  return new Uint32Array(packed.buffer, packed.byteOffset, packed.byteLength / 4);
}

/** These rows, one after the other. */
export function takeRows(rows: PackedRows, layout: RowLayout, indices: Uint32Array): PackedRows {
  const words = wordsOf(layout, rows.targetIsBytes);
  const take = (from: Words, width: number): Words => {
    const taken = new Uint32Array(indices.length * width);
    indices.forEach((index, at) => {
      taken.set(from.subarray(index * width, (index + 1) * width), at * width);
    });
    return taken;
  };
  const input = take(rows.input, words.input);
  const target = rows.target === rows.input ? input : take(rows.target, words.storedTarget);
  return { count: indices.length, input, target, targetIsBytes: rows.targetIsBytes };
}
