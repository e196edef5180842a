/** A training that is cut in two by a file, each half in a page and a browser of its own. */
import { expect, test } from "vitest";
import { readFitCheckpoint } from "../../src/nn/trainer/checkpoint-file.ts";
import { runPage } from "../browser/serve.ts";
import type { Outcome, Parameters } from "../gpu/nn-fit-in-page.ts";

const SAVED_AT = 137;
const FILE = "/checkpoint.safetensors";

function run(parameters: Parameters, file = new Uint8Array(0)): Promise<Outcome> {
  return runPage<Outcome>({ path: "test/gpu/nn-fit-in-page.ts", parameters, routes: { [FILE]: () => file } });
}

test("saved at step 137 and resumed in a new page, losses and weights are equal bit for bit", async () => {
  const whole = await run({ saveAt: SAVED_AT });
  expect(whole.losses.length).toBe(160);
  expect(readFitCheckpoint(Uint8Array.from(whole.saved!)).step).toBe(SAVED_AT);
  const resumed = await run({ saveAt: SAVED_AT, from: FILE }, Uint8Array.from(whole.saved!));
  expect(resumed.losses).toEqual(whole.losses.slice(SAVED_AT));
  // Parameters, moments, averages, running statistics, sums of the epoch and the best test: all that is in a file.
  expect(resumed.end).toEqual(whole.end);
}, 120_000);
