import norms from "../../shaders/figures/norms.wgsl?raw";
import laneNorm from "../../shaders/lib/lane-norm.wgsl?raw";
import norm from "../../shaders/lib/norm.wgsl?raw";
import reduce from "../../shaders/lib/reduce.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { StageContext, StageSpec } from "./stage.ts";
import { UPDATE, stages as updateStages } from "./update.ts";
import type { WgslFile } from "./wgsl.ts";

/** Norms of gradient, parameter and update. */
export const NORM_FIGURES: WgslFile = { path: "figures/norms.wgsl", text: norms };

/** The fused pass of a monitored step, which links {@link NORM_FIGURES}. */
export const UPDATE_FIGURES: Kernel = {
  ...UPDATE,
  name: "update-figures",
  library: { ...UPDATE.library, "lib/lane-norm": laneNorm, "lib/norm": norm, "lib/reduce": reduce },
};

export function stages(context: StageContext): StageSpec[] {
  return updateStages(context).map(({ constants, files, ...spec }) => ({
    ...spec,
    variant: "update figures",
    kernel: UPDATE_FIGURES,
    constants: { ...constants, FIGURES_GRAD: Number(!context.options.measure) },
    files: { ...files, figures: NORM_FIGURES },
  }));
}
