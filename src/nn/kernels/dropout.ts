/** Dropout, forward and backward. */
import text from "../../../shaders/nn/elementwise/dropout.wgsl?raw";
import { quadsOf } from "../activation.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import { FLAT_INDEX, flatGrid } from "./grid.ts";

/** See {@link dropout}; `random` is a uniform of 16 bytes: seed and step (`u32`), padding. */
export type Dropout = Operation<"random" | "input" | "output">;

/** What to drop. */
export interface DropoutOptions {
  /** Probability of a feature to be dropped, in [0, 1]. */
  readonly p: number;
  /** Another number for each layer, so that layers choose independently. */
  readonly stream: number;
}

const DROPOUT: KernelOf<Dropout> = {
  name: "dropout",
  file: { path: "nn/elementwise/dropout.wgsl", text },
  entryPoint: "dropout",
  bindings: [
    ["random", "uniform"],
    ["input", "read"],
    ["output", "write"],
  ],
};

/** The largest number that an `u32` holds. */
const LARGEST = 2 ** 32 - 1;

/**
 * `y = x / (1 - p)` with probability `1 - p`, else 0. The choice depends on seed, step, stream and element alone, so the same
 * operation on the gradients is the backward pass.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function dropout(
  device: GPUDevice,
  label: string,
  { rows, features }: { rows: number; features: number },
  { p, stream }: DropoutOptions,
): Promise<Dropout> {
  const { grid, WORKGROUP_SIZE } = flatGrid(rows * quadsOf(features));
  const constants = {
    WORKGROUP_SIZE,
    ROWS: rows,
    FEATURES: features,
    STREAM: stream,
    KEEP_FROM: Math.min(Math.round(p * 2 ** 32), LARGEST),
    SCALE: p < 1 ? 1 / (1 - p) : 0,
  };
  return Operation.compile(device, label, DROPOUT, FLAT_INDEX, constants, grid);
}
