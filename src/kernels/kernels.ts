/**
 * What each dispatch is: its shader, entry point and bindings, as data. No GPU object is touched here.
 */
import accumulate from "../../shaders/accumulate.wgsl?raw";
import control from "../../shaders/control.wgsl?raw";
import lossScale from "../../shaders/loss-scale.wgsl?raw";
import measure from "../../shaders/measure.wgsl?raw";
import f32 from "../../shaders/storage/f32.wgsl?raw";
import f32x4 from "../../shaders/storage/f32x4.wgsl?raw";
import summarize from "../../shaders/summarize.wgsl?raw";
import update from "../../shaders/update.wgsl?raw";
import type { WgslFile } from "./wgsl.ts";

/** How a binding is declared; `header` is the uniform with a dynamic offset. */
export type BindingKind = "header" | "uniform" | "read" | "write";

/** One kernel. */
export interface Kernel {
  readonly name: string;
  readonly file: WgslFile;
  readonly entryPoint: string;
  /** By binding number. */
  readonly bindings: readonly (readonly [name: string, kind: BindingKind])[];
}

/** A storage format: how tensors lie in memory. */
export interface Storage {
  readonly file: WgslFile;
  /** Elements in one packed element. */
  readonly lanes: number;
}

/** Four elements at a time. */
export const F32X4: Storage = { file: { path: "storage/f32x4.wgsl", text: f32x4 }, lanes: 4 };
/** One element at a time. */
export const F32: Storage = { file: { path: "storage/f32.wgsl", text: f32 }, lanes: 1 };

/** Stage 1: gradients to partials. */
export const MEASURE: Kernel = {
  name: "measure",
  file: { path: "measure.wgsl", text: measure },
  entryPoint: "measure",
  bindings: [
    ["header", "header"],
    ["window", "uniform"],
    ["table", "read"],
    ["grads", "write"],
    ["partials", "write"],
  ],
};

/** Stage 2: partials to clip factors and the decision to skip. */
export const CONTROL_STAGE: Kernel = {
  name: "control",
  file: { path: "control.wgsl", text: control },
  entryPoint: "decide",
  bindings: [
    ["header", "header"],
    ["table", "read"],
    ["control", "write"],
    ["partials", "write"],
    ["scaler", "write"],
  ],
};

/** Stage 3: the fused pass. */
export const UPDATE: Kernel = {
  name: "update",
  file: { path: "update.wgsl", text: update },
  entryPoint: "update",
  bindings: [
    ["header", "header"],
    ["window", "uniform"],
    ["table", "read"],
    ["records", "read"],
    ["step_rows", "read"],
    ["control", "read"],
    ["params", "write"],
    ["grads", "write"],
    ["state", "write"],
    ["partials", "write"],
  ],
};

/** Stage 4: partials to figures. */
export const SUMMARIZE: Kernel = {
  name: "summarize",
  file: { path: "summarize.wgsl", text: summarize },
  entryPoint: "summarize",
  bindings: [
    ["header", "header"],
    ["table", "read"],
    ["control", "read"],
    ["partials", "write"],
    ["figures", "write"],
  ],
};

/** Before stage 1: sums micro-batches. */
export const ACCUMULATE: Kernel = {
  name: "accumulate",
  file: { path: "accumulate.wgsl", text: accumulate },
  entryPoint: "accumulate",
  bindings: [
    ["header", "header"],
    ["window", "uniform"],
    ["table", "read"],
    ["grads", "write"],
    ["sums", "write"],
  ],
};

/** Grows or backs off a loss scale that several optimizers share. */
export const UPDATE_LOSS_SCALE: Kernel = {
  name: "update-loss-scale",
  file: { path: "loss-scale.wgsl", text: lossScale },
  entryPoint: "update_loss_scale",
  bindings: [["scaler", "write"]],
};
