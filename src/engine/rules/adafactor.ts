/** Row of the table of rules: Adafactor. */
import adafactorWgsl from "../../../shaders/rules/adafactor.wgsl?raw";
import { OptionError } from "../../errors.ts";
import { defineRule, type ExtraState, type Rule } from "../rule.ts";
import { checkDecayRates, SMALLEST } from "./numbers.ts";

/** Options of {@link adafactor}. `convention` and `minDimSizeToFactor` are settled at creation. */
export type AdafactorOptions = {
  /** Whose: `torch`, `transformers` or `timm`. Default `torch`. */
  convention: "torch" | "transformers" | "timm";
  /** Of the squares, and the least root mean square of a parameter; a first of 0 is the convention's own (2^-23, 1e-30). Default [0, 1e-3]. */
  eps: readonly [number, number];
  /** d: updates of a larger root mean square are scaled down to it; > 0, default 1. */
  clipThreshold: number;
  /** The means forget with 1 - t^-decayRate; default 0.8. */
  decayRate: number;
  /** Momentum, in [0, 1); default 0, none. Not PyTorch's. */
  beta1: number;
  /** fairseq's: min(1e-2, 1 / sqrt(t)) in the place of lr; default false. */
  relativeStep: boolean;
  /** fairseq's: scale steps by the root mean square of the parameter (timm: only relative ones); default true. */
  scaleParameter: boolean;
  /** fairseq's: relative steps begin as 1e-6 t; default false. */
  warmupInit: boolean;
  /** timm's: matrices with a side of this size or less are not factored; default 16. */
  minDimSizeToFactor: number;
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

const product = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1);

/** The dimension of the rows; that of the columns is the next. Undefined where a tensor is not factored. */
function rowDimension(
  { convention, minDimSizeToFactor }: AdafactorOptions,
  shape: readonly number[],
): number | undefined {
  const rank = shape.length;
  if (rank < 2 || product(shape) === 0) return undefined;
  if (convention !== "timm") return rank - 2;
  // timm prefers the first two, which are the channels of a convolution, and factors nothing that is small.
  const dims = rank > 2 ? [0, rank - 2] : [0];
  return dims.find((d) => [d, d + 1].every((i) => (shape[i] as number) > minDimSizeToFactor));
}

function extraState(options: AdafactorOptions, shape: readonly number[]): ExtraState {
  const torch = options.convention === "torch";
  const row = rowDimension(options, shape);
  if (row === undefined)
    return {
      parts: [{ name: torch ? "variance" : "exp_avg_sq", at: 0, size: product(shape) }],
      elements: product(shape),
    };
  const outer = product(shape.slice(0, row));
  const inner = product(shape.slice(row + 2));
  const [rows, cols] = [shape[row] as number, shape[row + 1] as number];
  const [ofRows, ofCols] = [outer * rows * inner, outer * cols * inner];
  return {
    parts: [
      { name: torch ? "row_var" : "exp_avg_sq_row", at: 0, size: ofRows },
      { name: torch ? "col_var" : "exp_avg_sq_col", at: ofRows, size: ofCols },
    ],
    elements: ofRows + ofCols,
    factored: { rows, cols, inner },
  };
}

/**
 * Adafactor: second moments of a matrix as the product of those of its rows and its columns, so that state is rows + cols numbers
 * instead of rows x cols; updates clipped by their root mean square. In three conventions: `torch.optim.Adafactor`,
 * `transformers.Adafactor` (whose defaults are relativeStep true and no lr), timm's (convolutions factored over their channels).
 * Decay is `rule` by default: theta <- theta (1 - lr lambda), fairseq's with its own step size for lr; lr 1e-2, weightDecay 0.
 * Shazeer & Stern (2018), arXiv:1804.04235.
 *
 * @throws {OptionError}
 */
export const adafactor: (options?: Partial<AdafactorOptions>) => Rule = /* @__PURE__ */ defineRule<AdafactorOptions>({
  name: "adafactor",
  wgsl: adafactorWgsl,
  defaults: {
    convention: "torch",
    eps: [0, 1e-3],
    clipThreshold: 1,
    decayRate: 0.8,
    beta1: 0,
    relativeStep: false,
    scaleParameter: true,
    warmupInit: false,
    minDimSizeToFactor: 16,
    maximize: false,
  },
  choices: { convention: ["torch", "transformers", "timm"] },
  fixed: ["convention", "minDimSizeToFactor"],
  decayMode: "rule",
  lr: 1e-2,
  slots: ["exp_avg"],
  usesSlot: (_slot, o) => o.beta1 > 0,
  extraState,
  opens: true,
  prepares: "sums",
  settles: "tensor",
  numbers: [undefined, undefined, "RMS"],
  hyper: ({ convention, eps: [own, eps2], clipThreshold, beta1, relativeStep, scaleParameter }) => ({
    torch: Number(convention === "torch"),
    eps1: Math.max(SMALLEST, own > 0 ? own : convention === "torch" ? 2 ** -23 : 1e-30),
    eps2,
    threshold: clipThreshold,
    beta1,
    one_minus_beta1: 1 - beta1,
    relative: Number(relativeStep),
    scaled: Number(convention === "torch" || (scaleParameter && (convention === "transformers" || relativeStep))),
  }),
  stepRow: ({ convention, decayRate, warmupInit }, t) => {
    const take = t ** -decayRate;
    const most = 1 / Math.sqrt(t);
    const rho = convention === "torch" ? most : Math.min(warmupInit ? 1e-6 * t : 1e-2, most);
    return { keep: 1 - take, take, rho };
  },
  lastStepRow: () => Infinity,
  overrides: (groups) => ({ MOMENTUM: Number(groups.some((o) => o.beta1 > 0)) }),
  check: (where, { beta1, clipThreshold, decayRate, minDimSizeToFactor }) => {
    checkDecayRates(where, { beta1 });
    if (!(Math.fround(clipThreshold) >= SMALLEST))
      throw new OptionError(where, "clipThreshold", "must be a float32 > 0", clipThreshold);
    if (decayRate > 100) throw new OptionError(where, "decayRate", "must be in [0, 100]", decayRate);
    if (!Number.isInteger(minDimSizeToFactor))
      throw new OptionError(where, "minDimSizeToFactor", "must be a whole number >= 0", minDimSizeToFactor);
  },
});
