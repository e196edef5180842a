import laneNorm from "../../shaders/lib/lane-norm.wgsl?raw";
import norm from "../../shaders/lib/norm.wgsl?raw";
import records from "../../shaders/lib/records.wgsl?raw";
import reduce from "../../shaders/lib/reduce.wgsl?raw";
import measure from "../../shaders/measure.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { StageContext, StageSpec } from "./stage.ts";

/** Stage 1: gradients to partials. */
export const MEASURE: Kernel = {
  name: "measure",
  file: { path: "measure.wgsl", text: measure },
  library: { "lib/lane-norm": laneNorm, "lib/norm": norm, "lib/records": records, "lib/reduce": reduce },
  entryPoint: "measure",
  bindings: [
    ["header", "header"],
    ["window", "uniform"],
    ["table", "read"],
    ["grads", "write"],
    ["partials", "write"],
  ],
};

export function stages({ storage, options: { measure } }: StageContext): StageSpec[] {
  return [{ variant: "measure", kernel: MEASURE, storage, constants: { NORM_P: measure?.p ?? 2 } }];
}
