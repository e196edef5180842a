import { expect, test } from "vitest";
import { testDevice } from "../browser/device.ts";
import { trainOnce } from "./nn-fit-in-worker.ts";

test("in a worker fit gives the same bits as in the page", async () => {
  const worker = new Worker(new URL("./nn-fit-in-worker.ts", import.meta.url), { type: "module" });
  const away = await new Promise<unknown>((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message || "the worker's module could not be loaded"));
  });
  worker.terminate();
  const here = await trainOnce(await testDevice());
  expect(here.losses.length).toBe(20);
  expect(here.losses.at(-1)!).toBeLessThan(here.losses[0]!);
  expect(away).toEqual(here);
});
