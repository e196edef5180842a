import clipUnits from "../../shaders/clip-units.wgsl?raw";
import records from "../../shaders/lib/records.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import { type StageContext, type StageSpec, stateConstants } from "./stage.ts";

/** Stage 2b: factors of adaptive gradient clipping. */
export const CLIP_UNITS: Kernel = {
  name: "clip-units",
  file: { path: "clip-units.wgsl", text: clipUnits },
  library: { "lib/records": records },
  entryPoint: "clip_units",
  bindings: [
    ["header", "header"],
    ["window", "uniform"],
    ["table", "read"],
    ["control", "read"],
    ["params", "write"],
    ["grads", "write"],
    ["state", "write"],
  ],
};

export function stages(context: StageContext): StageSpec[] {
  const { storage, index: rule } = context;
  return [{ variant: "clip units", kernel: CLIP_UNITS, storage, rule, constants: stateConstants(context) }];
}
