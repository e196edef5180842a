/**
 * Newton-Schulz orthogonalization, as data: which kernels run on which memory, in which order.
 *
 *   X = u / (|u| + eps)        then, for each polynomial (a, b, c):        A = X X^T,  B = b A + c A A,  X <- a X + B X
 *
 * with X^T X and X B in the place of X X^T and B X where a matrix has more rows than columns. Beside X its transpose T is kept:
 * then every product has the same form, L^T R, which reads both memory and caches in their order.
 * Source: Keller Jordan, https://kellerjordan.github.io/posts/muon, and `torch.optim.Muon`.
 */
import type { Kernel } from "./kernel.ts";
import { type FieldName, type Layout, Words } from "./layouts.ts";
import { MATRICES_RECORD, NORM, NORMALIZE, PRODUCT, PRODUCT_RECORD, SOURCES, STORES } from "./newton-schulz.ts";
import type { WgslFile } from "./wgsl.ts";

/** Coefficients (a, b, c) of one step. */
export type Polynomial = readonly [a: number, b: number, c: number];

/** `batch` matrices of equal shape, one after the other. */
export interface Matrices {
  /** Where the first one begins, in elements; a multiple of 64. */
  readonly offset: number;
  readonly rows: number;
  readonly cols: number;
  /** Default 1. */
  readonly batch?: number;
  /** One for each step, at least one. */
  readonly polynomials: readonly Polynomial[];
  readonly eps: number;
  /** Divide by |u| + eps (Keller Jordan) or by max(|u|, eps) (PyTorch). */
  readonly normalization: "add" | "max";
}

/** Where matrices lie: with the caller, or in the scratch. X is in `x0`, `x1`, its transpose in `t0`, `t1`, A in `gram`, B in `polynomial`. */
export type Place = "matrices" | "x0" | "x1" | "t0" | "t1" | "gram" | "polynomial";

/** A kernel with what is linked in and its overrides. Equal names mean equal pipelines. */
export interface Variant {
  readonly name: string;
  readonly kernel: Kernel;
  readonly links: Readonly<Record<string, WgslFile>>;
  readonly constants: Readonly<Record<string, number>>;
}

/** One dispatch. */
export interface PlannedDispatch {
  readonly variant: Variant;
  readonly record: Words;
  /** What is bound where; `table` and `partials` are bound as such. */
  readonly places: Readonly<Record<string, Place>>;
  readonly workgroups: readonly [x: number, y: number, z: number];
}

/** Everything about a set of matrices but GPU objects. */
export interface NewtonSchulzPlan {
  readonly dispatches: readonly PlannedDispatch[];
  /** Where matrices begin, in elements. */
  readonly table: Uint32Array<ArrayBuffer>;
  /** Bytes; 0 for what is not needed. */
  readonly scratch: Readonly<Record<Exclude<Place, "matrices"> | "partials", number>>;
}

/** What shapes a plan. */
export interface PlanOptions {
  readonly maxComputeWorkgroupsPerDimension: number;
  /** Matrices that need more scratch than this in one buffer are worked on in several batches. */
  readonly maxScratchBytes: number;
  /** Invocations per workgroup: a power of two, at most 64. */
  readonly workgroup: number;
}

const MOST_PARTS = 16;
const QUADS_PER_INVOCATION = 64;
const upTo4 = (n: number): number => Math.ceil(n / 4) * 4;

/** Plans the dispatches: matrices that differ only in where they lie share theirs. */
export function planNewtonSchulz(matrices: readonly Matrices[], options: PlanOptions): NewtonSchulzPlan {
  const planner = new Planner(options);
  const classes = new Map<string, Matrices[]>();
  for (const each of matrices) {
    const { rows, cols, polynomials, eps, normalization } = each;
    const key = JSON.stringify([rows, cols, polynomials, eps, normalization]);
    classes.set(key, [...(classes.get(key) ?? []), each]);
  }
  for (const members of classes.values()) {
    const offsets = members.flatMap(({ offset, rows, cols, batch = 1 }) =>
      Array.from({ length: batch }, (_, i) => offset + i * rows * cols),
    );
    planner.addClass(members[0] as Matrices, offsets);
  }
  return planner.plan();
}

