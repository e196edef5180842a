import { expect, test } from "vitest";
import { solve } from "./jax-in-worker.ts";

test("in a worker jax-js and the adapter give the same bits as in the page", async () => {
  const worker = new Worker(new URL("./jax-in-worker.ts", import.meta.url), { type: "module" });
  const inWorker = await new Promise<unknown>((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message || "the worker's module could not be loaded"));
  });
  worker.terminate();
  const here = await solve();
  expect(here.figures).toBe(4);
  expect(inWorker).toEqual(here);
  // x w = 1 in the mean square.
  expect(here.values.some((w) => Math.abs(w) > 0.1)).toBe(true);
});
