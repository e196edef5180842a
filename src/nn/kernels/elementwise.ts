/** Sums and copies of activations: residual addition, concatenation, a row added to every sample. */
import addText from "../../../shaders/nn/elementwise/add.wgsl?raw";
import addRowText from "../../../shaders/nn/elementwise/add-row.wgsl?raw";
import addRowGradientText from "../../../shaders/nn/elementwise/add-row-gradient.wgsl?raw";
import addToText from "../../../shaders/nn/elementwise/add-to.wgsl?raw";
import copyFeaturesText from "../../../shaders/nn/elementwise/copy-features.wgsl?raw";
import { quadsOf } from "../activation.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import { FLAT_INDEX, flatGrid } from "./grid.ts";

/** Sizes of an activation. */
export interface ActivationShape {
  readonly rows: number;
  readonly features: number;
}

/** See {@link add}. */
export type Add = Operation<"a" | "b" | "output">;
/** See {@link addTo}. */
export type AddTo = Operation<"source" | "target">;
/** See {@link copyFeatures}. */
export type CopyFeatures = Operation<"source" | "target">;
/** See {@link addRow}. */
export type AddRow = Operation<"input" | "row" | "output">;
/** See {@link addRowGradient}. */
export type AddRowGradient = Operation<"outputGradient" | "rowGradient">;

const ADD: KernelOf<Add> = {
  name: "add",
  file: { path: "nn/elementwise/add.wgsl", text: addText },
  entryPoint: "add",
  bindings: [
    ["a", "read"],
    ["b", "read"],
    ["output", "write"],
  ],
};

const ADD_TO: KernelOf<AddTo> = {
  name: "add-to",
  file: { path: "nn/elementwise/add-to.wgsl", text: addToText },
  entryPoint: "add_to",
  bindings: [
    ["source", "read"],
    ["target", "write"],
  ],
};

const COPY_FEATURES: KernelOf<CopyFeatures> = {
  name: "copy-features",
  file: { path: "nn/elementwise/copy-features.wgsl", text: copyFeaturesText },
  entryPoint: "copy_features",
  bindings: [
    ["source", "read"],
    ["target", "write"],
  ],
};

const ADD_ROW: KernelOf<AddRow> = {
  name: "add-row",
  file: { path: "nn/elementwise/add-row.wgsl", text: addRowText },
  entryPoint: "add_row",
  bindings: [
    ["input", "read"],
    ["row", "read"],
    ["output", "write"],
  ],
};

const ADD_ROW_GRADIENT: KernelOf<AddRowGradient> = {
  name: "add-row-gradient",
  file: { path: "nn/elementwise/add-row-gradient.wgsl", text: addRowGradientText },
  entryPoint: "add_row_gradient",
  bindings: [
    ["outputGradient", "read"],
    ["rowGradient", "write"],
  ],
};

/**
 * `y = a + b`, followed by `max(y, 0)` with `relu`.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function add(
  device: GPUDevice,
  label: string,
  { rows, features }: ActivationShape,
  options: { relu?: boolean } = {},
): Promise<Add> {
  const { grid, WORKGROUP_SIZE } = flatGrid(rows * quadsOf(features));
  const constants = { WORKGROUP_SIZE, ROWS: rows, FEATURES: features, RELU: Number(options.relu ?? false) };
  return Operation.compile(device, label, ADD, FLAT_INDEX, constants, grid);
}

/**
 * `target <- target + source`: the gradient of a value that is used twice.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function addTo(device: GPUDevice, label: string, { rows, features }: ActivationShape): Promise<AddTo> {
  const { grid, WORKGROUP_SIZE } = flatGrid(rows * quadsOf(features));
  const constants = { WORKGROUP_SIZE, ROWS: rows, FEATURES: features };
  return Operation.compile(device, label, ADD_TO, FLAT_INDEX, constants, grid);
}

/** Which features {@link copyFeatures} copies: `features` from `sourceOffset` on to `targetOffset` and on. */
export interface CopyShape {
  readonly rows: number;
  readonly features: number;
  readonly sourceFeatures: number;
  readonly sourceOffset: number;
  readonly targetFeatures: number;
  readonly targetOffset: number;
}

/**
 * Copies neighbouring features of every row; `accumulate` adds them. Concatenation is one copy for each input, its gradient one
 * back for each. A copy that reaches the last feature of the target clears the padding behind it.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function copyFeatures(
  device: GPUDevice,
  label: string,
  shape: CopyShape,
  options: { accumulate?: boolean } = {},
): Promise<CopyFeatures> {
  const { rows, features, sourceFeatures, sourceOffset, targetFeatures, targetOffset } = shape;
  const targetStride = 4 * quadsOf(targetFeatures);
  const padding = targetOffset + features === targetFeatures ? targetStride - targetFeatures : 0;
  const { grid, WORKGROUP_SIZE } = flatGrid(rows * (features + padding));
  const constants = {
    WORKGROUP_SIZE,
    ROWS: rows,
    FEATURES: features,
    SOURCE_OFFSET: sourceOffset,
    SOURCE_STRIDE: 4 * quadsOf(sourceFeatures),
    TARGET_OFFSET: targetOffset,
    TARGET_STRIDE: targetStride,
    PADDING: padding,
    ACCUMULATE: Number(options.accumulate ?? false),
  };
  return Operation.compile(device, label, COPY_FEATURES, FLAT_INDEX, constants, grid);
}

/**
 * `y[r] = x[r] + row` for every row `r`; `row` is contiguous.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function addRow(device: GPUDevice, label: string, { rows, features }: ActivationShape): Promise<AddRow> {
  const STRIDE = 4 * quadsOf(features);
  const { grid, WORKGROUP_SIZE } = flatGrid(rows * STRIDE);
  const constants = { WORKGROUP_SIZE, ROWS: rows, FEATURES: features, STRIDE };
  return Operation.compile(device, label, ADD_ROW, FLAT_INDEX, constants, grid);
}

/**
 * The gradient of that row: the sum of the output gradient over the rows; `accumulate` adds it.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function addRowGradient(
  device: GPUDevice,
  label: string,
  { rows, features }: ActivationShape,
  options: { accumulate?: boolean } = {},
): Promise<AddRowGradient> {
  const { grid, WORKGROUP_SIZE } = flatGrid(features);
  const STRIDE = 4 * quadsOf(features);
  const ACCUMULATE = Number(options.accumulate ?? false);
  const constants = { WORKGROUP_SIZE, ROWS: rows, FEATURES: features, STRIDE, ACCUMULATE };
  return Operation.compile(device, label, ADD_ROW_GRADIENT, FLAT_INDEX, constants, grid);
}
