import cautious from "../../shaders/preparation/cautious.wgsl?raw";
import rule from "../../shaders/preparation/rule.wgsl?raw";
import prepare from "../../shaders/prepare.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { StageContext, StageSpec } from "./stage.ts";
import { PLAIN_DECAY, UPDATE } from "./update.ts";
import type { WgslFile } from "./wgsl.ts";

/** Stage 2a: what a rule sums before it updates. Its `preparation` is one of those below. */
export const PREPARE: Kernel = {
  ...UPDATE,
  name: "prepare",
  file: { path: "prepare.wgsl", text: prepare },
  entryPoint: "prepare",
};

/** The rule's own `prepare_rule`. */
export const RULE_PREPARATION: WgslFile = { path: "preparation/rule.wgsl", text: rule };
/** The mask of cautious updates. */
export const CAUTIOUS_PREPARATION: WgslFile = { path: "preparation/cautious.wgsl", text: cautious };

export function stages({ storage, rule, index, ofRule, links }: StageContext): StageSpec[] {
  const { overrides, prepares, cautiousUpdates, estimates } = rule;
  if (!prepares && !cautiousUpdates) return [];
  const preparation = prepares ? RULE_PREPARATION : CAUTIOUS_PREPARATION;
  const stores = { STORES: Number(prepares === "state"), ESTIMATES: Number(estimates) };
  // An estimate is made of the gradients as they are: neither clipped nor with decay in them.
  const { ANCHOR_SLOT, ...shell } = overrides.shell;
  const bare = { ...shell, COUPLED: 0, CLIP_VALUE: 0, CLIP_UNITS: 0 };
  const constants = { ...(estimates ? bare : overrides.shell), ...ofRule, ...stores };
  const files = { ...links, ...(estimates && { decay: PLAIN_DECAY }), preparation };
  return [{ variant: "prepare", kernel: PREPARE, storage, rule: index, constants, files }];
}
