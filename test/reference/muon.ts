import { elementCount } from "./prng.ts";
import { length, type TwinRule, zeroSlot } from "./rule.ts";

type Triple = readonly [number, number, number];

type Options = {
  readonly convention?: "keller-jordan" | "torch";
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly nsSteps?: number;
  readonly nsCoefficients?: Triple;
  readonly eps?: number;
  /** torch's only. */
  readonly adjustLrFn?: "original" | "match_rms_adamw" | "spectral_unclamped";
};

const QUINTIC: Triple = [3.4445, -4.775, 2.0315];

/**
 * Muon (Jordan et al. 2024): momentum whose singular values Newton and Schulz's iteration brings near 1. A tensor of three
 * dimensions is a batch of matrices; one of four, a convolution, is a matrix with one row per output.
 */
export const muon: TwinRule<Options> = {
  name: "muon",
  decayMode: "decoupled",
  weightDecay: 0.1,
  update(g, state, options, lr, { shape }) {
    const { convention = "torch", momentum = 0.95, nesterov = true, eps = 1e-7 } = options;
    const { nsSteps = 5, nsCoefficients = QUINTIC } = options;
    const b = zeroSlot(state, "momentum_buffer", g.length);
    const u = g.map((gi, i) => {
      b[i] = momentum * b[i]! + (1 - momentum) * gi;
      return nesterov ? (1 - momentum) * gi + momentum * b[i]! : b[i]!;
    });
    const cols = shape.length === 4 ? elementCount(shape.slice(1)) : shape.at(-1)!;
    const rows = shape.length === 4 ? shape[0]! : shape.at(-2)!;
    const out = new Float64Array(g.length);
    for (let at = 0; at < g.length; at += rows * cols) {
      const matrix = u.subarray(at, at + rows * cols);
      const norm = length(matrix);
      const divisor = convention === "torch" ? Math.max(norm, eps) : norm + eps;
      const x = matrix.map((m) => m / divisor);
      out.set(orthogonalized(x, rows, cols, nsSteps, nsCoefficients), at);
    }
    const scale = lr * scaleOf(options, shape);
    return out.map((x) => scale * x);
  },
};

/** How the step grows with the shape. Keller Jordan's looks at the last two dimensions, of convolutions too. */
function scaleOf({ convention = "torch", adjustLrFn = "original" }: Options, shape: readonly number[]): number {
  const [rows, cols] = [shape.at(-2)!, shape.at(-1)!];
  if (convention === "torch" && adjustLrFn === "match_rms_adamw") return 0.2 * Math.sqrt(Math.max(rows, cols));
  if (convention === "torch" && adjustLrFn === "spectral_unclamped") return Math.sqrt(rows / cols);
  return Math.sqrt(Math.max(1, rows / cols));
}

/** X <- a X + (b A + c A A) X with A = X X', on the transpose where that has fewer rows. */
function orthogonalized(x: Float64Array, rows: number, cols: number, steps: number, [a, b, c]: Triple): Float64Array {
  if (rows > cols)
    return transposed(orthogonalized(transposed(x, rows, cols), cols, rows, steps, [a, b, c]), cols, rows);
  let result = x;
  for (let step = 0; step < steps; step++) {
    const gram = product(result, transposed(result, rows, cols), rows, cols, rows);
    const square = product(gram, gram, rows, rows, rows);
    const mixed = gram.map((y, i) => b * y + c * square[i]!);
    const turned = product(mixed, result, rows, rows, cols);
    result = result.map((y, i) => a * y + turned[i]!);
  }
  return result;
}

function transposed(x: Float64Array, rows: number, cols: number): Float64Array {
  return x.map((_, i) => x[(i % rows) * cols + Math.floor(i / rows)]!);
}

/** Of a matrix of rows x inner and one of inner x cols. */
function product(x: Float64Array, y: Float64Array, rows: number, inner: number, cols: number): Float64Array {
  const out = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    for (let k = 0; k < inner; k++) {
      for (let col = 0; col < cols; col++) {
        out[r * cols + col] = out[r * cols + col]! + x[r * inner + k]! * y[k * cols + col]!;
      }
    }
  }
  return out;
}
