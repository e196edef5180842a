/** `npm start -- NAME`: trains a small network in headless Chrome, on the GPU from the first to the last step. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { SingleBar } from "cli-progress";
import Table from "cli-table3";
import { Argument, Command, InvalidArgumentError } from "commander";
import { runPage } from "../test/browser/serve.ts";
import { GROUP_HEADINGS, groupRows, TENSOR_HEADINGS, tensorRows } from "./mnist/figures-table.ts";
import { addFigures, addRecords, addTest, emptyHistory } from "./mnist/history.ts";
import type { TrainingLog } from "./mnist/log.ts";
import { BATCH_SIZE, CLIP_NORM, EPOCHS, PEAK_LR, WEIGHT_DECAY } from "./mnist/recipe.ts";
import { mnistRoutes } from "./mnist-files.ts";
import { renderReport } from "./report/render.ts";
import type { Message, Outcome, Parameters } from "./start-page.ts";

const ROOT = new URL("..", import.meta.url);

const count = (text: string) => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError("must be a whole number from 1 on.");
  return value;
};

const command = new Command("npm start --")
  .description("Trains a network in headless Chrome with WebGPU and writes out/NAME.json and out/NAME.html.")
  .addArgument(new Argument("[name]", "which network").choices(["mlp"]).default("mlp"))
  .option("--epochs <count>", "passes over the 60 000 training images", count, EPOCHS)
  .option("--seed <number>", "of the initial weights and of the order of the images", count, 1)
  .parse();
const name = command.args[0] ?? "mlp";
const parameters = command.opts<Parameters>();

const history = emptyHistory();
let ready: Extract<Message, { kind: "ready" }> | undefined;
let last: TrainingLog["last"] | undefined;
const bar = new SingleBar({
  format: "epoch {epoch} [{bar}] {percentage} %  loss {loss}  {rate} images/s  {eta_formatted} left",
  barsize: 30,
  hideCursor: true,
  // Not a terminal: a line now and then instead of a bar that moves.
  noTTYOutput: true,
  notTTYSchedule: 5000,
});

console.log(`${name}: 784-128-10 on MNIST, batches of ${BATCH_SIZE}; AdamW. Starting a browser ...`);
const began = performance.now();

function onMessage(message: Message): void {
  switch (message.kind) {
    case "ready":
      ready = message;
      console.log(`GPU: ${message.adapter}\n\n${message.groups}\n`);
      bar.start(parameters.epochs * message.stepsPerEpoch, 0, { epoch: 1, loss: "-", rate: "-" });
      break;
    case "records": {
      addRecords(history, message.records);
      const recent = history.steps.loss.slice(-50);
      bar.update(history.steps.step.length, {
        epoch: Math.ceil(history.steps.step.length / ready!.stepsPerEpoch),
        loss: (recent.reduce((sum, loss) => sum + loss, 0) / recent.length).toFixed(4),
        rate: Math.round(message.imagesPerSecond),
      });
      break;
    }
    case "figures":
      last = message.figures;
      addFigures(history, message.figures.step, message.figures);
      break;
    case "test":
      addTest(history, message.step, message);
  }
}

let outcome: Outcome;
try {
  outcome = await runPage<Outcome>({
    path: "demo/start-page.ts",
    parameters,
    routes: mnistRoutes(),
    onMessage: (message) => onMessage(message as Message),
    timeoutMs: 30 * 60_000,
  });
} finally {
  bar.stop();
}

const testAccuracy = history.tests.accuracy.at(-1)!;
const testLoss = history.tests.loss.at(-1)!;
const log: TrainingLog = {
  name,
  setup: {
    network: "784-128-10, ReLU, softmax cross-entropy",
    data: "MNIST",
    batches: `batches of ${BATCH_SIZE}`,
    epochs: `${parameters.epochs} epochs`,
    optimizer: `AdamW, lr ${PEAK_LR} with warm-up and cosine, weight decay ${WEIGHT_DECAY}, clipping at norm ${CLIP_NORM}`,
    seed: `seed ${parameters.seed}`,
    adapter: ready!.adapter,
  },
  result: { testAccuracy, testLoss, ...outcome },
  last: last!,
  history,
};

const out = new URL("out/", ROOT);
await mkdir(out, { recursive: true });
const json = new URL(`${name}.json`, out);
const html = new URL(`${name}.html`, out);
await writeFile(json, JSON.stringify(log));
await writeFile(html, await renderReport(log));

const table = (headings: readonly string[], rows: string[][]) => {
  const made = new Table({
    head: [...headings],
    colAligns: headings.map((_, k) => (k === 0 ? "left" : "right")),
    style: { head: [], border: [], compact: true },
  });
  made.push(...rows);
  return made.toString();
};

console.log(
  `\n${table(TENSOR_HEADINGS, tensorRows(log.last, history))}\n\n${table(GROUP_HEADINGS, groupRows(log.last))}\n`,
);
console.log(`test accuracy      ${(100 * testAccuracy).toFixed(2)} % of 10 000 images`);
console.log(`test loss          ${testLoss.toFixed(4)}`);
console.log(
  `training           ${outcome.trainingSeconds.toFixed(1)} s, ${Math.round(outcome.imagesPerSecond)} images/s` +
    ` (${((performance.now() - began) / 1000).toFixed(1)} s in all)`,
);
console.log(`weights (SHA-256)  ${outcome.weightsHash}`);
for (const file of [html, json]) {
  const { length } = await readFile(file);
  console.log(`wrote              ${fileURLToPath(file)} (${Math.round(length / 1024)} KiB)`);
}
