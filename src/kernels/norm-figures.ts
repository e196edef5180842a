import norms from "../../shaders/figures/norms.wgsl?raw";
import laneNorm from "../../shaders/lib/lane-norm.wgsl?raw";
import norm from "../../shaders/lib/norm.wgsl?raw";
import reduce from "../../shaders/lib/reduce.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import { UPDATE } from "./update.ts";
import type { WgslFile } from "./wgsl.ts";

/** Norms of gradient, parameter and update. */
export const NORM_FIGURES: WgslFile = { path: "figures/norms.wgsl", text: norms };

/** The fused pass of a monitored step, which links {@link NORM_FIGURES}. */
export const UPDATE_FIGURES: Kernel = {
  ...UPDATE,
  name: "update-figures",
  library: { ...UPDATE.library, "lib/lane-norm": laneNorm, "lib/norm": norm, "lib/reduce": reduce },
};
