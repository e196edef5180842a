import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, posix } from "node:path";
import { describe, expect, test } from "vitest";

/** What a file of each layer may import, besides its own layer. `kernels` may read the text of shaders. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  index: ["engine", "host", "kernels", "nn", "errors"],
  nn: ["engine", "host", "kernels", "shaders", "checkpoint", "errors"],
  jax: ["engine", "host", "errors"],
  tfjs: ["engine", "host", "errors"],
  checkpoint: ["engine", "errors", "half"],
  engine: ["host", "kernels", "shaders", "errors"],
  host: ["kernels", "errors", "half"],
  kernels: ["shaders", "errors"],
  errors: [],
  half: [],
};

/** The peers that adapters are for; no other file imports a package. */
const MAY_IMPORT_PACKAGE: Record<string, RegExp> = { jax: /^@jax-js\//, tfjs: /^@tensorflow\// };

const filesBelow = (folder: string, end: RegExp) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((file) => posix.join(folder, file.replaceAll("\\", "/")))
    .filter((file) => end.test(file));

/** `src/host/step.ts` is in the layer host, `src/errors.ts` in errors, `shaders/lib/norm.wgsl` in shaders. */
function layerOf(file: string): string {
  const [root, second] = file.split("/");
  if (root === "shaders") return "shaders";
  if (root !== "src" || second === undefined) return `${file} (outside src/ and shaders/)`;
  return second.replace(/\.ts$/, "");
}

/** The module names in import and export statements, dynamic imports and import types. */
function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const statements = code.matchAll(/^\s*(?:import|export)\s+(?:[\w\s*{},$]+\sfrom\s+)?["']([^"']+)["']/gm);
  const calls = code.matchAll(/\bimport\(\s*["'`]([^"'`]+)["'`]/g);
  return [...statements, ...calls].map((match) => match[1]!);
}

/** What is wrong with the imports of a file, in sentences. */
function violations(file: string, text: string): string[] {
  const layer = layerOf(file);
  const allowed = MAY_IMPORT[layer];
  if (!allowed) return [`${file} is in no layer`];
  return importsOf(text).flatMap((name) => {
    if (!name.startsWith("."))
      return MAY_IMPORT_PACKAGE[layer]?.test(name) ? [] : [`${file} imports the package ${name}`];
    const target = posix.join(dirname(file), name.replace(/\?raw$/, ""));
    const other = layerOf(target);
    return other === layer || allowed.includes(other) ? [] : [`${file} imports ${target}: ${layer} -> ${other}`];
  });
}

describe("layers: engine -> host -> kernels -> shader text", () => {
  const files = filesBelow("src", /(?<!\.d)\.ts$/);

  test("no import goes back, sideways or outside", () => {
    expect(files.length).toBeGreaterThan(10);
    expect(files.flatMap((file) => violations(file, readFileSync(file, "utf8")))).toEqual([]);
  });

  test("every import names a file that exists, with its extension", () => {
    const all = new Set([...files, ...filesBelow("shaders", /\.wgsl$/)]);
    const missing = files.flatMap((file) =>
      importsOf(readFileSync(file, "utf8"))
        .filter((name) => name.startsWith("."))
        .map((name) => posix.join(dirname(file), name.replace(/\?raw$/, "")))
        .filter((target) => !all.has(target))
        .map((target) => `${file} -> ${target}`),
    );
    expect(missing).toEqual([]);
  });

  test.each([
    ["src/kernels/update.ts", 'import { Arena } from "../host/arena.ts";', "kernels -> host"],
    ["src/host/step.ts", 'import type {\n  Rule,\n} from "../engine/rule.ts";', "host -> engine"],
    ["src/host/step.ts", 'import text from "../../shaders/update.wgsl?raw";', "host -> shaders"],
    ["src/host/step.ts", 'import "../nn/model.ts";', "host -> nn"],
    ["src/engine/optimizer.ts", 'export * from "../nn/model.ts";', "engine -> nn"],
    ["src/errors.ts", 'import { x } from "./engine/rule.ts";', "errors -> engine"],
    ["src/nn/model.ts", 'import { x } from "../index.ts";', "nn -> index"],
    ["src/nn/model.ts", 'import { x } from "../../test/reference/adam.ts";', "outside src/"],
    ["src/nn/model.ts", 'const x = await import("uplot");', "package uplot"],
    ["src/engine/rule.ts", 'import { jit } from "@jax-js/jax";', "package @jax-js/jax"],
    ["src/jax/fused.ts", 'import "@tensorflow/tfjs-core";', "package @tensorflow/tfjs-core"],
    ["src/misc/a.ts", "", "no layer"],
  ])("sees the mistake in %s: %s", (file, text, complaint) => {
    expect(violations(file, text)).toEqual([expect.stringContaining(complaint)]);
  });
});

test("file stems are kebab-case and say what is inside", () => {
  const files = ["src", "shaders", "test", "bench", "demo"].flatMap((folder) => filesBelow(folder, /\.(ts|wgsl)$/));
  expect(files.length).toBeGreaterThan(30);
  const bad = files.filter((file) => {
    const stem = basename(file).replace(/(\.(test|bench|config|d))?\.(ts|wgsl)$/, "");
    return !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem) || /^(utils?|common|helpers?|misc)$/.test(stem);
  });
  expect(bad).toEqual([]);
});
