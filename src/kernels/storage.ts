/** Storage formats: how tensors lie in memory. */
import f32 from "../../shaders/storage/f32.wgsl?raw";
import f32x4 from "../../shaders/storage/f32x4.wgsl?raw";
import type { WgslFile } from "./wgsl.ts";

/** A storage format. */
export interface Storage {
  readonly file: WgslFile;
  /** Elements in one packed element. */
  readonly lanes: number;
}

/** Four elements at a time. */
export const F32X4: Storage = { file: { path: "storage/f32x4.wgsl", text: f32x4 }, lanes: 4 };
/** One element at a time. */
export const F32: Storage = { file: { path: "storage/f32.wgsl", text: f32 }, lanes: 1 };
