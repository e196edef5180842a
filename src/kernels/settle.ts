import groupRecord from "../../shaders/lib/group-record.wgsl?raw";
import records from "../../shaders/lib/records.wgsl?raw";
import ruleInputs from "../../shaders/lib/rule-inputs.wgsl?raw";
import settle from "../../shaders/settle.wgsl?raw";
import cautious from "../../shaders/settlement/cautious.wgsl?raw";
import tensor from "../../shaders/settlement/tensor.wgsl?raw";
import together from "../../shaders/settlement/together.wgsl?raw";
import f32 from "../../shaders/storage/f32.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { StageContext, StageSpec } from "./stage.ts";
import type { WgslFile } from "./wgsl.ts";

/** Stage 2b: sums to a rule's numbers. Its `settlement` is one of those below. */
export const SETTLE: Kernel = {
  name: "settle",
  file: { path: "settle.wgsl", text: settle },
  library: {
    "lib/group-record": groupRecord,
    "lib/records": records,
    "lib/rule-inputs": ruleInputs,
    "storage/f32": f32,
  },
  entryPoint: "settle",
  bindings: [
    ["header", "header"],
    ["table", "read"],
    ["records", "read"],
    ["step_rows", "read"],
    ["control", "write"],
    ["partials", "write"],
  ],
};

/** Numbers of each tensor. */
export const TENSOR_SETTLEMENT: WgslFile = { path: "settlement/tensor.wgsl", text: tensor };
/** Numbers of all tensors of a rule together. */
export const TOGETHER_SETTLEMENT: WgslFile = { path: "settlement/together.wgsl", text: together };
/** Scales of cautious updates. */
export const CAUTIOUS_SETTLEMENT: WgslFile = { path: "settlement/cautious.wgsl", text: cautious };

export function stages({ rule, index }: StageContext): StageSpec[] {
  const { overrides, prepares, settles, cautiousUpdates, wgsl } = rule;
  if (!settles && !cautiousUpdates) return [];
  const settlement = settles === "tensor" ? TENSOR_SETTLEMENT : settles ? TOGETHER_SETTLEMENT : CAUTIOUS_SETTLEMENT;
  const { BY_UPDATE = 0 } = overrides.shell;
  const sums = prepares !== undefined || cautiousUpdates;
  const constants = { ...overrides.rule, RULE: index, BY_UPDATE, SUMS: Number(sums) };
  return [{ variant: "settle", kernel: SETTLE, rule: index, constants, files: { rule: wgsl, settlement } }];
}
