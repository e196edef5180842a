/** The example pages of demo/ learn what they are there to learn. Each trains for a part of its usual run. */
import type { Browser } from "puppeteer-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mnistRoutes } from "../../demo/mnist-files.ts";
import { launchBrowser } from "../browser/launch.ts";
import { type PageServer, runPageIn, servePages } from "../browser/serve.ts";

interface Outcome {
  /** Losses at the first and at the last look. */
  readonly first: number;
  readonly last: number;
  readonly accuracy: number;
}

let browser: Browser;
let server: PageServer;

beforeAll(async () => {
  browser = await launchBrowser();
  server = await servePages({
    packages: [
      "uplot",
      "@jax-js/jax",
      "@tensorflow/tfjs-backend-webgpu",
      "@tensorflow/tfjs-core",
      "@tensorflow/tfjs-core/dist/register_all_gradients",
      "@tensorflow/tfjs-layers",
      "onnxruntime-web/webgpu",
    ],
    routes: mnistRoutes(),
  });
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

// Chance is a third on the spirals, and a tenth on MNIST. Whole runs end at 1 and about 0.94.
test.each([
  ["jax", 120, 0.95],
  ["raw-webgpu", 200, 0.95],
  ["onnx-head", 60, 0.8],
  ["tfjs-core", 60, 0.5],
  ["tfjs-layers", 25, 0.3],
])("demo/%s.html, in %i steps", { timeout: 120_000 }, async (page, steps, accuracy) => {
  const options = { path: `demo/${page}.html`, parameters: { steps }, timeoutMs: 120_000 };
  const outcome = (await runPageIn(browser, server, options)) as Outcome;
  expect(outcome.last).toBeLessThan(outcome.first);
  expect(outcome.accuracy).toBeGreaterThanOrEqual(accuracy);
});
