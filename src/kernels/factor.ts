import factor from "../../shaders/factor.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import { UPDATE } from "./update.ts";

/** Stage 1a: second moments by row and by column. */
export const FACTOR: Kernel = {
  ...UPDATE,
  name: "factor",
  file: { path: "factor.wgsl", text: factor },
  entryPoint: "factor",
};
