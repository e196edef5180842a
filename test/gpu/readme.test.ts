/** The README's example is a file that runs. */
import { expect, test, vi } from "vitest";
import readme from "../../README.md?raw";
import source from "./readme-example.ts?raw";

test("README's example is test/gpu/readme-example.ts, and runs", async () => {
  // But for where lines break.
  const tokens = (code = ""): string => code.replace(/\s+/g, "").replace(/,([}\]])/g, "$1");
  const block = /```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  expect(block?.trim().split("\n").length).toBe(12);
  const file = source.replace("../../src/index.ts", "webgpu-optim").replace(/\nexport \{.*\n$/, "");
  expect(tokens(block)).toBe(tokens(file));

  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const { device, grad, optimizer, param } = await import("./readme-example.ts");
  expect([param.size, grad.size]).toEqual([31_360, 31_360]);
  // From zero, at an lr that grows from step to step: the tenth step is about 9 / (1 + ... + 9) of the way.
  for (const { name, shape } of optimizer.tensors)
    optimizer.writeGrad(name, new Float32Array(shape.reduce((a, b) => a * b)).fill(0.01));
  for (let step = 2; step <= 10; step++) optimizer.step();
  await optimizer.flush();
  expect(log.mock.calls).toEqual([[10, expect.closeTo(0.01 * Math.sqrt(7850), 6), expect.closeTo(0.2, 1)]]);
  log.mockRestore();
  optimizer.destroy();
  device.destroy();
});
