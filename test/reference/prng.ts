/**
 * The generator of the golden data: a counter-based hash of (seed, stream, step, element), so any element can be made on
 * its own and in any language. Nothing is ever stored: initial values, gradients and training data all come from here.
 * Every value is exactly representable in float32, so float32 and float64 runs start from identical inputs.
 */

/** How a tensor is filled. `scale`, `offset` and `noise` are plain factors, `lo` and `hi` are exponents of two. */
export type ValueSpec =
  | { readonly kind: "zero" | "ones" }
  | { readonly kind: "uniform" | "const"; readonly scale: number }
  | { readonly kind: "normal"; readonly scale: number; readonly offset?: number }
  /** `zero` of 128 elements are 0. */
  | { readonly kind: "sparse"; readonly scale: number; readonly zero: number }
  | { readonly kind: "corr"; readonly scale: number; readonly noise: number }
  | { readonly kind: "wide" | "elem"; readonly lo: number; readonly hi: number; readonly zero: number };

const GOLDEN_RATIO = 0x9e3779b9;
/** Stream offset of initial values: parameter k starts from stream `INIT_STREAM + k`, step 0. */
export const INIT_STREAM = 0x1000;
/** Stream offset of what stays the same at every step: a fixed direction, or each element's own magnitude. */
const FIXED_STREAM = 0x10000;

/** One round of the hash; all arithmetic is on 32 bits, the sign of the result is without meaning. */
export function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}

function base(seed: number, stream: number, step: number): number {
  let h = mix((seed + GOLDEN_RATIO) | 0);
  h = mix((h + stream + GOLDEN_RATIO) | 0);
  return mix((h + step + GOLDEN_RATIO) | 0);
}

/** The two random words of one element, as unsigned 32-bit integers. */
export function words(seed: number, stream: number, step: number, index: number): { w1: number; w2: number } {
  const w1 = mix((base(seed, stream, step) + index + GOLDEN_RATIO) | 0);
  return { w1: w1 >>> 0, w2: mix((w1 + GOLDEN_RATIO) | 0) >>> 0 };
}

/** A word as a number in [-1, 1), exact in float32. */
function uniform(word: number): number {
  return ((word >>> 8) - 8388608) / 8388608;
}

/** The first `size` values of a stream. Fast enough for tens of millions: nothing is allocated per element. */
export function generate(spec: ValueSpec, seed: number, stream: number, step: number, size: number): Float32Array {
  const out = new Float32Array(size);
  const b = (base(seed, stream, spec.kind === "const" ? 0 : step) + GOLDEN_RATIO) | 0;
  const fixed = (base(seed, stream + FIXED_STREAM, 0) + GOLDEN_RATIO) | 0;
  switch (spec.kind) {
    case "zero":
      break;
    case "ones":
      out.fill(1);
      break;
    case "uniform":
    case "const":
      for (let i = 0; i < size; i++) out[i] = spec.scale * uniform(mix((b + i) | 0));
      break;
    case "normal": {
      const offset = spec.offset ?? 0;
      for (let i = 0; i < size; i++) {
        const w1 = mix((b + i) | 0);
        const w2 = mix((w1 + GOLDEN_RATIO) | 0);
        const sum = (w1 & 0xffff) + (w1 >>> 16) + (w2 & 0xffff) + (w2 >>> 16);
        out[i] = (spec.scale * (sum - 131070)) / 65536 + offset;
      }
      break;
    }
    case "sparse":
      for (let i = 0; i < size; i++) {
        const w1 = mix((b + i) | 0);
        const w2 = mix((w1 + GOLDEN_RATIO) | 0);
        out[i] = ((w2 >>> 24) & 127) < spec.zero ? 0 : spec.scale * uniform(w1);
      }
      break;
    case "corr":
      for (let i = 0; i < size; i++) {
        out[i] = spec.scale * (uniform(mix((fixed + i) | 0)) + spec.noise * uniform(mix((b + i) | 0)));
      }
      break;
    case "wide":
    case "elem": {
      const bits = new Uint32Array(out.buffer);
      const exponents = spec.hi - spec.lo + 1;
      for (let i = 0; i < size; i++) {
        const w1 = mix((b + i) | 0);
        const w2 = mix((w1 + GOLDEN_RATIO) | 0);
        if (((w2 >>> 24) & 127) < spec.zero) continue;
        const r = spec.kind === "wide" ? (w2 >>> 8) & 0xffff : mix((fixed + i) | 0) >>> 16;
        const exponent = spec.lo + Math.floor((r * exponents) / 65536);
        bits[i] = (w2 & 0x80000000) | ((exponent + 127) << 23) | (w1 & 0x7fffff);
      }
      break;
    }
  }
  return out;
}

/** Initial values of parameter `index`. */
export function initialValues(spec: ValueSpec, seed: number, index: number, size: number): Float32Array {
  return generate(spec, seed, INIT_STREAM + index, 0, size);
}

/** Gradient of parameter `index` at `step`, counted from 1. */
export function gradient(spec: ValueSpec, seed: number, index: number, step: number, size: number): Float32Array {
  return generate(spec, seed, index, step, size);
}

/** Hash of nothing; pass it on through {@link hash} to hash a sequence of tensors. */
export const EMPTY_HASH = 0x811c9dc5;

/** FNV-1a over the float32 words of a tensor, going on from `h`. */
export function hash(values: Float32Array, h: number = EMPTY_HASH): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) h = Math.imul(h ^ bits[i]!, 0x01000193);
  return h >>> 0;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}
