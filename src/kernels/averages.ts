import weights from "../../shaders/average/weights.wgsl?raw";
import type { WgslFile } from "./wgsl.ts";

/** Lookahead, and averages of the parameters. */
export const AVERAGES: WgslFile = { path: "average/weights.wgsl", text: weights };
