import evaluate from "../../shaders/evaluate.wgsl?raw";
import average from "../../shaders/evaluation/average.wgsl?raw";
import rule from "../../shaders/evaluation/rule.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { StageContext, StageSpec } from "./stage.ts";
import { UPDATE } from "./update.ts";
import type { WgslFile } from "./wgsl.ts";

/** Parameters to evaluate, where they differ from those that are trained. */
export const EVALUATE: Kernel = {
  ...UPDATE,
  name: "evaluate",
  file: { path: "evaluate.wgsl", text: evaluate },
  entryPoint: "evaluate",
};

/** They are what the rule says, with `evaluation_point`. */
export const RULE_EVALUATION: WgslFile = { path: "evaluation/rule.wgsl", text: rule };
/** They are the average. */
export const AVERAGE_EVALUATION: WgslFile = { path: "evaluation/average.wgsl", text: average };

export function stages({ storage, rule: { overrides, evaluates }, index, ofRule, links }: StageContext): StageSpec[] {
  const { AVERAGE_SLOT } = overrides.average;
  if (!evaluates && AVERAGE_SLOT === undefined) return [];
  // There are no gradients here.
  const { CLIP_VALUE, CLIP_UNITS, KEEP_NON_FINITE, COUPLED, ANCHOR_SLOT, ...shell } = overrides.shell;
  const evaluation = AVERAGE_SLOT === undefined ? RULE_EVALUATION : AVERAGE_EVALUATION;
  const constants = { ...shell, ...ofRule, ...(AVERAGE_SLOT !== undefined && { AVERAGE_SLOT }) };
  return [{ variant: "evaluate", kernel: EVALUATE, storage, rule: index, constants, files: { ...links, evaluation } }];
}
