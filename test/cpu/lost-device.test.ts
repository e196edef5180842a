/** A GPU that really goes: the browser's GPU process is crashed under a run. */
import { expect, test } from "vitest";
import type { LostDeviceReport } from "../browser/lost-device-page.ts";
import { runPage } from "../browser/serve.ts";

test("a crash of the GPU settles every promise, and the run goes on elsewhere, bit for bit", async () => {
  let crash: () => void = () => {};
  const { reason, outcomes, resumed, uncut } = await runPage<LostDeviceReport>({
    path: "test/browser/lost-device-page.ts",
    // A browser that has seen crashes refuses WebGPU for a while.
    args: ["--disable-gpu-process-crash-limit", "--disable-domain-blocking-for-3d-apis"],
    onConsole: () => {},
    onPage: async (_, browser) => {
      const session = await browser.target().createCDPSession();
      crash = () => {
        // Answered by nobody: the process is gone.
        session.send("Browser.crashGpuProcess").catch(() => {});
      };
    },
    onMessage: () => crash(),
  });
  expect(reason).toBe("unknown");
  // What was asked for just before may still have been answered; nothing waits, and nothing fails untyped.
  const settled = expect.stringMatching(/^(fulfilled|LifecycleError|DeviceError|ShaderError)$/);
  expect(outcomes).toEqual({
    stateDict: settled,
    readParam: settled,
    flush: "fulfilled",
    figures: "fulfilled",
    createOptimizer: settled,
    addParams: settled,
    step: "LifecycleError",
    "stateDict afterwards": "LifecycleError",
    "createOptimizer afterwards": "DeviceError",
    destroy: "fulfilled",
  });
  expect(resumed.length).toBe(3000);
  expect(resumed).toEqual(uncut);
});
