/** Storage formats: how tensors and their state lie in memory. */
import grads from "../../shaders/grads/f32.wgsl?raw";
import params from "../../shaders/params/f32.wgsl?raw";
import state from "../../shaders/state/f32.wgsl?raw";
import number from "../../shaders/state/number.wgsl?raw";
import numberOfFour from "../../shaders/state/number-of-four.wgsl?raw";
import f32 from "../../shaders/storage/f32.wgsl?raw";
import f32x4 from "../../shaders/storage/f32x4.wgsl?raw";
import elements from "../../shaders/walk/elements.wgsl?raw";
import type { WgslFile } from "./wgsl.ts";

/** Types of the elements of parameters and gradients. */
export type ElementType = "f32" | "bf16" | "f16";

/** What kernels are linked with: the elements they take at a time, how parameters, gradients and state lie, and the walk over a chunk. */
export type StorageRole = "storage" | "params" | "grads" | "state" | "walk";

/** A storage format. */
export interface Storage {
  /** For labels. */
  readonly name: string;
  /** Elements in one packed element. */
  readonly lanes: number;
  /** By role; and what these import. */
  readonly files: Readonly<Record<StorageRole, WgslFile> & Record<string, WgslFile>>;
  /** Values of overrides, by the binding whose kernels have them. */
  readonly constants?: Readonly<Partial<Record<"params" | "grads", Readonly<Record<string, number>>>>>;
  /** State is quantized, in blocks. */
  readonly quantizes?: boolean;
}

const plain = {
  params: { path: "params/f32.wgsl", text: params },
  grads: { path: "grads/f32.wgsl", text: grads },
  state: { path: "state/f32.wgsl", text: state },
  walk: { path: "walk/elements.wgsl", text: elements },
} as const;

/** Four elements at a time. */
export const F32X4: Storage = {
  name: "f32x4",
  lanes: 4,
  files: {
    storage: { path: "storage/f32x4.wgsl", text: f32x4 },
    number: { path: "state/number-of-four.wgsl", text: numberOfFour },
    ...plain,
  },
};
/** One element at a time. */
export const F32: Storage = {
  name: "f32",
  lanes: 1,
  files: {
    storage: { path: "storage/f32.wgsl", text: f32 },
    number: { path: "state/number.wgsl", text: number },
    ...plain,
  },
};
