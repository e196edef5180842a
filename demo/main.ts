/** The entry of the live page. `?example=cnn` says what it trains. */
import { pageMain } from "../test/browser/page.ts";
import { openDevice } from "./device.ts";
import { CATALOGUE, EXAMPLE_NAMES, type ExampleName } from "./examples/catalogue.ts";
import { findExample, type Loaded } from "./examples/example.ts";
import { type Limits, LivePage, type Outcome } from "./live-page.ts";
import type { Samples } from "./live-training.ts";

/** What whoever has opened the page from outside may ask for. */
export interface PageParameters extends Limits {
  /** Tests with no more samples than this. */
  readonly testSamples?: number;
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);
const find = (id: string) => document.getElementById(id) as HTMLElement;
const notice = find("notice");

function fail(error: unknown): void {
  notice.textContent = error instanceof Error ? error.message : String(error);
  notice.className = "failure";
}

function chosen(): ExampleName {
  const asked = new URLSearchParams(location.search).get("example");
  return EXAMPLE_NAMES.find((name) => name === asked) ?? "mlp";
}

function showChoice(present: ExampleName): void {
  for (const name of EXAMPLE_NAMES) {
    const link = find("choice").appendChild(document.createElement("a"));
    link.href = `?example=${name}`;
    link.textContent = name;
    link.title = CATALOGUE[name].deed;
    if (name === present) link.ariaCurrent = "page";
  }
}

async function open(parameters: PageParameters): Promise<LivePage> {
  const name = chosen();
  showChoice(name);
  const { data, deed, network } = CATALOGUE[name];
  const { device, name: gpu } = await openDevice();
  device.lost.then(({ reason, message }) => {
    if (reason !== "destroyed")
      fail(new Error(`The GPU was lost (${message || reason}). Reload the page to begin again.`));
  });
  const example = await findExample(name);
  const { model } = example.recipe(1);
  const parameterCount = model.params.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  find("about").textContent =
    `A network of ${parameterCount.toLocaleString("en")} parameters ${deed}, on your GPU, in this tab: ${network}; ${data}.`;
  notice.textContent = `Loading ${data.split(/[,;]/)[0]} ...`;
  const loaded = await example.load((fraction) => {
    notice.textContent = `Loading ${data.split(/[,;]/)[0]} ... ${Math.round(100 * fraction)} %`;
  });
  notice.textContent = "Compiling kernels ...";
  const { testSamples, ...limits } = parameters;
  const used = testSamples === undefined ? loaded : cutTest(loaded, sizeOf(model.input), testSamples);
  const page = await LivePage.open(device, name, used, limits);
  notice.textContent = `Running on ${gpu}.`;
  return page;
}

/** With no more than so many samples to test with, of `features` each, spread over all of them. */
function cutTest(loaded: Loaded, features: number, samples: number): Loaded {
  const { input, target } = loaded.test;
  const all = input.length / features;
  const count = Math.min(samples, all);
  const cut = (values: Samples): Samples => {
    const size = values.length / all;
    const kept = values.slice(0, count * size);
    for (let k = 0; k < count; k++) {
      const from = Math.floor((k * all) / count) * size;
      kept.set(values.subarray(from, from + size), k * size);
    }
    return kept;
  };
  const inputs = cut(input as Samples);
  // Where both are one array it lies on the GPU once.
  return { ...loaded, test: { input: inputs, target: target === input ? inputs : cut(target as Samples) } };
}

await pageMain<PageParameters | null, Outcome>(async ({ parameters, send }) => {
  try {
    const page = await open(parameters ?? {});
    for (;;) {
      const outcome = await page.run();
      if (parameters) {
        // Who has opened the page may look at it now; then it goes.
        await send(outcome);
        return outcome;
      }
      await page.goOn();
    }
  } catch (error) {
    fail(error);
    throw error;
  }
}, null);
