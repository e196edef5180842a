import { elementCount } from "./prng.ts";
import { keepNumber, rms, type TensorState, type TwinRule, zeroSlot } from "./rule.ts";

type Options = {
  readonly convention?: "torch" | "transformers" | "timm";
  /** Of the squares and of the parameter's RMS; a first of 0 is the convention's own. */
  readonly eps?: readonly [number, number];
  readonly clipThreshold?: number;
  /** The means forget with 1 - t^-decayRate. */
  readonly decayRate?: number;
  /** 0: no momentum. Not torch's. */
  readonly beta1?: number;
  /** Step sizes that follow from t instead of lr. Not torch's, which takes the smaller of lr and 1 / sqrt(t). */
  readonly relativeStep?: boolean;
  readonly scaleParameter?: boolean;
  readonly warmupInit?: boolean;
  /** timm's only: matrices with a side of this size or less are not factored. */
  readonly minDimSizeToFactor?: number;
};

/** float32's machine epsilon, which is PyTorch's default. */
const MACHINE_EPS = 2 ** -23;

/**
 * Adafactor (Shazeer and Stern 2018): the mean of squares of a matrix as the product of those of its rows and of its columns, the
 * update clipped by its root mean square. fairseq's code in the versions of transformers and timm, and PyTorch's own.
 */
export const adafactor: TwinRule<Options> = {
  name: "adafactor",
  decayMode: "rule",
  lr: 0.01,
  weightDecay: 0,
  update(g, state, options, lr, { theta, shape, ruleDecay }) {
    const { convention = "torch", eps: [ownEps, parameterEps] = [0, 1e-3], clipThreshold = 1, beta1 = 0 } = options;
    const isTorch = convention === "torch";
    const eps = ownEps || (isTorch ? MACHINE_EPS : 1e-30);
    const keep = 1 - state.step ** -(options.decayRate ?? 0.8);
    const parameterScale = Math.max(parameterEps, rms(theta));
    const alpha = stepSize(options, state.step, lr) * (isTorch || scales(options) ? parameterScale : 1);
    if (convention === "transformers") keepNumber(state, "RMS", rms(theta));

    const names = isTorch ? TORCH_NAMES : FAIRSEQ_NAMES;
    const squares = g.map((x) => x * x + (isTorch ? 0 : eps));
    const v = meanSquares(squares, state, names, shape, foldedDims(options, shape), keep, isTorch ? eps : 0);
    const roots = v.map((x) => Math.sqrt(isTorch ? Math.max(x, eps * eps) : x));
    const u = g.map((gi, i) => gi / roots[i]!);
    const limited = Math.max(1, rms(u) / clipThreshold);
    const scaled = u.map((x) => (alpha * x) / limited);
    const m = beta1 > 0 ? zeroSlot(state, "exp_avg", g.length) : undefined;
    return scaled.map((x, i) => {
      if (m) m[i] = beta1 * m[i]! + (1 - beta1) * x;
      return (m ? m[i]! : x) + (isTorch ? lr : alpha) * ruleDecay * theta[i]!;
    });
  },
};

/** transformers scale always if asked to, timm only steps that are relative. */
function scales(options: Options): boolean {
  return (options.scaleParameter ?? true) && (options.convention === "transformers" || options.relativeStep === true);
}

/** rho_t, before the scale of the parameter. */
function stepSize(options: Options, t: number, lr: number): number {
  if (options.convention === undefined || options.convention === "torch") return Math.min(lr, 1 / Math.sqrt(t));
  if (!options.relativeStep) return lr;
  return Math.min(options.warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t));
}

/** Two dimensions, the one of the rows first; undefined where the tensor is not factored, or empty. */
function foldedDims({ convention, minDimSizeToFactor = 16 }: Options, shape: readonly number[]) {
  const rank = shape.length;
  if (elementCount(shape) === 0) return undefined;
  const last: [number, number] = [rank - 2, rank - 1];
  if (convention !== "timm") return rank < 2 ? undefined : last;
  // timm prefers the first two, which are the channels of a convolution, and folds nothing that is small.
  const pairs: [number, number][] = rank > 2 ? [[0, 1], last] : rank === 2 ? [last] : [];
  return pairs.find((dims) => dims.every((dim) => shape[dim]! > minDimSizeToFactor));
}

interface Names {
  readonly row: string;
  readonly column: string;
  readonly all: string;
}
const TORCH_NAMES: Names = { row: "row_var", column: "col_var", all: "variance" };
const FAIRSEQ_NAMES: Names = { row: "exp_avg_sq_row", column: "exp_avg_sq_col", all: "exp_avg_sq" };

/** Where the mean over dimension `dim` of each element of a tensor stands among all such means. */
function meanIndex(shape: readonly number[], dim: number): (i: number) => number {
  const inner = elementCount(shape.slice(dim + 1));
  const size = shape[dim]!;
  return (i) => Math.floor(i / (inner * size)) * inner + (i % inner);
}

function meansOver(values: Float64Array, shape: readonly number[], dim: number): Float64Array {
  const at = meanIndex(shape, dim);
  const means = new Float64Array(values.length / shape[dim]!);
  values.forEach((x, i) => {
    means[at(i)] = means[at(i)]! + x / shape[dim]!;
  });
  return means;
}

/** The mean of squares of each element: kept as it is, or as the product of a row's and a column's mean over that of both. */
function meanSquares(
  squares: Float64Array,
  state: TensorState,
  { row, column, all }: Names,
  shape: readonly number[],
  folded: readonly [number, number] | undefined,
  keep: number,
  least: number,
): Float64Array {
  const kept = (name: string, toward: Float64Array) => {
    const mean = zeroSlot(state, name, toward.length);
    toward.forEach((x, i) => {
      mean[i] = keep * mean[i]! + (1 - keep) * x;
    });
    return mean;
  };
  if (!folded) return kept(all, squares).slice();
  const [rowDim, columnDim] = folded;
  const rows = kept(row, meansOver(squares, shape, columnDim));
  const columns = kept(column, meansOver(squares, shape, rowDim));
  const rowShape = shape.toSpliced(columnDim, 1);
  const both = meansOver(rows, rowShape, rowDim);
  const [rowOf, columnOf, bothOf] = [
    meanIndex(shape, columnDim),
    meanIndex(shape, rowDim),
    meanIndex(rowShape, rowDim),
  ];
  return squares.map((_, i) => {
    const r = rowOf(i);
    return (rows[r]! * columns[columnOf(i)]!) / Math.max(both[bothOf(r)]!, least);
  });
}
