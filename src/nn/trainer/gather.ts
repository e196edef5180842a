/** What puts a batch into `plan.input` and `plan.target`, at the beginning of the submission that needs it. */

import bytes from "../../../shaders/nn/augment/elements/bytes.wgsl?raw";
import floats from "../../../shaders/nn/augment/elements/floats.wgsl?raw";
import gatherRows from "../../../shaders/nn/augment/gather-rows.wgsl?raw";
import images from "../../../shaders/nn/augment/images.wgsl?raw";
import { BATCH_IMPORTS } from "../batch.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import type { ByteInput } from "../linear.ts";

const WORKGROUP_SIZE = 64;

/** See {@link gatherRowsOf}. */
export type GatherRows = Operation<"batch" | "samples" | "targets" | "order" | "input" | "target">;
/** See {@link gatherImages}. */
export type GatherImages = Operation<"batch" | "random" | "samples" | "order" | "input">;

const ROWS: KernelOf<GatherRows> = {
  name: "gather-rows",
  file: { path: "nn/augment/gather-rows.wgsl", text: gatherRows },
  entryPoint: "gather_rows",
  bindings: [
    ["batch", "uniform"],
    ["samples", "read"],
    ["targets", "read"],
    ["order", "read"],
    ["input", "write"],
    ["target", "write"],
  ],
};

const IMAGES: KernelOf<GatherImages> = {
  name: "gather-images",
  file: { path: "nn/augment/images.wgsl", text: images },
  entryPoint: "augment",
  bindings: [
    ["batch", "uniform"],
    ["random", "uniform"],
    ["samples", "read"],
    ["order", "read"],
    ["input", "write"],
  ],
};

/** Words of the rows of a batch. */
export interface RowWords {
  readonly rows: number;
  /** 0: another kernel makes the input. */
  readonly inputWords: number;
  readonly targetWords: number;
  /** Of the target's words so many are not padding. */
  readonly targetFeatures: number;
  /** The targets are bytes and stand for these floats. */
  readonly targetBytes: ByteInput | undefined;
}

/**
 * Copies the rows of a batch, of input and target.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function gatherRowsOf(device: GPUDevice, label: string, shape: RowWords): Promise<GatherRows> {
  const { rows, inputWords, targetWords, targetFeatures, targetBytes } = shape;
  const constants = {
    WORKGROUP_SIZE,
    ROWS: rows,
    INPUT_WORDS: inputWords,
    TARGET_WORDS: targetWords,
    TARGET_FEATURES: targetFeatures,
    TARGET_BYTES: Number(targetBytes !== undefined),
    TARGET_SCALE: targetBytes?.scale ?? 1,
    TARGET_SHIFT: targetBytes?.shift ?? 0,
  };
  const grid = [Math.ceil((inputWords + targetWords) / WORKGROUP_SIZE), rows] as const;
  return Operation.compile(device, label, ROWS, BATCH_IMPORTS, constants, grid);
}

/** What is done to images; see {@link AugmentOptions}, which have this settled. */
export interface ImageChanges {
  readonly channels: number;
  readonly size: readonly [height: number, width: number];
  readonly stored: readonly [height: number, width: number];
  readonly shift: readonly [y: number, x: number];
  readonly flip: boolean;
  readonly noise: number;
  readonly fill: number;
}

/**
 * Makes the input of a batch from stored images: random windows of them, or with `training` false the middle.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function gatherImages(
  device: GPUDevice,
  label: string,
  shape: ImageChanges & { readonly rows: number; readonly bytes: boolean; readonly training: boolean },
): Promise<GatherImages> {
  const { channels, size, stored, shift, rows } = shape;
  const constants = {
    WORKGROUP_SIZE,
    TRAINING: Number(shape.training),
    ROWS: rows,
    CHANNELS: channels,
    HEIGHT: size[0],
    WIDTH: size[1],
    SOURCE_HEIGHT: stored[0],
    SOURCE_WIDTH: stored[1],
    SHIFT_Y: shift[0],
    SHIFT_X: shift[1],
    FLIP: Number(shape.flip),
    NOISE: shape.noise,
    FILL: shape.fill,
  };
  const elements = shape.bytes
    ? { path: "nn/augment/elements/bytes.wgsl", text: bytes }
    : { path: "nn/augment/elements/floats.wgsl", text: floats };
  const imports = { ...BATCH_IMPORTS, "nn/augment/elements": elements };
  const quads = Math.ceil((channels * size[0] * size[1]) / 4);
  return Operation.compile(device, label, IMAGES, imports, constants, [Math.ceil(quads / WORKGROUP_SIZE), rows]);
}
