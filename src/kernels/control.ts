import control from "../../shaders/control.wgsl?raw";
import lossScale from "../../shaders/lib/loss-scale.wgsl?raw";
import norm from "../../shaders/lib/norm.wgsl?raw";
import records from "../../shaders/lib/records.wgsl?raw";
import reduce from "../../shaders/lib/reduce.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { SharedOptions, StageSpec } from "./stage.ts";

/** Stage 2: partials to clip factors and the decision to skip. */
export const CONTROL_STAGE: Kernel = {
  name: "control",
  file: { path: "control.wgsl", text: control },
  library: { "lib/loss-scale": lossScale, "lib/norm": norm, "lib/records": records, "lib/reduce": reduce },
  entryPoint: "decide",
  bindings: [
    ["header", "header"],
    ["table", "read"],
    ["control", "write"],
    ["partials", "write"],
    ["scaler", "write"],
  ],
};

export function sharedStages({ measure }: SharedOptions): StageSpec[] {
  const constants = { NORM_P: measure?.p ?? 2, LOSS_SCALE: measure?.lossScale ?? 0 };
  return [{ variant: "control", kernel: CONTROL_STAGE, constants }];
}
