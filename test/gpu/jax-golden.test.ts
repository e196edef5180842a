/** PyTorch's trajectories, driven through the adapter to jax-js. */
import { beforeAll, describe, expect, test } from "vitest";
import { casesOf, runCase } from "../conformance/cases.ts";
import { SOFTWARE } from "../conformance/compare.ts";
import { parseGolden } from "../conformance/golden/parse.ts";
import { jaxMaker } from "../conformance/jax-subject.ts";
import adam from "../golden/torch-adam.json?raw";
import adamw from "../golden/torch-adamw.json?raw";
import sgd from "../golden/torch-sgd.json?raw";
import { torchSchedule } from "../reference/torch-schedules.ts";
import { jaxDevice } from "./jax-device.ts";

beforeAll(async () => {
  await jaxDevice();
});

const environment = { maker: jaxMaker, runSchedule: torchSchedule, criterion: SOFTWARE };

describe.each(Object.entries({ sgd, adam, adamw }))("%s", (_, text) => {
  test.each(casesOf(parseGolden(text)).filter(({ skip }) => skip === undefined))("$id", async (one) => {
    const { status, messages } = await runCase(one, environment);
    expect(messages).toEqual([]);
    expect(status).toBe("passed");
  });
});
