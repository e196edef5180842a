import { type NewtonSchulz, newtonSchulz, QUINTIC } from "./newton-schulz.ts";
import { elementCount } from "./prng.ts";
import { type TwinRule, zeroSlot } from "./rule.ts";

type Options = {
  readonly convention?: "keller-jordan" | "torch";
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly nsSteps?: number;
  readonly nsCoefficients?: readonly [number, number, number];
  readonly eps?: number;
  readonly adjustLrFn?: "original" | "match_rms_adamw" | "spectral_unclamped";
};

/**
 * Muon (Jordan et al. 2024): momentum whose singular values Newton and Schulz's iteration brings near 1. A tensor of three
 * dimensions is a batch of matrices; one of four, a convolution, is a matrix with one row per output.
 */
export const muon: TwinRule<Options> = {
  name: "muon",
  decayMode: "decoupled",
  weightDecay: 0.1,
  update(g, state, options, lr, { shape, round }) {
    const { convention = "torch", momentum = 0.95, nesterov = true, eps = 1e-7 } = options;
    const { nsSteps = 5, nsCoefficients = QUINTIC } = options;
    const b = zeroSlot(state, "momentum_buffer", g.length);
    const u = g.map((gi, i) => {
      b[i] = momentum * b[i]! + (1 - momentum) * gi;
      return nesterov ? (1 - momentum) * gi + momentum * b[i]! : b[i]!;
    });
    const cols = shape.length === 4 ? elementCount(shape.slice(1)) : shape.at(-1)!;
    const rows = shape.length === 4 ? shape[0]! : shape.at(-2)!;
    const iteration: NewtonSchulz = {
      rows,
      cols,
      polynomials: Array.from({ length: nsSteps }, () => nsCoefficients),
      eps,
      normalization: convention === "torch" ? "max" : "add",
    };
    const out = new Float64Array(g.length);
    const size = rows * cols;
    for (let at = 0; at < g.length; at += size) out.set(newtonSchulz(u.subarray(at, at + size), iteration, round), at);
    const scale = lr * scaleOf(options, shape);
    return out.map((x) => scale * x);
  },
};

/** How the step grows with the shape: by its last two dimensions, of convolutions too. */
function scaleOf({ adjustLrFn = "original" }: Options, shape: readonly number[]): number {
  const [rows, cols] = [shape.at(-2)!, shape.at(-1)!];
  if (adjustLrFn === "match_rms_adamw") return 0.2 * Math.sqrt(Math.max(rows, cols));
  return Math.sqrt(adjustLrFn === "original" ? Math.max(1, rows / cols) : rows / cols);
}
