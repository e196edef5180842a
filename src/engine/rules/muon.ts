/** Muon: the row of the table of rules, and the usual split with AdamW for what is no matrix. */
import muonWgsl from "../../../shaders/rules/muon.wgsl?raw";
import { OptionError } from "../../errors.ts";
import { checkKeys } from "../checks.ts";
import { checkMatch, GROUP_OPTIONS, type Match, matches, type RuleSpec, type TensorInfo } from "../groups.ts";
import { defineRule, type Rule } from "../rule.ts";
import { type AdamOptions, adamw } from "./adam.ts";
import { checkDecayRates } from "./numbers.ts";

/** Options of {@link muon}. All but `momentum`, `nesterov` and `maximize` are settled at creation. */
export type MuonOptions = {
  /** mu, in [0, 1); default 0.95. */
  momentum: number;
  /** Default true. */
  nesterov: boolean;
  /** Steps of the iteration, 1 to 99; default 5. */
  nsSteps: number;
  /** a, b, c of every step, finite; default [3.4445, -4.775, 2.0315]. */
  nsCoefficients: readonly [number, number, number];
  /** Of the normalization before the iteration; >= 0, default 1e-7. */
  eps: number;
  /**
   * How the step grows with the shape, by the words of `torch.optim.Muon`: `original`, sqrt(max(1, rows / cols));
   * `match_rms_adamw`, 0.2 sqrt(max(rows, cols)), so that learning rates and decay of AdamW fit; `spectral_unclamped`,
   * sqrt(rows / cols). Default `original`.
   */
  adjustLrFn: "original" | "match_rms_adamw" | "spectral_unclamped";
  /** Whose: `torch`, u / max(norm(u), eps), or `keller-jordan`, u / (norm(u) + eps). Default `torch`. */
  convention: "torch" | "keller-jordan";
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/** Rows and columns that the iteration sees: a convolution's kernel is one matrix, [out, in * kh * kw]; of three dimensions the first counts matrices. */
function matrixOf(shape: readonly number[]): { rows: number; cols: number; batch: number } {
  const product = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1);
  if (shape.length === 3) return { rows: shape[1] as number, cols: shape[2] as number, batch: shape[0] as number };
  return { rows: shape[0] as number, cols: product(shape.slice(1)), batch: 1 };
}

/** r: of the last two dimensions, for convolutions too, as in the published code. */
function scaleOf({ adjustLrFn }: MuonOptions, shape: readonly number[]): number {
  const rows = shape.at(-2) as number;
  const cols = shape.at(-1) as number;
  if (adjustLrFn === "match_rms_adamw") return 0.2 * Math.sqrt(Math.max(rows, cols));
  return Math.sqrt(adjustLrFn === "original" ? Math.max(1, rows / cols) : rows / cols);
}

/**
 * Muon, for matrices: b <- mu b + (1 - mu) g, u = (1 - mu) g + mu b (Nesterov), X = Newton-Schulz(u), theta <- theta - lr r X.
 * Convolution kernels are seen as [out, in kh kw], three dimensions as a batch of matrices. For tensors of one dimension use another
 * rule: see {@link muonWithAuxAdam}. Decay is `decoupled` by default, lr 1e-3, weightDecay 0.1, as `torch.optim.Muon`; Keller
 * Jordan's has lr 0.02 and weightDecay 0. The published code iterates in bfloat16, this in float32.
 * Jordan et al. (2024), https://kellerjordan.github.io/posts/muon.
 *
 * @throws {OptionError}
 */
