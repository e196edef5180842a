/** `npm start -- NAME`: trains a small network in headless Chrome, on the GPU from the first to the last step. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { SingleBar } from "cli-progress";
import Table from "cli-table3";
import { Argument, Command, InvalidArgumentError } from "commander";
import { runPage } from "../test/browser/serve.ts";
import { CATALOGUE, EXAMPLE_NAMES, type ExampleName } from "./examples/catalogue.ts";
import { GROUP_HEADINGS, groupRows, TENSOR_HEADINGS, tensorRows } from "./mnist/figures-table.ts";
import { addFigures, addRecords, addTest, emptyHistory, plotted } from "./mnist/history.ts";
import type { TrainingLog } from "./mnist/log.ts";
import { fashionRoutes, mnistRoutes } from "./mnist-files.ts";
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
  .addArgument(new Argument("[name]", "which example").choices(EXAMPLE_NAMES).default("mlp"))
  .option("--epochs <count>", "passes over the training data; default as the example says", count)
  .option("--seed <number>", "of the initial weights and of the order of the data", count, 1)
  .addHelpText(
    "after",
    `\n${EXAMPLE_NAMES.map((each) => `  ${each.padEnd(13)}${CATALOGUE[each].data}: ${CATALOGUE[each].network}`).join("\n")}`,
  )
  .parse();
const name = (command.processedArgs[0] ?? "mlp") as ExampleName;
const entry = CATALOGUE[name];
const parameters: Parameters = {
  name,
  ...command.opts<{ seed: number }>(),
  epochs: command.opts().epochs ?? entry.epochs,
};

const history = emptyHistory();
let ready: Extract<Message, { kind: "ready" }> | undefined;
let last: TrainingLog["last"] | undefined;
const bar = new SingleBar({
  format: "epoch {epoch} [{bar}] {percentage} %  loss {loss}  test {test}  {rate} samples/s  {eta_formatted} left",
  barsize: 30,
  hideCursor: true,
  // Not a terminal: a line now and then instead of a bar that moves.
  noTTYOutput: true,
  notTTYSchedule: 5000,
});

console.log(
  `${name}: ${entry.network}\n${entry.data}; batches of ${entry.batchSize}; ${entry.optimizer}\nStarting a browser ...`,
);
const began = performance.now();

function onMessage(message: Message): void {
  switch (message.kind) {
    case "ready":
      ready = message;
      console.log(`GPU: ${message.adapter}\n\n${message.summary}\n\n${message.groups}\n`);
      bar.start(parameters.epochs * message.stepsPerEpoch, 0, { epoch: 1, loss: "-", test: "-", rate: "-" });
      break;
    case "records": {
      addRecords(history, message.records);
      const recent = history.steps.loss.slice(-50);
      bar.update(history.steps.step.length, {
        epoch: Math.ceil(history.steps.step.length / ready!.stepsPerEpoch),
        loss: (recent.reduce((sum, loss) => sum + loss, 0) / recent.length).toFixed(4),
        rate: Math.round(message.samplesPerSecond),
      });
      break;
    }
    case "figures":
      last = message.figures;
      addFigures(history, message.figures.step, message.figures);
      break;
    case "test":
      addTest(history, message.step, message);
      bar.update({
        test: entry.accuracyFrom === undefined ? message.loss.toFixed(4) : `${(100 * message.accuracy).toFixed(2)} %`,
      });
  }
}

let outcome: Outcome;
try {
  outcome = await runPage<Outcome>({
    path: "demo/start-page.ts",
    parameters,
    routes: { ...mnistRoutes(), ...fashionRoutes() },
    onMessage: (message) => onMessage(message as Message),
    timeoutMs: 30 * 60_000,
  });
} finally {
  bar.stop();
}

const testAccuracy = history.tests.accuracy.at(-1)!;
const testLoss = history.tests.loss.at(-1)!;
const ofTest = `of ${outcome.testSamples.toLocaleString("en")} samples`;
const headline: (readonly [string, string])[] = [
  ...(entry.accuracyFrom === undefined ? [] : [["Test accuracy", `${(100 * testAccuracy).toFixed(2)} %`] as const]),
  ["Test loss", testLoss.toFixed(4)],
  ["Training time", `${outcome.trainingSeconds.toFixed(1)} s`],
  ["Samples per second", Math.round(outcome.samplesPerSecond).toLocaleString("en")],
];
const { more, ...result } = outcome;
const log: TrainingLog = {
  name,
  setup: {
    network: entry.network,
    data: entry.data,
    batches: `batches of ${entry.batchSize}`,
    epochs: `${parameters.epochs} epochs`,
    optimizer: entry.optimizer,
    seed: `seed ${parameters.seed}`,
    adapter: ready!.adapter,
  },
  charts: { tensors: plotted(Object.keys(last!.tensors)), accuracyFrom: entry.accuracyFrom },
  result: { headline, testAccuracy, testLoss, ...result },
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
for (const [what, value] of [...headline.slice(0, -2), ...more]) {
  console.log(`${what.toLowerCase().padEnd(19)}${value}${what === "Test accuracy" ? ` ${ofTest}` : ""}`);
}
console.log(
  `training           ${outcome.trainingSeconds.toFixed(1)} s, ${Math.round(outcome.samplesPerSecond)} samples/s` +
    ` (${((performance.now() - began) / 1000).toFixed(1)} s in all)`,
);
console.log(`weights (SHA-256)  ${outcome.weightsHash}`);
for (const file of [html, json]) {
  const { length } = await readFile(file);
  console.log(`wrote              ${fileURLToPath(file)} (${Math.round(length / 1024)} KiB)`);
}
