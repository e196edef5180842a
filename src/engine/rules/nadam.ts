/** A row of the table of rules: NAdam. */
import nadamWgsl from "../../../shaders/rules/nadam.wgsl?raw";
import { defineRule, type Rule } from "../rule.ts";
import { checkDecayRates, correctionEnds, momentHyper, oneMinusPower, powerEnds } from "./numbers.ts";

/** Options of {@link nadam}. */
export type NadamOptions = {
  /** beta1 and beta2 in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added outside the root, after the bias correction; >= 0, default 1e-8. */
  eps: number;
  /** psi, >= 0: how fast the momentum rises from beta1 / 2 to beta1; default 4e-3. */
  momentumDecay: number;
  /**
   * `torch`, or `torch-1.13` to continue runs of PyTorch before 2.0, which had mu_t twice in the product beside m: a defect, mended
   * there. Default `torch`.
   */
  convention: "torch" | "torch-1.13";
  /** Ascend instead of descend; default false. */
  maximize: boolean;
};

/**
 * NAdam, Adam with Nesterov momentum, as `torch.optim.NAdam`: mu_t = beta1 (1 - 0.96^(t psi) / 2), pi_t = mu_1 ... mu_t,
 * theta <- theta - lr ((1 - mu_t) / (1 - pi_t) g + mu_{t+1} / (1 - pi_{t+1}) m) / (sqrt(v) / sqrt(1 - beta2^t) + eps).
 * pi_t is that of the options of the moment, which are the same all along unless you change beta1 or psi on the way.
 * With decay `decoupled` it is PyTorch's `decoupled_weight_decay`. Decay is `coupled` by default, lr 2e-3. Dozat (2016).
 *
 * @throws {OptionError}
 */
export const nadam: (options?: Partial<NadamOptions>) => Rule = /* @__PURE__ */ defineRule<NadamOptions>({
  name: "nadam",
  wgsl: nadamWgsl,
  defaults: { betas: [0.9, 0.999], eps: 1e-8, momentumDecay: 4e-3, convention: "torch", maximize: false },
  choices: { convention: ["torch", "torch-1.13"] },
  lr: 2e-3,
  decayMode: "coupled",
  slots: ["exp_avg", "exp_avg_sq"],
  quantizes: { exp_avg: "signed", exp_avg_sq: "unsigned" },
  hyper: momentHyper,
  stepRow: ({ betas: [beta1, beta2], momentumDecay: psi, convention }, t) => {
    const twice = convention === "torch" ? 1 : momentum(beta1, psi, t);
    return {
      g_factor: (1 - momentum(beta1, psi, t)) / (1 - momentumProduct(beta1, psi, t)),
      m_factor: momentum(beta1, psi, t + 1) / (1 - twice * momentumProduct(beta1, psi, t + 1)),
      v_correction: 1 / Math.sqrt(oneMinusPower(beta2, t)),
    };
  },
  lastStepRow: ({ betas, momentumDecay: psi }) => {
    // 1 - mu_t, which may be as small as 1 - beta1, is the last to settle.
    const settled = psi === 0 ? 1 : powerEnds(0.96, (1 - betas[0]) * 2 ** -25) / psi;
    return Math.max(...betas.map(correctionEnds), Math.ceil(settled));
  },
  scalars: ({ betas: [beta1], momentumDecay }, t) => ({ mu_product: momentumProduct(beta1, momentumDecay, t) }),
  check: (where, { betas }) => checkDecayRates(where, { betas }),
});

/** mu_t. */
function momentum(beta1: number, psi: number, t: number): number {
  return beta1 * (1 - 0.5 * 0.96 ** (t * psi));
}

/** pi_0, pi_1, ... by beta1 and psi, so that one more row is one more factor; up to where they are nothing. */
const PRODUCTS: Map<string, number[]> = /* @__PURE__ */ new Map();
const KEPT = 16;
/** The smallest normal float64: below it a product with 0.9 may round to itself for ever. */
const NOTHING = 2 ** -1022;

/** pi_t = mu_1 mu_2 ... mu_t. */
function momentumProduct(beta1: number, psi: number, t: number): number {
  const key = `${beta1} ${psi}`;
  let known = PRODUCTS.get(key);
  if (known === undefined) {
    if (PRODUCTS.size >= KEPT) PRODUCTS.clear();
    known = [1];
    PRODUCTS.set(key, known);
  }
  for (let last = known.at(-1) as number; known.length <= t && last >= NOTHING; known.push(last))
    last *= momentum(beta1, psi, known.length);
  return known[t] ?? 0;
}
