/** The page of fit-resume.test.ts: trains from the start, or goes on from a checkpoint file. */
import {
  batchNorm,
  conv2d,
  dropout,
  type FitOptions,
  flatten,
  linear,
  readFitCheckpoint,
  relu,
  sequential,
  fit as train,
  writeFitCheckpoint,
} from "../../src/nn/index.ts";
import { pageMain } from "../browser/page.ts";
import { CLASSES, options, SIDE } from "./nn-fit-data.ts";

export interface Parameters {
  /** Where the file is that the training goes on from. */
  readonly from?: string;
  /** After so many batches a file is made. */
  readonly saveAt: number;
}

export interface Outcome {
  readonly losses: number[];
  /** The file of that moment, and one of the end. */
  readonly saved: number[] | undefined;
  readonly end: number[];
}

/** 16 epochs of 10 batches, with whatever a run remembers: moments, averages, running statistics, order, masks, best test. */
const optionsOf = (device: GPUDevice): FitOptions => ({
  ...options(device),
  model: sequential(
    [1, SIDE, SIDE],
    [conv2d(4, { kernel: 3, bias: false }), batchNorm(), relu(), flatten(), dropout(0.2), linear(CLASSES)],
  ),
  epochs: 16,
  evaluateEvery: 4,
  earlyStopping: { metric: "accuracy", patience: 9 },
});

await pageMain<Parameters, Outcome>(async ({ parameters: { from, saveAt } }) => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter!.requestDevice();
  let saved: number[] | undefined;
  const training = await train({
    ...optionsOf(device),
    ...(from && { resume: readFitCheckpoint(await (await fetch(from)).arrayBuffer()) }),
    checkpoints: {
      every: saveAt,
      save: (checkpoint) => {
        saved = Array.from(writeFitCheckpoint(checkpoint));
      },
    },
  });
  const losses: number[] = [];
  for await (const event of training) if (event.kind === "steps") losses.push(...event.records.map(({ loss }) => loss));
  const end = Array.from(writeFitCheckpoint(await training.checkpoint()));
  training.destroy();
  device.destroy();
  return { losses, saved, end };
});
