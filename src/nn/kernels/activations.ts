/** Activation functions, forward and backward. */
import backwardText from "../../../shaders/nn/activations/backward.wgsl?raw";
import forwardText from "../../../shaders/nn/activations/forward.wgsl?raw";
import gelu from "../../../shaders/nn/activations/kind/gelu.wgsl?raw";
import geluTanh from "../../../shaders/nn/activations/kind/gelu-tanh.wgsl?raw";
import leakyRelu from "../../../shaders/nn/activations/kind/leaky-relu.wgsl?raw";
import relu from "../../../shaders/nn/activations/kind/relu.wgsl?raw";
import sigmoid from "../../../shaders/nn/activations/kind/sigmoid.wgsl?raw";
import silu from "../../../shaders/nn/activations/kind/silu.wgsl?raw";
import tanh from "../../../shaders/nn/activations/kind/tanh.wgsl?raw";
import { quadsOf } from "../activation.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import { FLAT_INDEX, flatGrid } from "./grid.ts";

/** Formulas are in `shaders/nn/activations/kind`; `gelu` is the exact one, `geluTanh` PyTorch's approximation. */
export type Activation = "relu" | "leakyRelu" | "gelu" | "geluTanh" | "silu" | "tanh" | "sigmoid";

/** See {@link activationForward}. */
export type ActivationForward = Operation<"input" | "output">;
/** See {@link activationBackward}. */
export type ActivationBackward = Operation<"outputGradient" | "input" | "inputGradient">;

/** What to apply. */
export interface ActivationOptions {
  readonly kind: Activation;
  /** Of `leakyRelu` for negative numbers; default 0.01. */
  readonly slope?: number | undefined;
}

const KINDS: Readonly<Record<Activation, readonly [stem: string, text: string]>> = {
  relu: ["relu", relu],
  leakyRelu: ["leaky-relu", leakyRelu],
  gelu: ["gelu", gelu],
  geluTanh: ["gelu-tanh", geluTanh],
  silu: ["silu", silu],
  tanh: ["tanh", tanh],
  sigmoid: ["sigmoid", sigmoid],
};

const FORWARD: KernelOf<ActivationForward> = {
  name: "activation-forward",
  file: { path: "nn/activations/forward.wgsl", text: forwardText },
  entryPoint: "activation_forward",
  bindings: [
    ["input", "read"],
    ["output", "write"],
  ],
};

const BACKWARD: KernelOf<ActivationBackward> = {
  name: "activation-backward",
  file: { path: "nn/activations/backward.wgsl", text: backwardText },
  entryPoint: "activation_backward",
  bindings: [
    ["outputGradient", "read"],
    ["input", "read"],
    ["inputGradient", "write"],
  ],
};

/**
 * `y = f(x)`, feature by feature. NaN stays NaN.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function activationForward(
  device: GPUDevice,
  label: string,
  shape: { rows: number; features: number },
  options: ActivationOptions,
): Promise<ActivationForward> {
  const { imports, constants, grid } = compiledFor(shape, options);
  return Operation.compile(device, label, FORWARD, imports, constants, grid);
}

/**
 * `dx = dy f'(x)`, where `input` is x, what the activation was applied to. For `relu` its result will do.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function activationBackward(
  device: GPUDevice,
  label: string,
  shape: { rows: number; features: number },
  options: ActivationOptions,
): Promise<ActivationBackward> {
  const { imports, constants, grid } = compiledFor(shape, options);
  return Operation.compile(device, label, BACKWARD, imports, constants, grid);
}

function compiledFor(
  { rows, features }: { rows: number; features: number },
  { kind, slope = 0.01 }: ActivationOptions,
) {
  const [stem, text] = KINDS[kind];
  const { grid, WORKGROUP_SIZE } = flatGrid(rows * quadsOf(features));
  return {
    imports: { ...FLAT_INDEX, kind: { path: `nn/activations/kind/${stem}.wgsl`, text } },
    constants: { WORKGROUP_SIZE, ROWS: rows, FEATURES: features, ...(kind === "leakyRelu" ? { SLOPE: slope } : {}) },
    grid,
  };
}
