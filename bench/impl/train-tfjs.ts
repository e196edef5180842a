/** The same step in TensorFlow.js on its WebGPU backend: `variableGrads` and `tf.train.adam`. */
import "@tensorflow/tfjs-backend-webgpu";
import "@tensorflow/tfjs-core/dist/register_all_gradients";
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import type { Training } from "../training.ts";
import { ADAM, BATCH, CLASSES, modelOf, type TrainingBatch, type TrainingCase } from "../training-cases.ts";

function logits(name: TrainingCase, v: readonly tf.Variable[], x: tf.Tensor): tf.Tensor2D {
  const dense = (input: tf.Tensor, k: number) =>
    tf.add(tf.matMul(input as tf.Tensor2D, v[k] as tf.Tensor as tf.Tensor2D, false, true), v[k + 1]!) as tf.Tensor2D;
  if (name === "mlp") return dense(tf.relu(dense(x, 0)), 2);
  const convolution = (input: tf.Tensor4D, k: number) =>
    tf.maxPool(
      tf.relu(tf.add(tf.conv2d(input, v[k] as tf.Tensor as tf.Tensor4D, 1, "same"), v[k + 1]!)) as tf.Tensor4D,
      2,
      2,
      "valid",
    );
  const features = convolution(convolution(x as tf.Tensor4D, 0), 2);
  // Its images have the channels last; the dense layer's weights are for these.
  return dense(tf.reshape(features, [BATCH, -1]), 4);
}

/** A parameter in the order of TensorFlow.js. */
function variableOf(data: Float32Array, shape: readonly number[], afterImages: boolean): tf.Variable {
  return tf.tidy(() => {
    const tensor = tf.tensor(data, [...shape]);
    if (shape.length === 4) return tf.variable(tf.transpose(tensor, [2, 3, 1, 0]));
    if (!afterImages) return tf.variable(tensor);
    const [out, features] = shape as [number, number];
    const side = Math.sqrt(features / 16);
    return tf.variable(
      tf.reshape(tf.transpose(tf.reshape(tensor, [out, 16, side, side]), [0, 2, 3, 1]), [out, features]),
    );
  });
}

export async function trainTfjs(_: GPUDevice, name: TrainingCase, batch: TrainingBatch): Promise<Training> {
  if (tf.getBackend() !== "webgpu" && !(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js has no WebGPU");
  await tf.ready();
  const backend = tf.backend() as WebGPUBackend;
  const onGpu = <T extends tf.Tensor>(tensor: T): T => {
    backend.uploadToGPU(tensor.dataId);
    return tensor;
  };
  const variables = modelOf(name)
    .init(1)
    .map(({ data, shape }) => variableOf(data, shape, name === "cnn" && shape.length === 2));
  const x = onGpu(tf.tensor(batch.images, name === "cnn" ? [BATCH, 28, 28, 1] : [BATCH, 784]));
  const y = onGpu(tf.tensor(batch.oneHot, [BATCH, CLASSES]));
  const { lr, beta1, beta2, eps } = ADAM;
  const optimizer = tf.train.adam(lr, beta1, beta2, eps);
  let value: tf.Scalar | undefined;
  /** TF.js keeps up to 15 dispatches back; without this they would run outside of the measured time. */
  const submitHeldBack = () => {
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    backend.submitQueue();
  };
  return {
    name: "tfjs",
    step() {
      value?.dispose();
      const made = tf.variableGrads(
        () => tf.losses.softmaxCrossEntropy(y, logits(name, variables, x)) as tf.Scalar,
        variables,
      );
      optimizer.applyGradients(made.grads as Parameters<typeof optimizer.applyGradients>[0]);
      tf.dispose(made.grads);
      value = made.value;
      submitHeldBack();
    },
    done: () => backend.device.queue.onSubmittedWorkDone(),
    loss: async () => (await value!.data())[0]!,
    destroy() {
      value?.dispose();
      optimizer.dispose();
      tf.dispose([...variables, x, y]);
    },
  };
}
