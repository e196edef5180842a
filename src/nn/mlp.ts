/**
 * A multi-layer perceptron that classifies: dense layers with ReLU between them, softmax and cross-entropy at the end. All its
 * dispatches are made once for a fixed capacity of a batch; a step only records them.
 */

import type { BufferSlice } from "../engine/options.ts";
import { createActivation, quadsOf, rowsOf } from "./activation.ts";
import { BATCH_BYTES, batchRecord, OUTCOME_BYTES, RECORD_BYTES } from "./batch.ts";
import type { Dispatch } from "./dispatch.ts";
import { type ByteInput, linearForward, linearInputGradient, linearWeightGradient } from "./linear.ts";
import { softmaxCrossEntropy } from "./softmax-cross-entropy.ts";

/** What to build. */
export interface MlpOptions {
  /** Features of the input, of each hidden layer, and number of classes: `[784, 128, 10]`. */
  readonly sizes: readonly number[];
  /** Capacity of a batch, in samples; any number. A batch may hold less. */
  readonly batchSize: number;
  /** The input is bytes, `u32` for four of them; default: it is floats. */
  readonly bytes?: ByteInput | undefined;
  /** Number of batch records. */
  readonly slots: number;
  /** Where a parameter and its gradient lie: `fc1.weight`, `[out, in]`, and `fc1.bias`, `[out]`, and so on. */
  readonly tensor: (name: string) => { readonly param: BufferSlice; readonly grad: BufferSlice };
}

/** Buffers and dispatches. What a step does: gather a batch into `input` and `labels`, then `forward`, `loss`, `backward`. */
export interface Mlp {
  /** Uniform, `struct Batch`: first sample, number of samples, slot of the record. */
  readonly batch: GPUBuffer;
  /** `[rows, features]` as activation.ts lays it out; of bytes likewise. */
  readonly input: GPUBuffer;
  /** One `u32` for each row. */
  readonly labels: GPUBuffer;
  /** For each row its loss (f32) and predicted class (u32). */
  readonly outcomes: GPUBuffer;
  /** For each slot the mean loss (f32), how many are right, how many there are, padding (u32). */
  readonly records: GPUBuffer;
  /** Input to logits. */
  readonly forward: readonly Dispatch[];
  /** Logits to outcomes, record and gradient of the logits. */
  readonly loss: readonly Dispatch[];
  /** Gradient of the logits to the gradients of all parameters, which are overwritten. */
  readonly backward: readonly Dispatch[];
  /** Frees the buffers above and all others of this network; parameters and gradients are the caller's. */
  destroy(): void;
}

/** Names and shapes of the parameters of an MLP of these sizes, layer by layer. */
export function mlpParams(sizes: readonly number[]): { name: string; shape: number[] }[] {
  return layersOf(sizes).flatMap(({ name, inFeatures, outFeatures }) => [
    { name: `${name}.weight`, shape: [outFeatures, inFeatures] },
    { name: `${name}.bias`, shape: [outFeatures] },
  ]);
}

/**
 * Builds the network; compiles all kernels at once.
 *
 * @throws {ShaderError} if the device refuses a kernel.
 */
export async function createMlp(device: GPUDevice, options: MlpOptions): Promise<Mlp> {
  const { sizes, tensor } = options;
  const layers = layersOf(sizes);
  const rows = rowsOf(options.batchSize);
  const classes = sizes.at(-1)!;
  const buffers: GPUBuffer[] = [];
  const keep = (buffer: GPUBuffer) => {
    buffers.push(buffer);
    return buffer;
  };
  const activations = sizes.map((size, i) => {
    // A quad of bytes takes as much room as one float.
    const features = i === 0 && options.bytes ? quadsOf(size) : size;
    return keep(createActivation(device, `nn.activation${i}`, rows, features));
  });
  const gradients = sizes.map((size, i) =>
    // Nobody asks for the gradient of the input.
    i === 0 ? undefined : keep(createActivation(device, `nn.gradient${i}`, rows, size)),
  );
  const create = (label: string, size: number, usage: number) =>
    keep(device.createBuffer({ label, size, usage: usage | GPUBufferUsage.COPY_DST }));
  const { STORAGE, COPY_SRC, UNIFORM } = GPUBufferUsage;
  const batch = create("nn.batch", BATCH_BYTES, UNIFORM);
  const labels = create("nn.labels", rows * 4, STORAGE);
  const outcomes = create("nn.outcomes", rows * OUTCOME_BYTES, STORAGE | COPY_SRC);
  const records = create("nn.records", options.slots * RECORD_BYTES, STORAGE | COPY_SRC);

  const shapeOf = (i: number) => ({ rows, ...layers[i]!, bytes: i === 0 ? options.bytes : undefined });

  const forward = Promise.all(
    layers.map(async ({ name }, i) => {
      const relu = i + 1 < layers.length;
      const operation = await linearForward(device, `nn.${name}.forward`, shapeOf(i), { relu });
      return operation.on({
        input: { buffer: activations[i]! },
        weight: tensor(`${name}.weight`).param,
        bias: tensor(`${name}.bias`).param,
        output: { buffer: activations[i + 1]! },
      });
    }),
  );
  const loss = Promise.all([
    softmaxCrossEntropy(device, "nn.loss", { rows, classes }).then((operation) =>
      operation.on({
        batch: { buffer: batch },
        logits: { buffer: activations.at(-1)! },
        labels: { buffer: labels },
        logitsGradient: { buffer: gradients.at(-1)! },
        outcomes: { buffer: outcomes },
      }),
    ),
    batchRecord(device, "nn.record").then((operation) =>
      operation.on({
        batch: { buffer: batch },
        outcomes: { buffer: outcomes },
        labels: { buffer: labels },
        records: { buffer: records },
      }),
    ),
  ]);
  const backward = Promise.all(
    layers.map(async ({ name }, i) => {
      const shape = shapeOf(i);
      const outputGradient = { buffer: gradients[i + 1]! };
      const input = { buffer: activations[i]! };
      const parameters = linearWeightGradient(device, `nn.${name}.weightGradient`, shape).then((operation) =>
        operation.on({
          outputGradient,
          input,
          weightGradient: tensor(`${name}.weight`).grad,
          biasGradient: tensor(`${name}.bias`).grad,
        }),
      );
      if (i === 0) return [await parameters];
      const inputs = linearInputGradient(device, `nn.${name}.inputGradient`, shape, { inputRelu: true }).then(
        (operation) =>
          operation.on({
            outputGradient,
            weight: tensor(`${name}.weight`).param,
            input,
            inputGradient: { buffer: gradients[i]! },
          }),
      );
      return Promise.all([parameters, inputs]);
    }),
  );
  const dispatches = await Promise.all([forward, loss, backward]);
  return {
    batch,
    input: activations[0]!,
    labels,
    outcomes,
    records,
    forward: dispatches[0],
    loss: dispatches[1],
    backward: dispatches[2].reverse().flat(),
    destroy: () => {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

function layersOf(sizes: readonly number[]): { name: string; inFeatures: number; outFeatures: number }[] {
  return sizes.slice(1).map((outFeatures, i) => ({ name: `fc${i + 1}`, inFeatures: sizes[i]!, outFeatures }));
}
