/** An optimizer at one moment. */
import type { Tensor, Window } from "../host/memory.ts";
import { readRanges } from "../host/read-ranges.ts";
import type { Group } from "./groups.ts";
import type { OptimizerParts } from "./optimizer.ts";
import type { Timeline } from "./timeline.ts";

/** Tensors, their state and all counts: the copies are on their way, whatever is stepped meanwhile. */
export interface Snapshot {
  readonly tensors: readonly Tensor[];
  readonly groups: readonly Group[];
  /** Steps encoded. */
  readonly steps: number;
  /** By tensor index: steps in which it took part, skipped ones included. */
  readonly counts: readonly number[];
  readonly windows: readonly Window[];
  /** The control buffer, the loss scale or nothing, and of each window parameters and state. */
  readonly data: Promise<readonly ArrayBuffer[]>;
}

/** Begins the copies. */
export function takeSnapshot(
  { device, settled, memory, groups, step: { buffers }, scale }: OptimizerParts,
  timeline: Timeline,
  tensors: readonly Tensor[],
): Snapshot {
  const windows = [...new Set(tensors.flatMap((t) => t.pieces.map((piece) => piece.window)))];
  const control = { buffer: buffers.control, offset: 0, size: buffers.control.size };
  const data = readRanges(device, settled.label, [
    control,
    scale ? { buffer: scale, offset: 0, size: scale.size } : { ...control, size: 0 },
    ...windows.flatMap((w) => [w.param, w.state]),
  ]);
  // Whoever asked awaits it later, when the code that decodes it has been loaded.
  data.catch(() => {});
  const counts = memory.tensors.map((_, k) => timeline.count(k));
  return { tensors, groups: [...groups], steps: timeline.steps, counts, windows, data };
}
