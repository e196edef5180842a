/** The scripts of docs/ are those that the example pages run, and short. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test.each([
  ["docs/jax.md", "demo/jax-training.ts"],
  ["docs/raw-webgpu.md", "demo/raw-webgpu-training.ts"],
  ["docs/onnxruntime-web.md", "demo/onnx-training.ts"],
])("%s shows %s", (guide, script) => {
  const source = read(script)
    .replaceAll("../src/index.ts", "webgpu-optim")
    .replaceAll("../src/jax/index.ts", "webgpu-optim/jax");
  const shown = /```ts\n([\s\S]*?)```/.exec(read(guide))?.[1];
  expect(shown).toBe(source);
  expect(shown?.trimEnd().split("\n").length).toBeLessThanOrEqual(60);
});
