import begin from "../../shaders/begin.wgsl?raw";
import records from "../../shaders/lib/records.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import { type StageContext, type StageSpec, stateConstants } from "./stage.ts";

/** At creation: state slots that begin with the parameters, or with NaN. */
export const BEGIN: Kernel = {
  name: "begin",
  file: { path: "begin.wgsl", text: begin },
  library: { "lib/records": records },
  entryPoint: "begin",
  bindings: [
    ["header", "header"],
    ["window", "uniform"],
    ["params", "write"],
    ["state", "write"],
  ],
};

export function stages(context: StageContext): StageSpec[] {
  const { storage, rule, index } = context;
  const { slots, later } = rule.begins;
  if ((slots | later) === 0) return [];
  // What the master begins with is what lies in 16 bits.
  const stored = rule.overrides.params.MASTER !== undefined && { MASTER: 0 };
  const constants = { ...stateConstants(context), ...stored, SLOTS: slots, LATER_SLOTS: later };
  return [{ variant: "begin", kernel: BEGIN, storage, rule: index, constants }];
}
