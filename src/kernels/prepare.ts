import cautious from "../../shaders/preparation/cautious.wgsl?raw";
import rule from "../../shaders/preparation/rule.wgsl?raw";
import prepare from "../../shaders/prepare.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import { UPDATE } from "./update.ts";
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
