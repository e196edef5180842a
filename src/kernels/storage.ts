/** Storage formats: how tensors and their state lie in memory. */
import stateF32 from "../../shaders/state/f32.wgsl?raw";
import f32 from "../../shaders/storage/f32.wgsl?raw";
import f32x4 from "../../shaders/storage/f32x4.wgsl?raw";
import elements from "../../shaders/walk/elements.wgsl?raw";
import type { WgslFile } from "./wgsl.ts";

/** A storage format. */
export interface Storage {
  /** For labels. */
  readonly name: string;
  readonly file: WgslFile;
  /** Elements in one packed element. */
  readonly lanes: number;
  /** How state lies. */
  readonly state: WgslFile;
  /** How the update walks over a chunk. */
  readonly walk: WgslFile;
  /** State is quantized, in blocks. */
  readonly quantizes?: boolean;
}

const plain = {
  state: { path: "state/f32.wgsl", text: stateF32 },
  walk: { path: "walk/elements.wgsl", text: elements },
} as const;

/** Four elements at a time. */
export const F32X4: Storage = { name: "f32x4", file: { path: "storage/f32x4.wgsl", text: f32x4 }, lanes: 4, ...plain };
/** One element at a time. */
export const F32: Storage = { name: "f32", file: { path: "storage/f32.wgsl", text: f32 }, lanes: 1, ...plain };
