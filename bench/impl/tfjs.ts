/**
 * Adam on TensorFlow.js's WebGPU backend: its own `tf.train.adam`, and ours through the adapter. TF.js has no weight decay, so both
 * are compared to Adam. Variables and gradients are put on the GPU beforehand, where a training step would have left them.
 */
import "@tensorflow/tfjs-backend-webgpu";
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { adam } from "../../src/index.ts";
import { fused } from "../../src/tfjs/index.ts";
import { adamwParams, hyper } from "../adamw-float64.ts";
import type { CaseTensor } from "../cases.ts";
import { type Implementation, scaled } from "../implementation.ts";

const { lr, beta1, beta2, eps } = hyper;

export async function tfjsAdam(tensors: readonly CaseTensor[]): Promise<Implementation> {
  return onTfjs("tfjs", tensors, async () => tf.train.adam(lr, beta1, beta2, eps));
}

export async function fusedOnTfjs(name: string, tensors: readonly CaseTensor[]): Promise<Implementation> {
  return onTfjs(name, tensors, () => fused(adam({ betas: [beta1, beta2], eps }), { lr }));
}

async function onTfjs(
  name: string,
  tensors: readonly CaseTensor[],
  make: () => Promise<tf.Optimizer>,
): Promise<Implementation> {
  if (tf.getBackend() !== "webgpu" && !(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js has no WebGPU");
  await tf.ready();
  const backend = tf.backend() as WebGPUBackend;
  const onGpu = <T extends tf.Tensor>(tensor: T): T => {
    backend.uploadToGPU(tensor.dataId);
    return tensor;
  };

  const variables = tensors.map((t) =>
    tf.tidy(() => onGpu(tf.variable(tf.tensor(t.param, [...t.shape]), true, `${name} ${t.name}`))),
  );
  let gradients = tensors.map((t) => onGpu(tf.tensor(t.grad, [...t.shape])));
  const optimizer = await make();
  const named = () => variables.map((v, i) => ({ name: v.name, tensor: gradients[i]! }));

  /** TF.js keeps up to 15 dispatches back; without this they would run outside of the measured time. */
  const submitHeldBack = () => {
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    backend.submitQueue();
  };

  return {
    name,
    step() {
      optimizer.applyGradients(named());
      // Ours has done so itself.
      if (name === "tfjs") submitHeldBack();
    },
    done: () => backend.device.queue.onSubmittedWorkDone(),
    scaleGradients(factor) {
      tf.dispose(gradients);
      gradients = tensors.map((t) => onGpu(tf.tensor(scaled(t.grad, factor), [...t.shape])));
    },
    readParams: () => Promise.all(variables.map(async (v) => (await v.data()) as Float32Array)),
    expectedParams: () => adamwParams(tensors, { weightDecay: 0 }),
    destroy() {
      optimizer.dispose();
      tf.dispose([...variables, ...gradients]);
    },
  };
}
