/** Grids of kernels in which every invocation has one number: `shaders/nn/lib/flat-index.wgsl`. */
import flatIndex from "../../../shaders/nn/lib/flat-index.wgsl?raw";
import type { WgslFile } from "../../kernels/wgsl.ts";

export const FLAT_INDEX: Readonly<Record<string, WgslFile>> = {
  "nn/lib/flat-index": { path: "nn/lib/flat-index.wgsl", text: flatIndex },
};

/** Workgroups that a dimension of a dispatch may have, on every device. */
const MOST_WORKGROUPS = 65535;

/** A grid of at least `invocations`, and the size of its workgroups. Few invocations are spread over more processors. */
export function flatGrid(invocations: number): { grid: readonly [number, number]; WORKGROUP_SIZE: number } {
  const size = invocations < 1024 ? 16 : 64;
  return { grid: foldedGrid(Math.ceil(invocations / size)), WORKGROUP_SIZE: size };
}

/** A grid of at least `workgroups`, folded where there are more than a dimension may have. */
export function foldedGrid(workgroups: number): readonly [number, number] {
  return [Math.min(workgroups, MOST_WORKGROUPS), Math.ceil(workgroups / MOST_WORKGROUPS)];
}
