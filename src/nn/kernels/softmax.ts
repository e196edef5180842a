/** Softmax as a layer of its own, forward and backward. A classifier's last softmax is part of its loss: losses.ts. */
import backwardText from "../../../shaders/nn/softmax/backward.wgsl?raw";
import forwardText from "../../../shaders/nn/softmax/forward.wgsl?raw";
import { quadsOf } from "../activation.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import { FLAT_INDEX, flatGrid } from "./grid.ts";

/** Rows of tokens of features; the sum over the features of a token becomes 1. */
export interface SoftmaxShape {
  readonly rows: number;
  /** Default 1. */
  readonly tokens?: number | undefined;
  readonly features: number;
}

/** See {@link softmaxForward}. */
export type SoftmaxForward = Operation<"input" | "output">;
/** See {@link softmaxBackward}. */
export type SoftmaxBackward = Operation<"outputGradient" | "output" | "inputGradient">;

const FORWARD: KernelOf<SoftmaxForward> = {
  name: "softmax-forward",
  file: { path: "nn/softmax/forward.wgsl", text: forwardText },
  entryPoint: "softmax_forward",
  bindings: [
    ["input", "read"],
    ["output", "write"],
  ],
};

const BACKWARD: KernelOf<SoftmaxBackward> = {
  name: "softmax-backward",
  file: { path: "nn/softmax/backward.wgsl", text: backwardText },
  entryPoint: "softmax_backward",
  bindings: [
    ["outputGradient", "read"],
    ["output", "read"],
    ["inputGradient", "write"],
  ],
};

/**
 * `y = exp(x - max x) / sum exp(x - max x)`.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function softmaxForward(device: GPUDevice, label: string, shape: SoftmaxShape): Promise<SoftmaxForward> {
  const { constants, grid } = sizesOf(shape);
  return Operation.compile(device, label, FORWARD, FLAT_INDEX, constants, grid);
}

/**
 * `dx = y (dy - sum y dy)`, from the output `y`.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function softmaxBackward(device: GPUDevice, label: string, shape: SoftmaxShape): Promise<SoftmaxBackward> {
  const { constants, grid } = sizesOf(shape);
  return Operation.compile(device, label, BACKWARD, FLAT_INDEX, constants, grid);
}

function sizesOf({ rows, tokens = 1, features }: SoftmaxShape) {
  const { grid, WORKGROUP_SIZE } = flatGrid(rows * tokens);
  const STRIDE = 4 * quadsOf(tokens * features);
  return { constants: { WORKGROUP_SIZE, ROWS: rows, TOKENS: tokens, FEATURES: features, STRIDE }, grid };
}
