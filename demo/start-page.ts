/** The page behind `npm start`: trains in a headless browser and tells the terminal how it goes. */
import type { Figures } from "../src/index.ts";
import { type StepRecord, fit as train } from "../src/nn/index.ts";
import { pageMain } from "../test/browser/page.ts";
import { CATALOGUE, type ExampleName } from "./examples/catalogue.ts";
import { findExample } from "./examples/example.ts";
import { hashParams } from "./hash-params.ts";

export interface Parameters {
  name: ExampleName;
  seed: number;
  epochs: number;
}

/** What the page sends while it works. */
export type Message =
  | { kind: "ready"; adapter: string; stepsPerEpoch: number; groups: string; summary: string }
  | { kind: "records"; records: readonly StepRecord[]; samplesPerSecond: number }
  | { kind: "figures"; figures: Figures }
  | { kind: "test"; step: number; loss: number; accuracy: number };

/** What it returns. */
export interface Outcome {
  trainingSeconds: number;
  samplesPerSecond: number;
  testSamples: number;
  weightsHash: string;
  /** What else the example has to tell. */
  more: readonly (readonly [string, string])[];
}

/** Figures of every so many steps. */
const FIGURES_EVERY = 4;

await pageMain<Parameters, Outcome>(async ({ parameters: { name, seed, epochs }, send }) => {
  const tell = (message: Message) => send(message);
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error("This browser has no WebGPU adapter.");
  const device = await adapter.requestDevice({ label: name });
  const example = await findExample(name);
  const { batchSize } = CATALOGUE[name];
  const { data, test, count } = await example.load();
  const { model, optimizer, ...recipe } = example.recipe(epochs * Math.ceil(count / batchSize));
  const training = await train({
    ...recipe,
    ...{ device, model, batchSize, epochs, seed, data, test },
    optimizer: { ...optimizer, monitor: { every: FIGURES_EVERY } },
  });
  const { vendor, architecture } = adapter.info;
  await tell({
    kind: "ready",
    adapter: [vendor, architecture].filter(Boolean).join(" "),
    stepsPerEpoch: training.stepsPerEpoch,
    groups: training.optimizer.table(),
    summary: model.summary(),
  });
  training.optimizer.on("figures", (figures) => void tell({ kind: "figures", figures }));

  let seconds = 0;
  let samples = 0;
  let last = { loss: Number.NaN, count: 0 };
  let begin = performance.now();
  for await (const event of training) {
    if (event.kind === "steps") {
      seconds += (performance.now() - begin) / 1000;
      samples += event.records.reduce((sum, { count }) => sum + count, 0);
      await tell({ kind: "records", records: event.records, samplesPerSecond: samples / seconds });
    } else {
      // What came before this was the test.
      await training.optimizer.flush();
      last = event.test!;
      await tell({ kind: "test", step: event.step, loss: event.test!.loss, accuracy: event.test!.accuracy });
    }
    begin = performance.now();
  }
  const more = (await example.report?.(training, last.loss)) ?? [];
  const weightsHash = await hashParams(training.optimizer);
  training.destroy();
  return { trainingSeconds: seconds, samplesPerSecond: samples / seconds, testSamples: last.count, weightsHash, more };
});
