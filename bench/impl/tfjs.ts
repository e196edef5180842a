/**
 * TensorFlow.js `tf.train.adam` on its WebGPU backend. It has no weight decay, so its result is compared to Adam.
 * Variables and gradients are put on the GPU beforehand, where a training step would have left them.
 */
import "@tensorflow/tfjs-backend-webgpu";
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { adamwParams, hyper } from "../adamw-float64.ts";
import type { CaseTensor } from "../cases.ts";
import { type Implementation, scaled } from "../implementation.ts";

export async function tfjsAdam(tensors: readonly CaseTensor[]): Promise<Implementation> {
  if (tf.getBackend() !== "webgpu" && !(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js has no WebGPU");
  await tf.ready();
  const backend = tf.backend() as WebGPUBackend;
  const onGpu = <T extends tf.Tensor>(tensor: T): T => {
    backend.uploadToGPU(tensor.dataId);
    return tensor;
  };

  const variables = tensors.map((t) => onGpu(tf.variable(tf.tensor(t.param, [...t.shape]), true, t.name)));
  let gradients = tensors.map((t) => onGpu(tf.tensor(t.grad, [...t.shape])));
  const optimizer = tf.train.adam(hyper.lr, hyper.beta1, hyper.beta2, hyper.eps);
  const named = () => variables.map(({ name }, i) => ({ name, tensor: gradients[i]! }));

  /** TF.js keeps up to 15 dispatches back; without this they would run outside of the measured time. */
  const submitHeldBack = () => {
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    backend.submitQueue();
  };

  return {
    name: "tfjs",
    step() {
      optimizer.applyGradients(named());
      submitHeldBack();
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
