/**
 * Trains a perceptron on MNIST. Everything happens on the GPU: a step gathers its batch, goes forward and backward and
 * updates the parameters in one submission; the host writes a few bytes. Losses come back some steps later, and nothing waits.
 */
import { createOptimizer, type Optimizer, type ParamSpec } from "../../src/index.ts";
import { batchGather, OUTCOME_BYTES, RECORD_BYTES } from "../../src/nn/batch.ts";
import {
  type OptimizerChoice as Choice,
  compile,
  crossEntropy,
  type Dispatch,
  type Plan,
  shuffled,
} from "../../src/nn/index.ts";
import { type GpuSplit, uploadSplit } from "./gpu-split.ts";
import type { Mnist } from "./idx.ts";
import { network } from "./network.ts";
import { BATCH_SIZE, PIXELS } from "./recipe.ts";

/** Steps whose losses come back together. Two such chunks may be under way: no more figures than the optimizer has room for. */
const CHUNK = 8;
const CHUNKS = 3;
/** Figures of every so many steps; see CHUNK. */
export const FIGURES_EVERY = 4;

// Mean and standard deviation of all training pixels.
const MEAN = 0.1307;
const DEVIATION = 0.3081;

/** What the optimizer is, but for the parameters. */
export type OptimizerChoice = Omit<Choice, "monitor" | "label">;

/** Loss of one training step. */
export interface StepRecord {
  /** 1 for the first step. */
  readonly step: number;
  /** Mean over the batch, in nats. */
  readonly loss: number;
  readonly correct: number;
  readonly count: number;
}

/** How the network does on the test images. */
export interface Evaluation {
  readonly loss: number;
  readonly accuracy: number;
  /** Predicted class of each test image. */
  readonly predicted: Uint8Array;
}

export class Trainer {
  readonly device: GPUDevice;
  readonly seed: number;
  readonly stepsPerEpoch: number;
  /** Steps submitted so far. */
  steps = 0;
  optimizer!: Optimizer;
  #plan!: Plan;
  #train: GpuSplit;
  #test: GpuSplit;
  #gatherTrain!: readonly Dispatch[];
  #gatherTest!: readonly Dispatch[];
  #stagings: GPUBuffer[];
  #chunks = 0;
  readonly #testLabels: Uint8Array;

