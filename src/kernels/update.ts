import noAround from "../../shaders/around/none.wgsl?raw";
import none from "../../shaders/average/none.wgsl?raw";
import plain from "../../shaders/decay/plain.wgsl?raw";
import noFigures from "../../shaders/figures/none.wgsl?raw";
import chunk from "../../shaders/lib/chunk.wgsl?raw";
import gradient from "../../shaders/lib/gradient.wgsl?raw";
import groupRecord from "../../shaders/lib/group-record.wgsl?raw";
import records from "../../shaders/lib/records.wgsl?raw";
import ruleInputs from "../../shaders/lib/rule-inputs.wgsl?raw";
import update from "../../shaders/update.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { StageContext, StageSpec } from "./stage.ts";
import type { WgslFile } from "./wgsl.ts";

/** Stage 3: the fused pass. `decay`, `average` and `figures` are linked in by what is asked for. */
export const UPDATE: Kernel = {
  name: "update",
  file: { path: "update.wgsl", text: update },
  library: {
    "lib/chunk": chunk,
    "lib/gradient": gradient,
    "lib/group-record": groupRecord,
    "lib/records": records,
    "lib/rule-inputs": ruleInputs,
  },
  entryPoint: "update",
  bindings: [
    ["header", "header"],
    ["window", "uniform"],
    ["table", "read"],
    ["records", "read"],
    ["step_rows", "read"],
    ["control", "read"],
    ["params", "write"],
    ["grads", "write"],
    ["state", "write"],
    ["partials", "write"],
  ],
};

/** Decay toward zero. */
export const PLAIN_DECAY: WgslFile = { path: "decay/plain.wgsl", text: plain };
/** The rule does nothing around the walk over a chunk. */
export const NO_AROUND: WgslFile = { path: "around/none.wgsl", text: noAround };
/** No averages of the parameters. */
export const NO_AVERAGE: WgslFile = { path: "average/none.wgsl", text: none };
/** No figures. */
export const NO_FIGURES: WgslFile = { path: "figures/none.wgsl", text: noFigures };

export function stages({ storage, rule: { overrides }, index, ofRule, links }: StageContext): StageSpec[] {
  const constants = { ...overrides.shell, ...overrides.average, ...ofRule };
  return [
    { variant: "update", kernel: UPDATE, storage, rule: index, constants, files: { ...links, figures: NO_FIGURES } },
  ];
}
