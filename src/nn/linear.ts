/** Dense layer: forward, and backward to its input and to its parameters. */
import inputBytes from "../../shaders/nn/input-rows/bytes.wgsl?raw";
import inputF32x4 from "../../shaders/nn/input-rows/f32x4.wgsl?raw";
import forward from "../../shaders/nn/linear-forward.wgsl?raw";
import inputGradient from "../../shaders/nn/linear-input-gradient.wgsl?raw";
import weightGradient from "../../shaders/nn/linear-weight-gradient.wgsl?raw";
import loadF32 from "../../shaders/nn/weight-rows/load-f32.wgsl?raw";
import loadF32x4 from "../../shaders/nn/weight-rows/load-f32x4.wgsl?raw";
import storeF32 from "../../shaders/nn/weight-rows/store-f32.wgsl?raw";
import storeF32x4 from "../../shaders/nn/weight-rows/store-f32x4.wgsl?raw";
import type { WgslFile } from "../kernels/wgsl.ts";
import { quadsOf } from "./activation.ts";
import { type KernelOf, Operation } from "./dispatch.ts";

/** Sizes of a dense layer. */
export interface LinearShape {
  /** Rows of its activations, a multiple of 8; see `rowsOf`. */
  readonly rows: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Inputs are bytes, four in a `u32`, and stand for `scale * byte / 255 + shift`; default: they are floats. */
  readonly bytes?: ByteInput | undefined;
}

/** What the bytes of an input stand for; with 1 / deviation and -mean / deviation they are standardized. */
export interface ByteInput {
  readonly scale: number;
  readonly shift: number;
}

/** See {@link linearForward}. */
export type LinearForward = Operation<"input" | "weight" | "bias" | "output">;
/** See {@link linearInputGradient}. */
export type LinearInputGradient = Operation<"outputGradient" | "weight" | "input" | "inputGradient">;
/** See {@link linearWeightGradient}. */
export type LinearWeightGradient = Operation<"outputGradient" | "input" | "weightGradient" | "biasGradient">;

// Of 4 x 4, 8 x 8, 16 x 4, 16 x 8 and 32 x 1 the best or within 5 % of it for every kernel here; legal on every device.
const WORKGROUP = 8;

const FORWARD: KernelOf<LinearForward> = {
  name: "linear-forward",
  file: { path: "nn/linear-forward.wgsl", text: forward },
  entryPoint: "linear_forward",
  bindings: [
    ["input", "read"],
    ["weight", "read"],
    ["bias", "read"],
    ["output", "write"],
  ],
};

const INPUT_GRADIENT: KernelOf<LinearInputGradient> = {
  name: "linear-input-gradient",
  file: { path: "nn/linear-input-gradient.wgsl", text: inputGradient },
  entryPoint: "linear_input_gradient",
  bindings: [
    ["outputGradient", "read"],
    ["weight", "read"],
    ["input", "read"],
    ["inputGradient", "write"],
  ],
};

const WEIGHT_GRADIENT: KernelOf<LinearWeightGradient> = {
  name: "linear-weight-gradient",
  file: { path: "nn/linear-weight-gradient.wgsl", text: weightGradient },
  entryPoint: "linear_weight_gradient",
  bindings: [
    ["outputGradient", "read"],
    ["input", "read"],
    ["weightGradient", "write"],
    ["biasGradient", "write"],
  ],
};

/**
 * `y = x W^T + b`, followed by `max(y, 0)` with `relu`. `weight` is `[outFeatures, inFeatures]` as in PyTorch. Without `bias`
 * (default true) what is bound there is not read.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function linearForward(
  device: GPUDevice,
  label: string,
  shape: LinearShape,
  options: { relu: boolean; bias?: boolean },
): Promise<LinearForward> {
  const imports = { "input-rows": inputRows(shape), "weight-rows": loadRows(shape) };
  const grid = tiles(quadsOf(shape.outFeatures), shape.rows / 8);
  const { relu, bias = true } = options;
  const constants = { ...sizes(shape), ...meaning(shape), RELU: Number(relu), BIAS: Number(bias) };
  return Operation.compile(device, label, FORWARD, imports, constants, grid);
}

/**
 * `dx = dy W`, for inputs that are floats. With `inputRelu`, `input` is the output of a ReLU and `dx` becomes the gradient before it: 0 where `input <= 0`.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function linearInputGradient(
  device: GPUDevice,
  label: string,
  shape: LinearShape,
  options: { inputRelu: boolean },
): Promise<LinearInputGradient> {
  const imports = { "weight-rows": loadRows(shape) };
  const grid = tiles(quadsOf(shape.inFeatures), shape.rows / 8);
  return Operation.compile(
    device,
    label,
    INPUT_GRADIENT,
    imports,
    { ...sizes(shape), RELU: Number(options.inputRelu) },
    grid,
  );
}

/**
 * `dW = dy^T x` and `db = sum of dy over the rows`; overwrites both, or adds to them with `accumulate`. Without `bias` (default
 * true) only dW.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function linearWeightGradient(
  device: GPUDevice,
  label: string,
  shape: LinearShape,
  options: { accumulate?: boolean; bias?: boolean } = {},
): Promise<LinearWeightGradient> {
  const { accumulate = false, bias = true } = options;
  const path = inQuads(shape) ? "store-f32x4" : "store-f32";
  const imports = {
    "input-rows": inputRows(shape),
    "weight-rows": { path: `nn/weight-rows/${path}.wgsl`, text: inQuads(shape) ? storeF32x4 : storeF32 },
  };
  // One column of tiles more than dW has: it sums the bias gradient.
  const grid = tiles(Math.ceil(shape.inFeatures / 8) + Number(bias), Math.ceil(shape.outFeatures / 8));
  const constants = { ...sizes(shape), ...meaning(shape), ACCUMULATE: Number(accumulate), BIAS: Number(bias) };
  return Operation.compile(device, label, WEIGHT_GRADIENT, imports, constants, grid);
}

function inQuads({ inFeatures }: LinearShape): boolean {
  return inFeatures % 4 === 0;
}

function loadRows(shape: LinearShape): WgslFile {
  return inQuads(shape)
    ? { path: "nn/weight-rows/load-f32x4.wgsl", text: loadF32x4 }
    : { path: "nn/weight-rows/load-f32.wgsl", text: loadF32 };
}

function inputRows({ bytes }: LinearShape): WgslFile {
  return bytes
    ? { path: "nn/input-rows/bytes.wgsl", text: inputBytes }
    : { path: "nn/input-rows/f32x4.wgsl", text: inputF32x4 };
}

function sizes({ rows, inFeatures, outFeatures }: LinearShape): Record<string, number> {
  return { ROWS: rows, IN: inFeatures, OUT: outFeatures, WORKGROUP_X: WORKGROUP, WORKGROUP_Y: WORKGROUP };
}

/** Overrides of input-rows. */
function meaning({ bytes }: LinearShape): Record<string, number> {
  return bytes ? { INPUT_SCALE: bytes.scale, INPUT_SHIFT: bytes.shift } : {};
}

/** Workgroups that cover `x` by `y` tiles, one invocation each. */
function tiles(x: number, y: number): readonly [number, number] {
  return [Math.ceil(x / WORKGROUP), Math.ceil(y / WORKGROUP)];
}
