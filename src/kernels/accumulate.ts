import accumulate from "../../shaders/accumulate.wgsl?raw";
import records from "../../shaders/lib/records.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { StageContext, StageSpec } from "./stage.ts";

/** Before stage 1: sums micro-batches. */
export const ACCUMULATE: Kernel = {
  name: "accumulate",
  file: { path: "accumulate.wgsl", text: accumulate },
  library: { "lib/records": records },
  entryPoint: "accumulate",
  bindings: [
    ["header", "header"],
    ["window", "uniform"],
    ["table", "read"],
    ["grads", "write"],
    ["sums", "write"],
  ],
};

export function stages({ storage }: StageContext): StageSpec[] {
  return [
    { variant: "accumulate first", kernel: ACCUMULATE, storage, constants: { FIRST: 1 } },
    { variant: "accumulate", kernel: ACCUMULATE, storage },
  ];
}
