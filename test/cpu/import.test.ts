/** The library can be imported anywhere: in Node, in workers, while a page is rendered on a server. */
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { build } from "vite";
import { beforeAll, describe, expect, test } from "vitest";
import { create } from "webgpu";
import * as library from "../../src/index.ts";
import { wgslPlugin } from "../../vite-wgsl.ts";

describe("in a world that has the ECMAScript built-ins and nothing else", () => {
  let code: string;

  beforeAll(async () => {
    const result = await build({
      configFile: false,
      logLevel: "error",
      publicDir: false,
      plugins: [wgslPlugin()],
      build: {
        write: false,
        minify: false,
        target: "es2022",
        lib: {
          entry: fileURLToPath(new URL("../../src/index.ts", import.meta.url)),
          formats: ["iife"],
          name: "library",
        },
      },
    });
    const [bundle] = Array.isArray(result) ? result : [];
    if (!bundle) throw new Error("one bundle was asked for");
    code = bundle.output[0].code;
  });

  /** A global object without timers, navigator or any name of WebGPU. */
  const emptyWorld = () => createContext({});

  test("there is no WebGPU, no navigator, no timer", () => {
    const world = emptyWorld();
    for (const name of ["GPUBufferUsage", "GPUDevice", "navigator", "setTimeout", "document", "process"])
      expect(runInContext(`typeof ${name}`, world)).toBe("undefined");
  });

  test("importing works, and leaves behind nothing but the library", () => {
    const world = emptyWorld();
    const inventory = `JSON.stringify([globalThis, Object, Object.prototype, Array.prototype, Promise, Math, JSON].map(
      (o) => Reflect.ownKeys(o).map(String).filter((key) => key !== "library")))`;
    const before = runInContext(inventory, world);
    runInContext(code, world);
    expect(runInContext(inventory, world)).toBe(before);
    expect(runInContext("Object.keys(library).sort()", world)).toEqual(Object.keys(library).sort());
  });

  test("what needs no GPU works", () => {
    const world = emptyWorld();
    runInContext(code, world);
    const run = (expression: string): unknown => JSON.parse(runInContext(`JSON.stringify(${expression})`, world));
    expect(run("library.adamw({ betas: [0.8, 0.99] }).options.betas")).toEqual([0.8, 0.99]);
    expect(run("library.warmup(10, library.cosine(1, 20))(5)")).toBe(0.25);
    expect(run('library.decayGroups([{ name: "b", shape: [3] }], { weightDecay: 0.1 })[1].weightDecay')).toBe(0.1);
  });

  test("without a device, createOptimizer says so", async () => {
    const world = emptyWorld();
    runInContext(code, world);
    const call = 'library.createOptimizer(undefined, {}).catch((e) => e.name + ": " + e.message)';
    expect(await runInContext(call, world)).toBe(
      "OptionError: createOptimizer: device must be a GPUDevice, got undefined",
    );
  });
});

test("an optimizer runs on a device in Node, where the constants of WebGPU are no globals", async () => {
  expect("GPUBufferUsage" in globalThis).toBe(false);
  // The null backend computes nothing, but checks every call. `gpu` is kept: its devices stand on it.
  const gpu = create(["backend=null"]);
  const device = await (await gpu.requestAdapter())!.requestDevice();
  const errors: string[] = [];
  device.addEventListener("uncapturederror", ({ error }) => errors.push(error.message));
  const optimizer = await library.createOptimizer(device, {
    rule: library.adamw({ amsgrad: true }),
    params: [{ name: "w", shape: [5, 7], data: new Float32Array(35).fill(1) }],
    clip: { globalNorm: 1, value: 0.5 },
    lossScale: {},
    accumulate: 2,
    monitor: {},
  });
  for (let i = 0; i < 4; i++) optimizer.step();
  await optimizer.flush();
  expect(await optimizer.readParam("w")).toHaveLength(35);
  optimizer.destroy();
  await device.queue.onSubmittedWorkDone();
  expect(errors).toEqual([]);
  device.destroy();
});
