/** The guide shows the scripts that the example pages run, and they are short. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("docs/tfjs.md shows demo/tfjs-layers-training.ts and demo/tfjs-core-training.ts", () => {
  const shown = [...read("docs/tfjs.md").matchAll(/```ts\n([\s\S]*?)```/g)].map(([, script]) => script as string);
  const scripts = ["demo/tfjs-layers-training.ts", "demo/tfjs-core-training.ts"].map((path) =>
    read(path).replaceAll("../src/index.ts", "webgpu-optim").replaceAll("../src/tfjs/index.ts", "webgpu-optim/tfjs"),
  );
  expect(shown).toEqual(scripts);
  for (const script of shown) expect(script.trimEnd().split("\n").length).toBeLessThanOrEqual(60);
});
