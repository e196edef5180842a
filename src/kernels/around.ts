import finish from "../../shaders/around/finish.wgsl?raw";
import open from "../../shaders/around/open.wgsl?raw";
import type { WgslFile } from "./wgsl.ts";

/** What a rule does around the walk over a chunk: `open_rule` before it. */
export const OPENS: WgslFile = { path: "around/open.wgsl", text: open };
/** `finish_rule` at every element, with what the parameter has become. */
export const FINISHES: WgslFile = { path: "around/finish.wgsl", text: finish };
