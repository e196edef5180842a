/** webgpu-optim/tfjs: fused optimizers for TensorFlow.js on its WebGPU backend. */
import { serialization } from "@tensorflow/tfjs-core";
import type { Rule } from "../engine/rule.ts";
import { OptionError } from "../errors.ts";
import { FusedOptimizer, type FusedOptions } from "./fused.ts";
import { remember } from "./rules.ts";

export { FusedOptimizer, type FusedOptions } from "./fused.ts";

/**
 * An optimizer for `model.compile({ optimizer })`, `optimizer.minimize` and `applyGradients`, in place on TF.js's own buffers:
 * `await fused(adamw(), { lr: cosine(1e-3, 10_000), weightDecay: 0.1, clip: { globalNorm: 1 } })`.
 *
 * @param rule and options as of `createOptimizer`. Groups match names of variables: `"dense_Dense1/bias"`, or all biases: `"*bias"`.
 * @throws {OptionError} for a bad option, and if TF.js does not run on WebGPU. {DeviceError} {ShaderError} as `createOptimizer`.
 */
export async function fused(rule: Rule, options: FusedOptions = {}): Promise<FusedOptimizer> {
  if (typeof options !== "object" || options === null)
    throw new OptionError("fused", "options", "must be an object", options);
  for (const option of ["params", "lossScale"]) {
    if (Object.hasOwn(options, option)) {
      const why = option === "params" ? "variables are found by their gradients" : "TensorFlow.js computes in float32";
      throw new OptionError("fused", option, `must not be given: ${why}`, (options as Record<string, unknown>)[option]);
    }
  }
  const optimizer = new FusedOptimizer(rule, options);
  await optimizer.ready();
  loadable(rule);
  return optimizer;
}

/**
 * Makes `tf.loadLayersModel` able to load models that were saved with fused optimizers of these rules. Those that this page has
 * made itself with `fused` are known already.
 */
export function loadable(...rules: readonly Rule[]): void {
  for (const rule of rules) remember(rule);
  serialization.registerClass(FusedOptimizer);
}
