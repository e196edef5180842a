/** Times of samples as rows of their own, for kernels whose rows are whole numbers of quads. */
import moveTimesText from "../../../shaders/nn/elementwise/move-times.wgsl?raw";
import { quadsOf } from "../activation.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import { FLAT_INDEX, flatGrid } from "./grid.ts";

/** Sizes of an activation `[times, features]`. */
export interface TimesShape {
  /** Rows of samples. */
  readonly rows: number;
  readonly times: number;
  readonly features: number;
}

/** See {@link moveTimes}. */
export type MoveTimes = Operation<"source" | "moved">;

const MOVE_TIMES: KernelOf<MoveTimes> = {
  name: "move-times",
  file: { path: "nn/elementwise/move-times.wgsl", text: moveTimesText },
  entryPoint: "move_times",
  bindings: [
    ["source", "read"],
    ["moved", "write"],
  ],
};

/** Whether the rows of samples are those of their times, one behind the other, as they lie. */
export function timesAreRows({ times, features }: Omit<TimesShape, "rows">): boolean {
  return times === 1 || features % 4 === 0;
}

/**
 * `[rows, times features]` to `[rows times, features]` with `apart`, else back.
 *
 * @throws {ShaderError} if the device refuses the kernel.
 */
export function moveTimes(
  device: GPUDevice,
  label: string,
  { rows, times, features }: TimesShape,
  { apart }: { apart: boolean },
): Promise<MoveTimes> {
  const floats = 4 * (apart ? times * quadsOf(features) : quadsOf(times * features));
  const { grid, WORKGROUP_SIZE } = flatGrid(rows * floats);
  const constants = { WORKGROUP_SIZE, ROWS: rows, TIMES: times, FEATURES: features, APART: Number(apart) };
  return Operation.compile(device, label, MOVE_TIMES, FLAT_INDEX, constants, grid);
}
