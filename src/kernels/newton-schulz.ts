/** Kernels and records of the Newton-Schulz iteration. In which order they run says `newton-schulz-plan.ts`. */
import norm from "../../shaders/lib/norm.wgsl?raw";
import matricesRecord from "../../shaders/newton-schulz/matrices-record.wgsl?raw";
import normKernel from "../../shaders/newton-schulz/norm.wgsl?raw";
import normalize from "../../shaders/newton-schulz/normalize.wgsl?raw";
import product from "../../shaders/newton-schulz/product.wgsl?raw";
import productRecord from "../../shaders/newton-schulz/product-record.wgsl?raw";
import sourceFloats from "../../shaders/newton-schulz/source-floats.wgsl?raw";
import sourceQuads from "../../shaders/newton-schulz/source-quads.wgsl?raw";
import storeFloats from "../../shaders/newton-schulz/store-floats.wgsl?raw";
import storeQuads from "../../shaders/newton-schulz/store-quads.wgsl?raw";
import type { Kernel } from "./kernel.ts";
import type { Layout } from "./layouts.ts";
import type { WgslFile } from "./wgsl.ts";

/** `struct Product` of `shaders/newton-schulz/product-record.wgsl`. */
export const PRODUCT_RECORD = [
  ["rows", "u32"],
  ["cols", "u32"],
  ["depth", "u32"],
  ["left", "u32"],
  ["right", "u32"],
  ["addend", "u32"],
  ["result", "u32"],
  ["mirror", "u32"],
  ["left_stride", "u32"],
  ["right_stride", "u32"],
  ["addend_stride", "u32"],
  ["result_stride", "u32"],
  ["mirror_stride", "u32"],
  ["alpha", "f32"],
  ["beta", "f32"],
] as const satisfies Layout;

/** `struct Matrices` of `shaders/newton-schulz/matrices-record.wgsl`. */
export const MATRICES_RECORD = [
  ["rows", "u32"],
  ["cols", "u32"],
  ["source", "u32"],
  ["normalized", "u32"],
  ["transposed", "u32"],
  ["parts", "u32"],
  ["eps", "f32"],
] as const satisfies Layout;

const MATRICES_LIBRARY = { "lib/norm": norm, "newton-schulz/matrices-record": matricesRecord };

/** Parts of the norm of each matrix. */
export const NORM: Kernel = {
  name: "norm",
  file: { path: "newton-schulz/norm.wgsl", text: normKernel },
  library: MATRICES_LIBRARY,
  entryPoint: "norm",
  bindings: [
    ["record", "header"],
    ["table", "read"],
    ["source", "read"],
    ["partials", "write"],
  ],
};

/** X = u / (|u| + eps). */
export const NORMALIZE: Kernel = {
  name: "normalize",
  file: { path: "newton-schulz/normalize.wgsl", text: normalize },
  library: MATRICES_LIBRARY,
  entryPoint: "normalize_matrices",
  bindings: [
    ["record", "header"],
    ["table", "read"],
    ["source", "read"],
    ["partials", "read"],
    ["normalized", "write"],
    ["transposed", "write"],
  ],
};

/** C = alpha D + beta L^T R. */
export const PRODUCT: Kernel = {
  name: "product",
  file: { path: "newton-schulz/product.wgsl", text: product },
  library: { "newton-schulz/product-record": productRecord },
  entryPoint: "multiply",
  bindings: [
    ["record", "header"],
    ["table", "read"],
    ["left", "read"],
    ["right", "read"],
    ["addend", "read"],
    ["result", "write"],
    ["mirror", "write"],
  ],
};

const file = (name: string, text: string): WgslFile => ({ path: `newton-schulz/${name}.wgsl`, text });
/** How rows lie in memory outside of the scratch: whole quads, or any length. */
export const SOURCES = { quads: file("source-quads", sourceQuads), floats: file("source-floats", sourceFloats) };
export const STORES = { quads: file("store-quads", storeQuads), floats: file("store-floats", storeFloats) };
