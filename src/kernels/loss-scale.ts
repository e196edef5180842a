import lossScale from "../../shaders/lib/loss-scale.wgsl?raw";
import update from "../../shaders/loss-scale.wgsl?raw";
import type { Kernel } from "./kernel.ts";

/** Grows or backs off a loss scale that several optimizers share. */
export const UPDATE_LOSS_SCALE: Kernel = {
  name: "update-loss-scale",
  file: { path: "loss-scale.wgsl", text: update },
  library: { "lib/loss-scale": lossScale },
  entryPoint: "update_loss_scale",
  bindings: [["scaler", "write"]],
};
