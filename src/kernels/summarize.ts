import norm from "../../shaders/lib/norm.wgsl?raw";
import records from "../../shaders/lib/records.wgsl?raw";
import reduce from "../../shaders/lib/reduce.wgsl?raw";
import summarize from "../../shaders/summarize.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { SharedOptions, StageSpec } from "./stage.ts";

/** Stage 4: partials to figures. */
export const SUMMARIZE: Kernel = {
  name: "summarize",
  file: { path: "summarize.wgsl", text: summarize },
  library: { "lib/norm": norm, "lib/records": records, "lib/reduce": reduce },
  entryPoint: "summarize",
  bindings: [
    ["header", "header"],
    ["table", "read"],
    ["control", "read"],
    ["partials", "write"],
    ["figures", "write"],
  ],
};

export function sharedStages({ measure, clipsValue }: SharedOptions): StageSpec[] {
  const constants = { FIGURES_GRAD: Number(!measure), CLIP_VALUE: Number(clipsValue) };
  return [{ variant: "summarize", kernel: SUMMARIZE, constants }];
}
