/** Layer, group and RMS normalization, forward and backward: all normalize segments of a row. */
import biasGradientNone from "../../../shaders/nn/bias-gradient/none.wgsl?raw";
import biasGradientSome from "../../../shaders/nn/bias-gradient/some.wgsl?raw";
import biasNone from "../../../shaders/nn/norm/bias/none.wgsl?raw";
import biasSome from "../../../shaders/nn/norm/bias/some.wgsl?raw";
import forwardText from "../../../shaders/nn/norm/segment-forward.wgsl?raw";
import inputGradientText from "../../../shaders/nn/norm/segment-input-gradient.wgsl?raw";
import weightGradientText from "../../../shaders/nn/norm/segment-weight-gradient.wgsl?raw";
import { quadsOf } from "../activation.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import { FLAT_INDEX, flatGrid, foldedGrid, SUM_OF_ALL } from "./grid.ts";

/** Sizes of a layer or RMS normalization: every token of `features` is normalized. */
export interface LayerNormShape {
  readonly rows: number;
  /** Default 1. */
  readonly tokens?: number | undefined;
  readonly features: number;
}

/** Sizes of a group normalization: `channels / groups` channels of `plane` pixels are normalized together. */
export interface GroupNormShape {
  readonly rows: number;
  readonly channels: number;
  readonly plane: number;
  /** Divides `channels`. */
  readonly groups: number;
}

/** See {@link layerNormForward}. */
export type NormForward = Operation<"input" | "weight" | "bias" | "saved" | "output">;
/** See {@link layerNormInputGradient}. */
export type NormInputGradient = Operation<"outputGradient" | "input" | "weight" | "saved" | "inputGradient">;
/** See {@link layerNormWeightGradient}. */
export type NormWeightGradient = Operation<"outputGradient" | "input" | "saved" | "weightGradient" | "biasGradient">;

const FORWARD: KernelOf<NormForward> = {
  name: "segment-norm-forward",
  file: { path: "nn/norm/segment-forward.wgsl", text: forwardText },
  entryPoint: "segment_norm_forward",
  bindings: [
    ["input", "read"],
    ["weight", "read"],
    ["saved", "write"],
    ["output", "write"],
    ["bias", "read"],
  ],
};

const INPUT_GRADIENT: KernelOf<NormInputGradient> = {
  name: "segment-norm-input-gradient",
  file: { path: "nn/norm/segment-input-gradient.wgsl", text: inputGradientText },
  entryPoint: "segment_norm_input_gradient",
  bindings: [
    ["outputGradient", "read"],
    ["input", "read"],
    ["weight", "read"],
    ["saved", "read"],
    ["inputGradient", "write"],
  ],
};

const WEIGHT_GRADIENT: KernelOf<NormWeightGradient> = {
  name: "segment-norm-weight-gradient",
  file: { path: "nn/norm/segment-weight-gradient.wgsl", text: weightGradientText },
  entryPoint: "segment_norm_weight_gradient",
  bindings: [
    ["outputGradient", "read"],
    ["weightGradient", "write"],
    ["biasGradient", "write"],
    ["input", "read"],
    ["saved", "read"],
  ],
};

type Shape = LayerNormShape | GroupNormShape;
interface ForwardOptions {
  eps?: number;
  bias?: boolean;
}
interface GradientOptions {
  accumulate?: boolean;
  bias?: boolean;
}

/** Bytes of `saved`: mean and 1 / deviation (`f32`) of every segment. */
export function normSavedBytes(shape: Shape): number {
  const { ROWS, TOKENS, GROUPS } = sizesOf(shape);
  return 8 * ROWS * TOKENS * GROUPS;
}

