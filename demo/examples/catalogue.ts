/** The examples of `npm start`, in words and numbers: no GPU and no shaders, so that the command line can read it. */

export interface CatalogueEntry {
  /** What it does, as a sentence goes on behind "a network of so many parameters". */
  readonly deed: string;
  /** Layers and parameters. */
  readonly network: string;
  readonly data: string;
  readonly optimizer: string;
  readonly batchSize: number;
  readonly epochs: number;
  /** Where charts of the accuracy begin; without it there are no classes, and the loss is what counts. */
  readonly accuracyFrom?: number;
}

/** In the order in which they are listed. */
const ENTRIES = {
  mlp: {
    deed: "learns to read digits",
    network: "784-128-10, ReLU, softmax cross-entropy",
    data: "MNIST",
    optimizer: "AdamW, lr 0.005 with warm-up and cosine, weight decay 0.01, clipping at norm 1",
    batchSize: 128,
    epochs: 3,
    accuracyFrom: 0.85,
  },
  cnn: {
    deed: "learns to read digits by convolutions",
    network: "two 3x3 convolutions, 8 and 16 wide, each with ReLU and max pooling, and a linear layer",
    data: "MNIST, shifted by up to a pixel",
    optimizer: "AdamW, lr 0.005 with warm-up and cosine, weight decay 0.01, clipping at norm 1",
    batchSize: 64,
    epochs: 3,
    accuracyFrom: 0.9,
  },
  resnet: {
    deed: "learns to tell clothes apart",
    network:
      "residual network with batch norm: convolutions 16, 32 and (beside a shortcut) 32 wide, and a hidden layer of 256",
    data: "Fashion-MNIST, every second image mirrored",
    optimizer:
      "SGD, Nesterov momentum 0.9, one cycle up to lr 0.1, weight decay 5e-4, label smoothing 0.1, tested with its EMA",
    batchSize: 128,
    epochs: 3,
    accuracyFrom: 0.7,
  },
  autoencoder: {
    deed: "learns to put a digit into 16 numbers, and to draw it from them",
    network: "784-128-16-128-784, ReLU, binary cross-entropy of each pixel",
    data: "MNIST",
    optimizer: "AdamW, lr 0.002 with warm-up and cosine, no weight decay",
    batchSize: 128,
    epochs: 3,
  },
  regression: {
    deed: "learns a picture as a function of place",
    network: "coordinates as 32 waves, 32-64-64-3, GELU, mean squared error",
    data: "a picture of 64 x 64 pixels; tested between the pixels",
    optimizer: "Adam, lr 0.01 down to 1e-4 by a cosine",
    batchSize: 256,
    epochs: 60,
  },
  charlm: {
    deed: "learns to write sentences, character by character",
    network: "embeddings of the last 24 characters, 8 wide, two layers of 96 with layer norm and GELU",
    data: "sentences of a small grammar",
    optimizer: "AdamW, lr 0.004 with warm-up and cosine, weight decay 0.01 but for biases and norms",
    batchSize: 128,
    epochs: 4,
    accuracyFrom: 0.6,
  },
} satisfies Record<string, CatalogueEntry>;

export type ExampleName = keyof typeof ENTRIES;

export const CATALOGUE: Readonly<Record<ExampleName, CatalogueEntry>> = ENTRIES;

export const EXAMPLE_NAMES = Object.keys(ENTRIES) as ExampleName[];
