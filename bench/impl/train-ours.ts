/** A training step of the training kit. */
import { adam } from "../../src/index.ts";
import { compile, crossEntropy } from "../../src/nn/index.ts";
import type { Training } from "../training.ts";
import { ADAM, BATCH, modelOf, type TrainingBatch, type TrainingCase } from "../training-cases.ts";

export async function trainOurs(device: GPUDevice, name: TrainingCase, batch: TrainingBatch): Promise<Training> {
  const plan = await compile(device, modelOf(name), {
    batchSize: BATCH,
    loss: crossEntropy(),
    optimizer: { rule: adam({ betas: [ADAM.beta1, ADAM.beta2], eps: ADAM.eps }), lr: ADAM.lr },
    seed: 1,
    label: "bench",
  });
  plan.write(batch.images, batch.labels);
  return {
    name: "ours",
    step: () => plan.step(),
    done: () => device.queue.onSubmittedWorkDone(),
    loss: async () => (await plan.readRecords())[0]!.loss,
    destroy: () => plan.destroy(),
  };
}
