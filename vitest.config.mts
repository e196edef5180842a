import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { findBrowser } from "./test/browser/find-browser.ts";
import { browserArgs } from "./test/browser/launch.ts";

// Absent, Playwright's own message says how to get one; `npm test` installs one beforehand (test/browser/ensure-browser.ts).
const browser = await findBrowser();

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "cpu",
          environment: "node",
          include: ["test/cpu/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        // Found late, a package would reload the page in the middle of its tests.
        optimizeDeps: {
          include: [
            "@jax-js/jax",
            "@tensorflow/tfjs-backend-webgpu",
            "@tensorflow/tfjs-core",
            "@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops",
            "@tensorflow/tfjs-layers",
          ],
        },
        server: {
          headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
        },
        test: {
          name: "gpu",
          include: ["test/gpu/**/*.test.ts"],
          setupFiles: ["test/setup-gpu.ts"],
          // A software adapter on a busy machine with two cores compiles a pipeline in up to seconds.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // One page for all files: starting the next one costs more than a file's tests, and they share the GPU anyway.
          isolate: false,
          fileParallelism: false,
          browser: {
            enabled: true,
            headless: true,
            ui: false,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                ...(browser ? { executablePath: browser.executablePath } : {}),
                // Tests of what grows ask for a collection before they look.
                args: [...browserArgs(), "--js-flags=--expose-gc", "--enable-precise-memory-info"],
              },
            }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
    ],
  },
});
