// The page of `npm run verify:torch`: takes the engine's 20 steps.
import * as library from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { pageMain } from "../browser/page.ts";
import { continueRun } from "./engine-run.ts";

await pageMain<{ id: string; url: string }, { adapter: string; file: Uint8Array }>(
  async ({ parameters: { id, url } }) => {
    const device = await testDevice();
    const rules = library as unknown as Parameters<typeof continueRun>[3];
    const file = await continueRun(device, id, await (await fetch(url)).arrayBuffer(), rules);
    const { vendor, architecture, description } = device.adapterInfo;
    return { adapter: [vendor, architecture, description].filter(Boolean).join(" "), file };
  },
);
