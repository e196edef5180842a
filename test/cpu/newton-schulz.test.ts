/** What can be said about the Newton-Schulz kernels without a GPU: every variant compiles, and structures lie as their twins say. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { create } from "webgpu";
import { WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";
import { compileKernel } from "../../src/host/pipelines.ts";
import type { Kernel } from "../../src/kernels/kernel.ts";
import type { Layout } from "../../src/kernels/layouts.ts";
import {
  MATRICES_RECORD,
  NORM,
  NORMALIZE,
  PRODUCT,
  PRODUCT_RECORD,
  SOURCES,
  STORES,
} from "../../src/kernels/newton-schulz.ts";
import { planNewtonSchulz } from "../../src/kernels/newton-schulz-plan.ts";
import type { WgslFile } from "../../src/kernels/wgsl.ts";
import { stripWgsl } from "../../vite-wgsl.ts";
import { newtonSchulz, QUINTIC } from "../reference/newton-schulz.ts";

type Links = Readonly<Record<string, WgslFile>>;
const sources = Object.values(SOURCES).map((source): Links => ({ source }));
const products = Object.values(STORES).map((store): Links => ({ store }));
const flags = [0, 1].flatMap((SYMMETRIC) =>
  [0, 1].flatMap((ADD) => [0, 1].map((MIRROR) => ({ SYMMETRIC, ADD, MIRROR }))),
);
const variants: readonly (readonly [Kernel, Links, Record<string, number>])[] = [
  ...sources.map((links) => [NORM, links, {}] as const),
  ...sources.flatMap((links) => [0, 1].map((MAXIMUM) => [NORMALIZE, links, { MAXIMUM }] as const)),
  ...products.flatMap((links) => flags.map((constants) => [PRODUCT, links, constants] as const)),
];

// Kept: when it is collected as garbage, so is what its devices stand on.
const gpu = create(["backend=null"]);
let device: GPUDevice;

beforeAll(async () => {
  device = await (await gpu.requestAdapter())!.requestDevice();
});
afterAll(() => device.destroy());

test("every variant compiles, as written and as the build strips it", async () => {
  const strip = ({ path, text }: WgslFile): WgslFile => ({ path, text: stripWgsl(text) });
  for (const [kernel, links, constants] of variants) {
    const library = Object.fromEntries(
      Object.entries(kernel.library ?? {}).map(([name, text]) => [name, stripWgsl(text)]),
    );
    const stripped = Object.fromEntries(Object.entries(links).map(([role, file]) => [role, strip(file)]));
    await compileKernel(device, kernel.name, kernel, links, constants);
    await compileKernel(device, kernel.name, { ...kernel, library, file: strip(kernel.file) }, stripped, constants);
  }
});

test("the variants of a plan are among them", () => {
  const shapes = [1, 4, 7, 12].flatMap((rows) => [1, 4, 7, 12].map((cols) => [rows, cols] as const));
  const plan = planNewtonSchulz(
    shapes.map(([rows, cols], i) => {
      return {
        offset: 64 * 3 * i,
        rows,
        cols,
        polynomials: [QUINTIC, QUINTIC],
        eps: 0,
        normalization: i % 2 ? "add" : "max",
      };
    }),
    { maxComputeWorkgroupsPerDimension: 65535, maxScratchBytes: 2 ** 20, workgroup: 64 },
  );
  const known = variants.map(([kernel, links]) => `${kernel.name} ${Object.values(links).map(({ path }) => path)}`);
  for (const { variant } of plan.dispatches) {
    expect(known).toContain(`${variant.kernel.name} ${Object.values(variant.links).map(({ path }) => path)}`);
  }
});

test.each([
  ["Product", PRODUCT.library?.["newton-schulz/product-record"], PRODUCT_RECORD],
  ["Matrices", NORM.library?.["newton-schulz/matrices-record"], MATRICES_RECORD],
] as const)("struct %s", (name, text, layout: Layout) => {
  const { members } = new WgslReflect(text!).structs.find((struct) => struct.name === name)!;
  expect(members.map((m) => `${m.name} ${m.type.getTypeName()}@${m.offset}`)).toEqual(
    layout.map(([field, type], i) => `${field} ${type}@${i * 4}`),
  );
});

test("the twin, on a diagonal, is the polynomial applied to each singular value", () => {
  const shape = { rows: 5, cols: 3, polynomials: [QUINTIC, [2, -1.5, 0.5]], eps: 0.5, normalization: "add" } as const;
  const u = Float64Array.of(3, 0, 0, 0, 4, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0);
  const apply = (x: number) => shape.polynomials.reduce((s, [a, b, c]) => a * s + b * s ** 3 + c * s ** 5, x);
  const want = u.map((x) => apply(x / 13.5));
  newtonSchulz(u, shape).forEach((x, i) => {
    expect(x).toBeCloseTo(want[i]!, 14);
  });
  newtonSchulz(u, { ...shape, rows: 3, cols: 5, normalization: "max" }).forEach((x, i) => {
    // The same numbers as three rows: a matrix with orthogonal rows 3 e1 + 4 e5, 12 e4 and 0.
    const norm = Math.hypot(3, 4);
    const along = i === 0 ? 3 / norm : i === 4 ? 4 / norm : 0;
    expect(x).toBeCloseTo(i === 8 ? apply(12 / 13) : along * apply(norm / 13), 14);
  });
});
