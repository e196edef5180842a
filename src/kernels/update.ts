import plain from "../../shaders/decay/plain.wgsl?raw";
import none from "../../shaders/figures/none.wgsl?raw";
import groupRecord from "../../shaders/lib/group-record.wgsl?raw";
import records from "../../shaders/lib/records.wgsl?raw";
import update from "../../shaders/update.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { WgslFile } from "./wgsl.ts";

/** Stage 3: the fused pass. `decay` and `figures` are linked in by what is asked for. */
export const UPDATE: Kernel = {
  name: "update",
  file: { path: "update.wgsl", text: update },
  library: { "lib/group-record": groupRecord, "lib/records": records },
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
/** No figures. */
export const NO_FIGURES: WgslFile = { path: "figures/none.wgsl", text: none };