/** A matrix for each of a batch, somewhere in memory. */
interface View {
  readonly place: Place;
  /** Place of the first one in the table. */
  readonly first: number;
  /** Of a row, in elements. */
  readonly stride: number;
}

/** What a product reads and writes: result = alpha addend + beta left^T right, and its transpose in `mirror`. */
interface Terms {
  readonly left: View;
  readonly right: View;
  readonly addend?: View;
  readonly result: View;
  readonly mirror?: View;
  readonly alpha?: number;
  readonly beta: number;
  /** Scratch to bind where there is no mirror: any that is not bound already. */
  readonly unused: Place;
}

class Planner {
  readonly #options: PlanOptions;
  readonly #dispatches: PlannedDispatch[] = [];
  readonly #table: number[] = [];
  readonly #scratch = { x0: 0, x1: 0, t0: 0, t1: 0, gram: 0, polynomial: 0, partials: 0 };

  constructor(options: PlanOptions) {
    this.#options = options;
  }

  plan(): NewtonSchulzPlan {
    return { dispatches: this.#dispatches, table: new Uint32Array(this.#table), scratch: this.#scratch };
  }

  addClass(shape: Matrices, offsets: readonly number[]): void {
    const { rows, cols } = shape;
    const bytes = 4 * Math.max(rows * upTo4(cols), cols * upTo4(rows));
    const { maxScratchBytes, maxComputeWorkgroupsPerDimension } = this.#options;
    const most = Math.max(1, Math.min(maxComputeWorkgroupsPerDimension, Math.floor(maxScratchBytes / bytes)));
    for (let i = 0; i < offsets.length; i += most) this.#addBatch(shape, offsets.slice(i, i + most));
  }

  #addBatch(shape: Matrices, offsets: readonly number[]): void {
    const { rows, cols, polynomials } = shape;
    const count = offsets.length;
    const tall = rows > cols;
    const small = Math.min(rows, cols);
    const storage = cols % 4 === 0 ? "quads" : "floats";

    const caller: View = { place: "matrices", first: this.#enter(offsets), stride: cols };
    const inScratch = (place: Exclude<Place, "matrices">, height: number, width: number): View => {
      const size = height * upTo4(width);
      this.#scratch[place] = Math.max(this.#scratch[place], 4 * size * count);
      return { place, first: this.#enter(offsets.map((_, i) => i * size)), stride: upTo4(width) };
    };
    const gram = inScratch("gram", small, small);
    const polynomial = inScratch("polynomial", small, small);
    const x0 = inScratch("x0", rows, cols);
    const t0 = inScratch("t0", cols, rows);
    // X goes to and fro and ends with the caller, and so does its transpose where products read it. A step cannot write what it
    // reads, and rows that are no whole quads cannot be read as such: only then is a second scratch needed for X.
    const steps = polynomials.length;
    const homeOfX = (step: number): View => {
      if (step === steps) return caller;
      if ((steps - step) % 2 === 1) return x0;
      return storage === "quads" && step > 0 ? caller : inScratch("x1", rows, cols);
    };
    const homeOfT = (step: number): View => (tall && step % 2 === 1 ? inScratch("t1", cols, rows) : t0);

    let x = homeOfX(0);
    let t = t0;
    this.#addNormalization(shape, count, caller, x, t);
    polynomials.forEach(([a, b, c], step) => {
      const size = { rows: small, cols: small };
      const read = tall ? x : t;
      this.#addProduct(
        count,
        "quads",
        { ...size, depth: Math.max(rows, cols) },
        { left: read, right: read, result: gram, beta: 1, unused: "polynomial" },
      );
      this.#addProduct(
        count,
        "quads",
        { ...size, depth: small },
        { left: gram, right: gram, addend: gram, result: polynomial, alpha: b, beta: c, unused: "t0" },
      );
      const last = step + 1 === steps;
      const result = homeOfX(step + 1);
      const mirror = last ? undefined : homeOfT(step + 1);
      // B is its own transpose.
      this.#addProduct(
        count,
        last ? storage : "quads",
        { rows, cols, depth: small },
        {
          left: tall ? t : polynomial,
          right: tall ? polynomial : x,
          addend: x,
          result,
          ...(mirror && { mirror }),
          alpha: a,
          beta: 1,
          unused: "gram",
        },
      );
      x = result;
      t = mirror ?? t;
    });
  }

  #addNormalization(shape: Matrices, count: number, source: View, x: View, t: View): void {
    const { rows, cols, eps, normalization } = shape;
    const { workgroup, maxComputeWorkgroupsPerDimension } = this.#options;
    const quads = (rows * upTo4(cols)) / 4;
    const groups = Math.min(Math.ceil(quads / (workgroup * QUADS_PER_INVOCATION)), maxComputeWorkgroupsPerDimension);
    const parts = Math.min(groups, MOST_PARTS);
    this.#scratch.partials = Math.max(this.#scratch.partials, parts * count * 8);
    const storage = cols % 4 === 0 ? "quads" : "floats";
    const record = words(MATRICES_RECORD, {
      rows,
      cols,
      source: source.first,
      normalized: x.first,
      transposed: t.first,
      parts,
      eps,
    });
    const links = { source: SOURCES[storage] };
    const WORKGROUP_SIZE = workgroup;
    this.#dispatches.push(
      {
        variant: { name: `norm ${storage}`, kernel: NORM, links, constants: { WORKGROUP_SIZE } },
        record,
        places: { source: source.place },
        workgroups: [parts, 1, count],
      },
      {
        variant: {
          name: `normalize ${storage} ${normalization}`,
          kernel: NORMALIZE,
          links,
          constants: { WORKGROUP_SIZE, MAXIMUM: Number(normalization === "max") },
        },
        record,
        places: { source: source.place, normalized: x.place, transposed: t.place },
        workgroups: [groups, 1, count],
      },
    );
  }

  #addProduct(
    count: number,
    store: keyof typeof STORES,
    size: { readonly rows: number; readonly cols: number; readonly depth: number },
    terms: Terms,
  ): void {
    const { left, right, addend, result, mirror, alpha = 0, beta, unused } = terms;
    // Both kinds of symmetric results, A and B, come of a matrix times itself.
    const symmetric = left === right;
    const added = addend ?? left;
    const record = words(PRODUCT_RECORD, {
      ...size,
      left: left.first,
      right: right.first,
      addend: added.first,
      result: result.first,
      mirror: mirror?.first ?? 0,
      left_stride: left.stride / 4,
      right_stride: right.stride / 4,
      addend_stride: added.stride / 4,
      result_stride: store === "quads" ? result.stride / 4 : result.stride,
      mirror_stride: (mirror?.stride ?? 0) / 4,
      alpha,
      beta,
    });
    const { workgroup, maxComputeWorkgroupsPerDimension: most } = this.#options;
    const WORKGROUP_X = Math.min(8, workgroup);
    const WORKGROUP_Y = workgroup / WORKGROUP_X;
    const flags = {
      SYMMETRIC: Number(symmetric),
      ADD: Number(addend !== undefined),
      MIRROR: Number(mirror !== undefined),
    };
    this.#dispatches.push({
      variant: {
        name: `product to ${store} ${Object.values(flags).join("")}`,
        kernel: PRODUCT,
        links: { store: STORES[store] },
        constants: { WORKGROUP_X, WORKGROUP_Y, ...flags },
      },
      record,
      places: {
        left: left.place,
        right: right.place,
        addend: added.place,
        result: result.place,
        mirror: mirror?.place ?? unused,
      },
      workgroups: [
        Math.min(Math.ceil(size.cols / (8 * WORKGROUP_X)), most),
        Math.min(Math.ceil(size.rows / (8 * WORKGROUP_Y)), most),
        count,
      ],
    });
  }

  #enter(offsets: readonly number[]): number {
    return this.#table.push(...offsets) - offsets.length;
  }
}

function words<L extends Layout>(layout: L, values: Readonly<Record<FieldName<L>, number>>): Words {
  const record = new Words(layout.length);
  record.write(layout, 0, values);
  return record;
}
