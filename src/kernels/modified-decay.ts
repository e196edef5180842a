import modified from "../../shaders/decay/modified.wgsl?raw";
import type { WgslFile } from "./wgsl.ts";

/** Decay with `toward`, `cautious` and `l1`. */
export const MODIFIED_DECAY: WgslFile = { path: "decay/modified.wgsl", text: modified };
