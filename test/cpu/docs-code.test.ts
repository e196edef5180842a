/** Every TypeScript block of README and docs/ is checked against the library's types: none names what is not exported. */
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url);
const OUT = new URL("out/docs-code/", ROOT);

/** What a block takes for granted, by file and number: names that the text around it has introduced. */
const GIVEN: Readonly<Record<string, string>> = {
  "choosing-0": "declare const device: GPUDevice; declare const params: { name: string; shape: number[] }[];",
  "fit-0": `declare const device: GPUDevice; declare function plot(step: number, loss: number): void;
    declare const images: Uint8Array, labels: Uint8Array, testImages: Uint8Array, testLabels: Uint8Array;`,
  "fit-1": `import { fit, type FitOptions, readFitCheckpoint, type Training, writeFitCheckpoint } from "webgpu-optim/nn";
    declare const training: Training; declare const sameOptions: FitOptions;`,
  "precision-0": `import { adamw, createOptimizer } from "webgpu-optim";
    declare const device: GPUDevice; declare const params: { name: string; shape: number[] }[];`,
  "training-kit-1": `import { batchNorm, concat, conv2d, convTranspose2d, globalAvgPool2d, graph, linear, maxPool2d, relu, residual,
    sequential } from "webgpu-optim/nn";`,
  "training-kit-2": `import { type BackwardSite, type Layer, ones, type Operation, type Site, wgslKernel } from "webgpu-optim/nn";
    type Size = { readonly QUADS: number; readonly ROWS: number }; declare const MULTIPLY: string;
    declare function sizeAt(site: Site | BackwardSite): Size; declare const weightGradient:
    (device: GPUDevice, label: string, size: Size) => Promise<Operation<"outputGradient" | "input" | "gradient">>;`,
  "when-the-browser-is-too-small-0": `import type { Optimizer } from "webgpu-optim"; declare const optimizer: Optimizer;`,
  "when-the-browser-is-too-small-1": `import type { Optimizer } from "webgpu-optim";
    import { fromFloats, writeCheckpoint } from "webgpu-optim/checkpoint"; import type { Model, Plan } from "webgpu-optim/nn";
    declare const model: Model; declare const plan: Plan & { readonly optimizer: Optimizer };`,
  "when-the-browser-is-too-small-2": `import type { Optimizer } from "webgpu-optim"; import type { Model, Plan } from
    "webgpu-optim/nn"; declare const file: Blob, model: Model, optimizer: Optimizer, plan: Plan;`,
};

/** Of the kit's own kernels, which are not exported. */
const INTERNAL = ["kernels-0"];

const CONFIG = {
  extends: "../../tsconfig.json",
  compilerOptions: {
    // Blocks are for readers: names that stand there to be seen may be unused.
    ...{ noUnusedLocals: false, noUnusedParameters: false },
    paths: {
      "webgpu-optim": ["../../src/index.ts"],
      ...Object.fromEntries(
        ["checkpoint", "jax", "nn", "tfjs"].map((entry) => [`webgpu-optim/${entry}`, [`../../src/${entry}/index.ts`]]),
      ),
    },
  },
  include: ["*.ts"],
};

test("the blocks have the types of the library", { timeout: 60_000 }, async () => {
  await rm(OUT, { recursive: true, force: true });
  await mkdir(OUT, { recursive: true });
  await writeFile(new URL("tsconfig.json", OUT), JSON.stringify(CONFIG));
  const guides = (await readdir(new URL("docs/", ROOT))).filter((file) => file.endsWith(".md")).map((f) => `docs/${f}`);
  const written: string[] = [];
  for (const file of ["README.md", ...guides]) {
    const text = await readFile(new URL(file, ROOT), "utf8");
    for (const [k, [, block]] of [...text.matchAll(/```ts\n([\s\S]*?)```/g)].entries()) {
      const name = `${file.replace(/^docs\/|\.md$/g, "")}-${k}`;
      if (INTERNAL.includes(name)) continue;
      written.push(name);
      await writeFile(new URL(`${name}.ts`, OUT), `${GIVEN[name] ?? ""}\n${block}\nexport {};\n`);
    }
  }
  // A guide that is renamed leaves nothing behind here.
  expect(Object.keys(GIVEN).filter((name) => !written.includes(name))).toEqual([]);
  const tsc = fileURLToPath(new URL("node_modules/typescript/bin/tsc", ROOT));
  const said = await promisify(execFile)(process.execPath, [tsc, "-p", fileURLToPath(OUT)]).catch((error) => error);
  expect(said.stdout).toBe("");
});