/**
 * `y = (x - mean) / sqrt(var + eps) w + b` over the features of each token, as `torch.nn.LayerNorm`; default `eps` 1e-5. Saves
 * mean and 1 / deviation for the backward pass. Without `bias` (default true) that binding is not used.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function layerNormForward(
  device: GPUDevice,
  label: string,
  shape: LayerNormShape,
  { eps = 1e-5, bias = true }: ForwardOptions = {},
): Promise<NormForward> {
  return forward(device, label, shape, eps, true, bias);
}

/**
 * The gradient of the input of {@link layerNormForward}.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function layerNormInputGradient(
  device: GPUDevice,
  label: string,
  shape: LayerNormShape,
): Promise<NormInputGradient> {
  return inputGradient(device, label, shape, true);
}

/**
 * The gradients of weight and bias of {@link layerNormForward}; `accumulate` adds them. Without `bias` (default true) that binding
 * is not used.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function layerNormWeightGradient(
  device: GPUDevice,
  label: string,
  shape: LayerNormShape,
  { accumulate = false, bias = true }: GradientOptions = {},
): Promise<NormWeightGradient> {
  return weightGradient(device, label, shape, accumulate, bias);
}

/**
 * `y = x / sqrt(mean x^2 + eps) w` over the features of each token, as `torch.nn.RMSNorm`; default `eps` 2^-23. The binding
 * `bias` is not used.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function rmsNormForward(
  device: GPUDevice,
  label: string,
  shape: LayerNormShape,
  { eps = 2 ** -23 }: { eps?: number } = {},
): Promise<NormForward> {
  return forward(device, label, shape, eps, false, false);
}

/**
 * The gradient of the input of {@link rmsNormForward}.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function rmsNormInputGradient(
  device: GPUDevice,
  label: string,
  shape: LayerNormShape,
): Promise<NormInputGradient> {
  return inputGradient(device, label, shape, false);
}

/**
 * The gradient of the weight of {@link rmsNormForward}; the binding `biasGradient` is not used.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function rmsNormWeightGradient(
  device: GPUDevice,
  label: string,
  shape: LayerNormShape,
  { accumulate = false }: { accumulate?: boolean } = {},
): Promise<NormWeightGradient> {
  return weightGradient(device, label, shape, accumulate, false);
}

/**
 * {@link layerNormForward} over groups of channels, with a weight and a bias for each channel: `torch.nn.GroupNorm`.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function groupNormForward(
  device: GPUDevice,
  label: string,
  shape: GroupNormShape,
  { eps = 1e-5, bias = true }: ForwardOptions = {},
): Promise<NormForward> {
  return forward(device, label, shape, eps, true, bias);
}

/**
 * The gradient of the input of {@link groupNormForward}.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function groupNormInputGradient(
  device: GPUDevice,
  label: string,
  shape: GroupNormShape,
): Promise<NormInputGradient> {
  return inputGradient(device, label, shape, true);
}

/**
 * The gradients of weight and bias of {@link groupNormForward}; options as of {@link layerNormWeightGradient}.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function groupNormWeightGradient(
  device: GPUDevice,
  label: string,
  shape: GroupNormShape,
  { accumulate = false, bias = true }: GradientOptions = {},
): Promise<NormWeightGradient> {
  return weightGradient(device, label, shape, accumulate, bias);
}

function forward(
  device: GPUDevice,
  label: string,
  shape: Shape,
  EPS: number,
  centered: boolean,
  bias: boolean,
): Promise<NormForward> {
  const { grid, WORKGROUP_SIZE } = segmentGrid(shape);
  const kernel = bias ? FORWARD : { ...FORWARD, bindings: FORWARD.bindings.slice(0, -1) };
  const file = bias
    ? { path: "nn/norm/bias/some.wgsl", text: biasSome }
    : { path: "nn/norm/bias/none.wgsl", text: biasNone };
  const constants = { ...sizesOf(shape), WORKGROUP_SIZE, EPS, CENTERED: Number(centered) };
  return Operation.compile(device, label, kernel, { ...FLAT_INDEX, bias: file }, constants, grid);
}

function inputGradient(device: GPUDevice, label: string, shape: Shape, centered: boolean): Promise<NormInputGradient> {
  const { grid, WORKGROUP_SIZE } = segmentGrid(shape);
  const constants = { ...sizesOf(shape), WORKGROUP_SIZE, CENTERED: Number(centered) };
  return Operation.compile(device, label, INPUT_GRADIENT, FLAT_INDEX, constants, grid);
}

function weightGradient(
  device: GPUDevice,
  label: string,
  shape: Shape,
  accumulate: boolean,
  bias: boolean,
): Promise<NormWeightGradient> {
  const sizes = sizesOf(shape);
  const file = bias
    ? { path: "nn/bias-gradient/some.wgsl", text: biasGradientSome }
    : { path: "nn/bias-gradient/none.wgsl", text: biasGradientNone };
  const constants = { ...sizes, WORKGROUP_SIZE: 64, ACCUMULATE: Number(accumulate) };
  const imports = { ...SUM_OF_ALL, "bias-gradient": file };
  return Operation.compile(device, label, WEIGHT_GRADIENT, imports, constants, foldedGrid(sizes.WEIGHTS));
}

function segmentGrid(shape: Shape) {
  const { ROWS, TOKENS, GROUPS } = sizesOf(shape);
  return flatGrid(ROWS * TOKENS * GROUPS);
}

function sizesOf(shape: Shape) {
  const { rows: ROWS } = shape;
  if ("channels" in shape) {
    const { channels, plane, groups } = shape;
    const STRIDE = 4 * quadsOf(channels * plane);
    return { ROWS, TOKENS: 1, WEIGHTS: channels, PLANE: plane, GROUPS: groups, STRIDE };
  }
  const { tokens = 1, features } = shape;
  const STRIDE = 4 * quadsOf(tokens * features);
  return { ROWS, TOKENS: tokens, WEIGHTS: features, PLANE: 1, GROUPS: 1, STRIDE };
}
