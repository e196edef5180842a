/** The page in which golden files run on the GPU. */

import { takeGpuErrors, testDevice } from "../browser/device.ts";
import { pageMain } from "../browser/page.ts";
import { torchSchedule } from "../reference/torch-schedules.ts";
import { casesOf, type Environment, type Outcome, runCase } from "./cases.ts";
import type { Criterion } from "./compare.ts";
import { engineMaker } from "./engine-subject.ts";
import { parseGolden } from "./golden/parse.ts";
import { kitTraining } from "./kit-training.ts";

export interface PageParameters {
  /** Where to fetch the files from. */
  readonly urls: readonly string[];
  readonly criterion: Criterion;
  /** Only cases whose id contains this. */
  readonly only: string;
}

export type PageMessage =
  | { readonly adapter: string }
  /** `file` is an index into the urls. */
  | { readonly file: number; readonly outcome: Outcome };

await pageMain<PageParameters, void>(async ({ parameters: { urls, criterion, only }, send }) => {
  const device = await testDevice();
  const { vendor, architecture, description } = device.adapterInfo;
  await send({ adapter: [vendor, architecture, description].filter(Boolean).join(" ") } satisfies PageMessage);
  const environment: Environment = {
    maker: engineMaker(device),
    runSchedule: torchSchedule,
    runTraining: kitTraining(device),
    criterion,
  };
  for (const [file, url] of urls.entries()) {
    const golden = parseGolden(await (await fetch(url)).text());
    for (const one of casesOf(golden)) {
      if (one.skip !== undefined || !one.id.includes(only)) continue;
      const outcome = await runCase(one, environment);
      const errors = await takeGpuErrors();
      const messages = [...outcome.messages, ...errors];
      const status = errors.length > 0 ? "failed" : outcome.status;
      await send({ file, outcome: { ...outcome, status, messages } } satisfies PageMessage);
    }
  }
});