  private constructor(device: GPUDevice, mnist: Mnist, seed: number) {
    this.device = device;
    this.seed = seed;
    this.#train = uploadSplit(device, "mnist.train", mnist.train);
    this.#test = uploadSplit(device, "mnist.test", mnist.test);
    this.#testLabels = mnist.test.labels;
    this.stepsPerEpoch = Trainer.stepsPerEpoch(mnist);
    this.#stagings = Array.from({ length: CHUNKS }, (_, i) =>
      device.createBuffer({
        label: `mnist.losses${i}`,
        size: CHUNK * RECORD_BYTES,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      }),
    );
  }

  /** Steps of one pass over the training images; the last batch may be a short one. */
  static stepsPerEpoch(mnist: Mnist): number {
    return Math.ceil(mnist.train.count / BATCH_SIZE);
  }

  static async create(device: GPUDevice, mnist: Mnist, seed: number, choice: OptimizerChoice): Promise<Trainer> {
    const trainer = new Trainer(device, mnist, seed);
    await trainer.#build(network().init(seed), choice);
    return trainer;
  }

  /** Goes on with another optimizer from the weights as they are; its state begins anew. Not while train() is under way. */
  async replaceOptimizer(choice: OptimizerChoice): Promise<void> {
    const { tensors } = await this.optimizer.stateDict();
    await this.#rebuild(
      Object.entries(tensors).map(([name, { shape, param }]) => ({ name, shape, data: param })),
      choice,
    );
  }

  /** Begins again from the initial weights. Not while train() is under way. */
  async restart(choice: OptimizerChoice): Promise<void> {
    this.steps = 0;
    await this.#rebuild(network().init(this.seed), choice);
  }

  async #rebuild(params: ParamSpec[], choice: OptimizerChoice): Promise<void> {
    const { optimizer } = this;
    const plan = this.#plan;
    await this.#build(params, choice);
    plan.destroy();
    optimizer.destroy();
  }

  async #build(params: ParamSpec[], choice: OptimizerChoice): Promise<void> {
    const { device } = this;
    const optimizer = await createOptimizer(device, {
      ...choice,
      params,
      monitor: { every: FIGURES_EVERY },
      label: "mnist",
    });
    const plan = await compile(device, network(), {
      batchSize: BATCH_SIZE,
      loss: crossEntropy(),
      optimizer,
      bytes: { scale: 1 / DEVIATION, shift: -MEAN / DEVIATION },
      // The last slot is for what evaluate() has no use for.
      slots: CHUNKS * CHUNK + 1,
    });
    const gather = await batchGather(device, "nn.gather", { rows: plan.rows, features: PIXELS });
    const gatherFrom = ({ samples, classes, order }: GpuSplit) => [
      gather.on({
        batch: plan.batch,
        samples: { buffer: samples },
        classes: { buffer: classes },
        order: { buffer: order },
        input: plan.input,
        labels: plan.target,
      }),
    ];
    this.optimizer = optimizer;
    this.#plan = plan;
    this.#gatherTrain = gatherFrom(this.#train);
    this.#gatherTest = gatherFrom(this.#test);
  }

  /**
   * Trains for `count` steps and yields their losses, a chunk at a time, while the next chunk is already under way.
   *
   * @param goesOn asked before each chunk; when it says no, what is under way still arrives, and that is all
   */
  async *train(count: number, goesOn: () => boolean = () => true): AsyncGenerator<StepRecord[]> {
    const pending: Promise<StepRecord[]>[] = [];
    for (let done = 0; done < count && goesOn(); done += CHUNK) {
      const chunk = this.#trainChunk(Math.min(CHUNK, count - done));
      // If the device is lost all of them reject, and only the first one is awaited.
      chunk.catch(() => {});
      pending.push(chunk);
      if (pending.length === CHUNKS - 1) yield await pending.shift()!;
    }
    for (const chunk of pending) yield await chunk;
  }

  async #trainChunk(size: number): Promise<StepRecord[]> {
    const ring = this.#chunks++ % CHUNKS;
    const first = this.steps + 1;
    for (let i = 0; i < size; i++) this.#step(ring * CHUNK + i);
    const staging = this.#stagings[ring]!;
    const bytes = size * RECORD_BYTES;
    const encoder = this.device.createCommandEncoder({ label: "mnist.losses" });
    encoder.copyBufferToBuffer(this.#plan.records.buffer, ring * CHUNK * RECORD_BYTES, staging, 0, bytes);
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ, 0, bytes);
    const words = staging.getMappedRange(0, bytes).slice(0);
    staging.unmap();
    const floats = new Float32Array(words);
    const integers = new Uint32Array(words);
    return Array.from({ length: size }, (_, i) => ({
      step: first + i,
      loss: floats[4 * i]!,
      correct: integers[4 * i + 1]!,
      count: integers[4 * i + 2]!,
    }));
  }

  #step(slot: number): void {
    const position = this.steps % this.stepsPerEpoch;
    if (position === 0) {
      const epoch = this.steps / this.stepsPerEpoch;
      // Streams of the hash: 0 and up for parameters, 1000 and up for epochs.
      this.device.queue.writeBuffer(this.#train.order, 0, shuffled(this.seed, 1000 + epoch, this.#train.count));
    }
    this.#selectBatch(this.#train, position * BATCH_SIZE, slot);
    this.optimizer.step((encoder) => this.#plan.encode(encoder, this.#gatherTrain));
    this.steps++;
  }

  /** Runs the test images through the network. */
  async evaluate(): Promise<Evaluation> {
    const { device } = this;
    const { count } = this.#test;
    const size = count * OUTCOME_BYTES;
    const staging = device.createBuffer({
      label: "mnist.outcomes",
      size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    for (let first = 0; first < count; first += BATCH_SIZE) {
      const samples = this.#selectBatch(this.#test, first, CHUNKS * CHUNK);
      const encoder = device.createCommandEncoder({ label: "nn.evaluate" });
      this.#plan.encodeEvaluation(encoder, this.#gatherTest);
      const bytes = samples * OUTCOME_BYTES;
      encoder.copyBufferToBuffer(this.#plan.outcomes.buffer, 0, staging, first * OUTCOME_BYTES, bytes);
      device.queue.submit([encoder.finish()]);
    }
    await staging.mapAsync(GPUMapMode.READ);
    const words = staging.getMappedRange().slice(0);
    staging.destroy();
    const losses = new Float32Array(words);
    const classes = new Uint32Array(words);
    const predicted = Uint8Array.from({ length: count }, (_, k) => classes[2 * k + 1]!);
    let loss = 0;
    for (let k = 0; k < count; k++) loss += losses[2 * k]!;
    const correct = predicted.filter((digit, k) => digit === this.#testLabels[k]).length;
    return { loss: loss / count, accuracy: correct / count, predicted };
  }

  destroy(): void {
    this.optimizer.destroy();
    this.#plan.destroy();
    for (const { destroy } of [this.#train, this.#test]) destroy();
    for (const staging of this.#stagings) staging.destroy();
  }

  /** Writes which samples the next submission takes; returns how many these are. */
  #selectBatch(split: GpuSplit, first: number, slot: number): number {
    const count = Math.min(BATCH_SIZE, split.count - first);
    this.#plan.select({ first, count, slot });
    return count;
  }
}

/** The first 16 hex digits of the SHA-256 of all parameters, in their order. */
export async function hashParams(optimizer: Optimizer): Promise<string> {
  const { tensors } = await optimizer.stateDict();
  const params = Object.values(tensors).map(({ param }) => param);
  const all = new Float32Array(params.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const param of params) {
    all.set(param, at);
    at += param.length;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
