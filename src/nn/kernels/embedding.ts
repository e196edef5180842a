/** Embedding of tokens, forward, and backward to its weights. */
import forwardText from "../../../shaders/nn/embedding/forward.wgsl?raw";
import weightGradientText from "../../../shaders/nn/embedding/weight-gradient.wgsl?raw";
import { quadsOf } from "../activation.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import { FLAT_INDEX, flatGrid } from "./grid.ts";

/** Sizes of an embedding. Tokens are `u32`, `[rows, 4 * quadsOf(tokens)]`; weights `[vocabulary, features]`. */
export interface EmbeddingShape {
  readonly rows: number;
  readonly tokens: number;
  readonly vocabulary: number;
  readonly features: number;
}

/** See {@link embeddingForward}. */
export type EmbeddingForward = Operation<"tokens" | "weight" | "output">;
/** See {@link embeddingWeightGradient}. */
export type EmbeddingWeightGradient = Operation<"tokens" | "outputGradient" | "weightGradient">;

const FORWARD: KernelOf<EmbeddingForward> = {
  name: "embedding-forward",
  file: { path: "nn/embedding/forward.wgsl", text: forwardText },
  entryPoint: "embedding_forward",
  bindings: [
    ["tokens", "read"],
    ["weight", "read"],
    ["output", "write"],
  ],
};

const WEIGHT_GRADIENT: KernelOf<EmbeddingWeightGradient> = {
  name: "embedding-weight-gradient",
  file: { path: "nn/embedding/weight-gradient.wgsl", text: weightGradientText },
  entryPoint: "embedding_weight_gradient",
  bindings: [
    ["tokens", "read"],
    ["outputGradient", "read"],
    ["weightGradient", "write"],
  ],
};

/**
 * `y[r, t] = weight[token[r, t]]`, `[rows, tokens * features]`. A token that is no word is taken for the last one.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function embeddingForward(device: GPUDevice, label: string, shape: EmbeddingShape): Promise<EmbeddingForward> {
  const sizes = sizesOf(shape);
  const { grid, WORKGROUP_SIZE } = flatGrid(sizes.ROWS * sizes.STRIDE);
  return Operation.compile(device, label, FORWARD, FLAT_INDEX, { ...sizes, WORKGROUP_SIZE }, grid);
}

/**
 * The gradient of the weights: each word gets the sum over its tokens, 0 if there are none; `accumulate` adds it. Takes a time
 * proportional to the vocabulary times the tokens.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function embeddingWeightGradient(
  device: GPUDevice,
  label: string,
  shape: EmbeddingShape,
  options: { accumulate?: boolean } = {},
): Promise<EmbeddingWeightGradient> {
  const { grid, WORKGROUP_SIZE } = flatGrid(shape.vocabulary * quadsOf(shape.features));
  const constants = { ...sizesOf(shape), WORKGROUP_SIZE, ACCUMULATE: Number(options.accumulate ?? false) };
  return Operation.compile(device, label, WEIGHT_GRADIENT, FLAT_INDEX, constants, grid);
}

function sizesOf({ rows, tokens, vocabulary, features }: EmbeddingShape) {
  return {
    ROWS: rows,
    TOKENS: tokens,
    TOKEN_STRIDE: 4 * quadsOf(tokens),
    VOCABULARY: vocabulary,
    FEATURES: features,
    STRIDE: 4 * quadsOf(tokens * features),
  };
}
