import factor from "../../shaders/factor.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { StageContext, StageSpec } from "./stage.ts";
import { UPDATE } from "./update.ts";

/** Stage 1a: second moments by row and by column. */
export const FACTOR: Kernel = {
  ...UPDATE,
  name: "factor",
  file: { path: "factor.wgsl", text: factor },
  entryPoint: "factor",
};

export function stages({ storage, rule: { overrides }, index, ofRule, links }: StageContext): StageSpec[] {
  const constants = { ...overrides.shell, ...ofRule };
  if (constants.EXTRA_STATE === undefined) return [];
  return [{ variant: "factor", kernel: FACTOR, storage, rule: index, constants, files: links }];
}