export const muon: (options?: Partial<MuonOptions>) => Rule = /* @__PURE__ */ defineRule<MuonOptions>({
  name: "muon",
  wgsl: muonWgsl,
  defaults: {
    momentum: 0.95,
    nesterov: true,
    nsSteps: 5,
    nsCoefficients: [3.4445, -4.775, 2.0315],
    eps: 1e-7,
    adjustLrFn: "original",
    convention: "torch",
    maximize: false,
  },
  choices: {
    adjustLrFn: ["original", "match_rms_adamw", "spectral_unclamped"],
    convention: ["torch", "keller-jordan"],
  },
  signed: ["nsCoefficients"],
  fixed: ["nsSteps", "nsCoefficients", "eps", "adjustLrFn", "convention"],
  weightDecay: 0.1,
  slots: ["momentum_buffer", "update"],
  scratch: ["update"],
  prepares: "state",
  hyper: ({ momentum, nesterov }) => ({
    momentum,
    one_minus_momentum: 1 - momentum,
    nesterov: Number(nesterov),
  }),
  check: (where, { momentum, nsSteps }) => {
    checkDecayRates(where, { momentum });
    if (!Number.isInteger(nsSteps) || nsSteps < 1 || nsSteps > 99)
      throw new OptionError(where, "nsSteps", "must be a whole number in [1, 99]", nsSteps);
  },
  refuses: (shape) => (shape.length < 2 ? "must have at least two dimensions: give it another rule" : undefined),
  numbersOf: (options, shape) => [scaleOf(options, shape)],
  orthogonalizes: {
    slot: "update",
    matrices: ({ nsSteps, nsCoefficients, eps, convention }, shape) => ({
      ...matrixOf(shape),
      polynomials: Array.from({ length: nsSteps }, () => nsCoefficients),
      eps,
      normalization: convention === "torch" ? "max" : "add",
    }),
  },
});

/** Options of {@link muonWithAuxAdam}. */
export interface MuonWithAuxAdamOptions {
  /** For the matrices: options of {@link muon}, and of a group. */
  readonly muon?: Partial<MuonOptions> & Omit<RuleSpec, "match" | "rule">;
  /** For the rest: options of `adamw`, and of a group. */
  readonly adamw?: Partial<AdamOptions> & Omit<RuleSpec, "match" | "rule">;
  /** Which matrices follow AdamW all the same; default embeddings and output layers by their usual names. */
  readonly aux?: Match;
}

const AUX = /(^|[._/])(\w*emb(ed(ding)?s?)?|wte|wpe|lm_head|head|classifier|unembed\w*)([._/]|$)/i;
const MUON_OPTIONS = [
  "momentum",
  "nesterov",
  "nsSteps",
  "nsCoefficients",
  "eps",
  "adjustLrFn",
  "convention",
  "maximize",
];
const ADAM_OPTIONS = ["betas", "eps", "amsgrad", "maximize"];

/**
 * The usual split, as `MuonWithAuxAdam`: Muon for tensors of two and more dimensions, AdamW for all others, and for embeddings and
 * output layers by name.
 *
 * @returns `rules` for `createOptimizer`.
 * @throws {OptionError}
 */
export function muonWithAuxAdam(options: MuonWithAuxAdamOptions = {}): RuleSpec[] {
  const where = "muonWithAuxAdam";
  checkKeys(where, "", options, ["muon", "adamw", "aux"]);
  const { aux = AUX } = options;
  checkMatch(where, "aux", aux);
  const split = (option: "muon" | "adamw", own: readonly string[]) => {
    const { [option]: given = {} } = options;
    checkKeys(where, option, given, [...own, ...GROUP_OPTIONS, "name", "groups", "state"]);
    const entries = Object.entries(given);
    const of = (mine: boolean) => Object.fromEntries(entries.filter(([name]) => own.includes(name) === mine));
    return { hyper: of(true), group: of(false) };
  };
  const matrices = split("muon", MUON_OPTIONS);
  const rest = split("adamw", ADAM_OPTIONS);
  const isMatrix = (t: TensorInfo): boolean => t.shape.length >= 2 && !matches(aux, t);
  return [
    { match: isMatrix, rule: muon(matrices.hyper), ...matrices.group },
    { match: "*", rule: adamw(rest.hyper), ...rest.group },
  ];
}
