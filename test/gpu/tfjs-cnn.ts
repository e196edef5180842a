/** A small CNN for 12 x 12 images in TensorFlow.js layers, and data for it. */
import * as tf from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";

export const BATCH = 8;
const CLASSES = 4;
// Of small sizes this is one for which TF.js chooses fast kernels: 8 x 8 takes three times as long on a software adapter.
const SIDE = 12;

/** Two 3 x 3 convolutions with pooling, and a dense layer; equal weights at each call. */
export function cnn(): layers.Sequential {
  const initializer = (seed: number) => layers.initializers.glorotUniform({ seed });
  const conv = (filters: number, seed: number) =>
    ({ filters, kernelSize: 3, activation: "relu", kernelInitializer: initializer(seed) }) as const;
  const { conv2d, maxPooling2d, flatten, dense } = layers.layers;
  return layers.sequential({
    layers: [
      conv2d({ ...conv(4, 1), inputShape: [SIDE, SIDE, 1] }),
      maxPooling2d({ poolSize: 2 }),
      conv2d(conv(4, 2)),
      flatten(),
      dense({ units: CLASSES, activation: "softmax", kernelInitializer: initializer(3) }),
    ],
  });
}

/** Images with a bright quarter, which is their class, and noise. */
export function quarters(batches: number): { x: tf.Tensor4D; y: tf.Tensor2D; dispose(): void } {
  const count = batches * BATCH;
  const pixels = new Float32Array(count * SIDE * SIDE);
  const labels = Int32Array.from({ length: count }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 30);
  for (let i = 0; i < pixels.length; i++) {
    const [image, y, x] = [Math.floor(i / SIDE ** 2), Math.floor(i / SIDE) % SIDE, i % SIDE];
    const quarter = 2 * Number(y >= SIDE / 2) + Number(x >= SIDE / 2);
    const noise = (Math.imul(i + 1, 0x85ebca6b) >>> 8) / 2 ** 24;
    pixels[i] = noise + (quarter === labels[image] ? 1 : 0);
  }
  const x = tf.tensor4d(pixels, [count, SIDE, SIDE, 1]);
  const y = tf.tidy(() => tf.oneHot(tf.tensor1d(labels, "int32"), CLASSES).toFloat() as tf.Tensor2D);
  return { x, y, dispose: () => tf.dispose([x, y]) };
}

export const LOSS = { loss: "categoricalCrossentropy" } as const;

/** The weights by the layers' own names. */
export async function weightsOf(model: layers.LayersModel): Promise<Float32Array[]> {
  return Promise.all(model.weights.map(async (w) => (await w.read().data()) as Float32Array));
}
