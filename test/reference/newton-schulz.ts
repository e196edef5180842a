/**
 * Newton-Schulz orthogonalization, from Keller Jordan's text (https://kellerjordan.github.io/posts/muon) and the documentation
 * of `torch.optim.Muon`: on the transpose where there are more rows than columns, in float64.
 */

export interface NewtonSchulz {
  readonly rows: number;
  readonly cols: number;
  /** (a, b, c) of each step. */
  readonly polynomials: readonly (readonly [number, number, number])[];
  readonly eps: number;
  readonly normalization: "add" | "max";
}

/** The coefficients of Keller Jordan and of PyTorch. */
export const QUINTIC = [3.4445, -4.775, 2.0315] as const;

/**
 * @param round applied to every intermediate value: `Math.fround` shows what float32 costs. Default: none.
 */
export function newtonSchulz(
  u: ArrayLike<number>,
  { rows, cols, polynomials, eps, normalization }: NewtonSchulz,
  round: (x: number) => number = (x) => x,
): Float64Array {
  const tall = rows > cols;
  const [m, n] = tall ? [cols, rows] : [rows, cols];
  let squares = 0;
  for (let i = 0; i < rows * cols; i++) squares += u[i]! * u[i]!;
  const norm = round(Math.sqrt(squares));
  const divisor = normalization === "add" ? round(norm + eps) : Math.max(norm, eps);

  let x = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) x[i * n + j] = divisor && round(u[tall ? j * cols + i : i * cols + j]! / divisor);
  }
  for (const [a, b, c] of polynomials) {
    const gram = multiply(x, transpose(x, m, n), m, n, m, round);
    const square = multiply(gram, gram, m, m, m, round);
    const polynomial = gram.map((g, i) => round(round(b * g) + round(c * square[i]!)));
    const bx = multiply(polynomial, x, m, m, n, round);
    x = x.map((v, i) => round(round(a * v) + bx[i]!));
  }
  return tall ? transpose(x, m, n) : x;
}

/** The `rows x depth` matrix times the `depth x cols` one. */
function multiply(
  left: Float64Array,
  right: Float64Array,
  rows: number,
  depth: number,
  cols: number,
  round: (x: number) => number,
): Float64Array<ArrayBuffer> {
  const product = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < depth; k++) {
      const l = left[i * depth + k]!;
      for (let j = 0; j < cols; j++) {
        product[i * cols + j] = round(product[i * cols + j]! + round(l * right[k * cols + j]!));
      }
    }
  }
  return product;
}

function transpose(matrix: Float64Array, rows: number, cols: number): Float64Array<ArrayBuffer> {
  const result = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) result[j * rows + i] = matrix[i * cols + j]!;
  return result;
}
