import evaluate from "../../shaders/evaluate.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import { UPDATE } from "./update.ts";

/** Parameters to evaluate, of rules where they differ from those that are trained. */
export const EVALUATE: Kernel = {
  ...UPDATE,
  name: "evaluate",
  file: { path: "evaluate.wgsl", text: evaluate },
  entryPoint: "evaluate",
};
