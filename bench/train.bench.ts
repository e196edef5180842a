/**
 * Whole training steps, batch 64: forward, loss, gradients and Adam on the same parameters and the same batch. The losses of the
 * first steps must agree before anything is timed.
 */
import { countCalls } from "../test/browser/count-calls.ts";
import { countedStep } from "./counted-step.ts";
import { trainJax } from "./impl/train-jax.ts";
import { trainOurs } from "./impl/train-ours.ts";
import { trainTfjs } from "./impl/train-tfjs.ts";
import { median, ratioToBaseline, timeInRounds, warmUp } from "./rounds.ts";
import type { Suite } from "./suite.ts";
import type { Training } from "./training.ts";
import { BATCH, batchOf, type TrainingBatch, type TrainingCase, trainingCases } from "./training-cases.ts";

type Make = (device: GPUDevice, name: TrainingCase, batch: TrainingBatch) => Promise<Training>;

const makes: readonly (readonly [string, Make])[] = [
  ["ours", trainOurs],
  ["tfjs", trainTfjs],
  ["jax-js", trainJax],
];

const CHECKED_STEPS = 5;
/** A step takes up to a hundred times as long as an update: fewer of them, in a third of the rounds. */
const STEPS_PER_TURN = 2;
/** Each of these losses is good to some 1e-6; Adam's first steps are signs, which float32 gets right but near 0. */
const TOLERANCE = 2e-4;

export const train: Suite = async ({ request, device, row, progress }) => {
  const chosen = makes.filter(
    ([name]) => name === "ours" || request.impls.length === 0 || request.impls.includes(name),
  );
  for (const name of trainingCases.filter((each) => request.cases.includes(each))) {
    const batch = batchOf();
    const running: Training[] = [];
    const peaks = new Map<string, number>();
    const errors = new Map<string, number>();
    let wanted: readonly number[] | undefined;
    for (const [impl, make] of chosen) {
      await progress(`train ${name}: ${impl}`);
      const peak = peakBytes();
      const training = await make(device, name, batch);
      running.push(training);
      const losses: number[] = [];
      for (let step = 0; step < CHECKED_STEPS; step++) {
        training.step();
        losses.push(await training.loss());
      }
      peaks.set(impl, peak.stop());
      wanted ??= losses;
      const error = Math.max(...losses.map((loss, k) => Math.abs(loss / wanted![k]! - 1))) / TOLERANCE;
      if (!(error <= 1)) throw new Error(`train ${name}, ${impl}: losses ${losses}, but ours are ${wanted}`);
      errors.set(impl, error);
    }
    const [ours, ...others] = running as [Training, ...Training[]];
    for (const each of running) await warmUp(each, 2);
    const rounds = Math.ceil(request.rounds / 3);
    await progress(`train ${name}: ${rounds} rounds of ${STEPS_PER_TURN} steps each`);
    const times = await timeInRounds(ours, others, { rounds, stepsPerTurn: STEPS_PER_TURN });
    for (const each of running) {
      const measured = times.get(each.name)!;
      await row({
        suite: "train",
        case: name,
        impl: each.name,
        median_ms: median(measured.wall),
        min_ms: Math.min(...measured.wall),
        host_ms: median(measured.host),
        over_ours: ratioToBaseline(measured),
        counts: await countedStep(each, 3),
        error: errors.get(each.name)!,
        images_per_second: (1000 * BATCH) / median(measured.wall),
        peak_bytes: peaks.get(each.name)!,
      });
      each.destroy();
    }
  }
};

/** The most bytes of GPU buffers alive at once, from now on: those of this implementation. */
function peakBytes(): { stop(): number } {
  const counter = countCalls();
  let peak = 0;
  const { createBuffer } = GPUDevice.prototype;
  // Outside of the counter's own wrapper: it has counted when it returns.
  GPUDevice.prototype.createBuffer = function (this: GPUDevice, descriptor) {
    const buffer = createBuffer.call(this, descriptor);
    peak = Math.max(peak, counter.read().liveBytes);
    return buffer;
  } as GPUDevice["createBuffer"];
  return {
    stop() {
      GPUDevice.prototype.createBuffer = createBuffer;
      counter.stop();
      return peak;
    },
  };
}
