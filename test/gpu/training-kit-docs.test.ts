/** The example of docs/training-kit.md is a file that runs. */
import { expect, test, vi } from "vitest";
import docs from "../../docs/training-kit.md?raw";
import source from "./training-kit-example.ts?raw";

test("the example of docs/training-kit.md is test/gpu/training-kit-example.ts, and learns", async () => {
  const block = /```ts\n([\s\S]*?)```/.exec(docs)![1]!;
  const file = source
    .replace("../../src/index.ts", "webgpu-optim")
    .replace("../../src/nn/index.ts", "webgpu-optim/nn")
    .replace(/\nexport \{.*\n$/, "");
  expect(block.trim()).toBe(file.trim());

  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const { correct, count, device, loss, plan } = await import("./training-kit-example.ts");
  expect(log.mock.calls[0]![0]).toContain("weight [8, 1, 3, 3]");
  log.mockRestore();
  expect(count).toBe(32);
  // Guessing: 8 of 32, and a loss of log 4 = 1.39. With the smoothing of 0.1 no loss is below 0.35.
  expect(correct).toBeGreaterThan(28);
  expect(loss).toBeLessThan(0.8);
  plan.destroy();
  device.destroy();
});
