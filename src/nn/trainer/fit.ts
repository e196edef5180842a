/** `fit`: trains a model on data. */
import { type CompileOptions, compile, type OptimizerChoice } from "../compile.ts";
import type { Model } from "../model.ts";
import type { Plan } from "../plan.ts";
import { checkOptions, type FitOptions, type FitSchedule, type FitSubject, settle } from "./options.ts";
import { Training } from "./training.ts";

/**
 * Makes a training ready; it runs when it is iterated, or with `finish()`.
 *
 *     const training = await fit({ device, model, loss: crossEntropy(), batchSize: 64, optimizer: { rule: adamw() },
 *       data: { input: images, target: labels }, test, epochs: 3 });
 *     for await (const event of training) if (event.kind === "epoch") console.log(event.epoch, event.test);
 *
 * Everything is a function of the options: equal seeds give equal bits on one device, also when a run is cut in two by a checkpoint.
 *
 * @throws {OptionError} for a bad option. @throws {CheckpointError} {StateDictError} for a checkpoint of another training.
 * @throws {DeviceError} {ShaderError} as `compile`.
 */
export async function fit(options: FitOptions): Promise<Training> {
  checkOptions(options);
  const owned = "plan" in options ? undefined : await compiled(options);
  const plan = owned ?? (options as { readonly plan: Plan }).plan;
  try {
    return await Training.create(plan, owned !== undefined, options, settle(options, plan));
  } catch (error) {
    owned?.destroy();
    throw error;
  }
}

function compiled(options: Exclude<FitSubject, { plan: Plan }> & FitSchedule): Promise<Plan> {
  const { device, model, batchSize, loss, optimizer, bytes, label, seed } = options;
  const given: CompileOptions<OptimizerChoice> = {
    ...{ batchSize, loss, optimizer },
    ...(bytes && { bytes }),
    ...(label !== undefined && { label }),
    ...(seed !== undefined && { seed }),
  };
  return compile(device, model as Model, given);
}
