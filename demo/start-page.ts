/** The page behind `npm start`: trains in a headless browser and tells the terminal how it goes. */
import type { Figures } from "../src/index.ts";
import { pageMain } from "../test/browser/page.ts";
import { loadMnist } from "./mnist/idx.ts";
import { standardChoice } from "./mnist/setup.ts";
import { type Evaluation, hashParams, type StepRecord, Trainer } from "./mnist/trainer.ts";

export interface Parameters {
  seed: number;
  epochs: number;
}

/** What the page sends while it works. */
export type Message =
  | { kind: "ready"; adapter: string; stepsPerEpoch: number; groups: string }
  | { kind: "records"; records: StepRecord[]; imagesPerSecond: number }
  | { kind: "figures"; figures: Figures }
  | { kind: "test"; step: number; loss: number; accuracy: number };

/** What it returns. */
export interface Outcome {
  trainingSeconds: number;
  imagesPerSecond: number;
  weightsHash: string;
}

await pageMain<Parameters, Outcome>(async ({ parameters: { seed, epochs }, send }) => {
  const tell = (message: Message) => send(message);
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error("This browser has no WebGPU adapter.");
  const device = await adapter.requestDevice({ label: "mnist" });
  const mnist = await loadMnist("/mnist/");
  const stepsPerEpoch = Trainer.stepsPerEpoch(mnist);
  const trainer = await Trainer.create(device, mnist, seed, standardChoice(epochs * stepsPerEpoch));
  const { vendor, architecture } = adapter.info;
  await tell({
    kind: "ready",
    adapter: [vendor, architecture].filter(Boolean).join(" "),
    stepsPerEpoch,
    groups: trainer.optimizer.table(),
  });
  trainer.optimizer.on("figures", (figures) => void tell({ kind: "figures", figures }));

  let seconds = 0;
  let images = 0;
  let test: Evaluation;
  for (let epoch = 0; epoch < epochs; epoch++) {
    let begin = performance.now();
    for await (const records of trainer.train(stepsPerEpoch)) {
      const now = performance.now();
      seconds += (now - begin) / 1000;
      begin = now;
      images += records.reduce((sum, { count }) => sum + count, 0);
      await tell({ kind: "records", records, imagesPerSecond: images / seconds });
    }
    await trainer.optimizer.flush();
    test = await trainer.evaluate();
    await tell({ kind: "test", step: trainer.steps, loss: test.loss, accuracy: test.accuracy });
  }
  const weightsHash = await hashParams(trainer.optimizer);
  trainer.destroy();
  return { trainingSeconds: seconds, imagesPerSecond: images / seconds, weightsHash };
});
