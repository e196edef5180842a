import { slot, type TwinRule, zeroSlot } from "./rule.ts";

type Options = {
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  readonly momentumDecay?: number;
  /** PyTorch's before 2.0 has mu_t twice in the second product. */
  readonly convention?: "torch" | "torch-1.13";
};

/**
 * NAdam (Dozat 2016) as PyTorch has it since 2.0:
 *
 *     mu_t = beta1 (1 - 0.5 * 0.96^(t psi))
 *     u = lr [(1 - mu_t) / (1 - prod_(i<=t) mu_i) g + mu_(t+1) / (1 - prod_(i<=t+1) mu_i) m] / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * The product is of the momenta that the present options give, whatever the options were before.
 */
export const nadam: TwinRule<Options> = {
  name: "nadam",
  decayMode: "coupled",
  lr: 2e-3,
  weightDecay: 0,
  update(g, state, options, lr) {
    const { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8, momentumDecay = 4e-3, convention } = options;
    const m = zeroSlot(state, "exp_avg", g.length);
    const v = zeroSlot(state, "exp_avg_sq", g.length);
    const momentum = (t: number) => beta1 * (1 - 0.5 * 0.96 ** (t * momentumDecay));
    let product = 1;
    for (let t = 1; t <= state.step; t++) product *= momentum(t);
    slot(state, "mu_product", () => new Float64Array(1))[0] = product;
    const [now, next] = [momentum(state.step), momentum(state.step + 1)];
    return g.map((gi, i) => {
      m[i] = beta1 * m[i]! + (1 - beta1) * gi;
      v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
      const denominator = Math.sqrt(v[i]! / (1 - beta2 ** state.step)) + eps;
      const twice = convention === "torch-1.13" ? now : 1;
      return (lr * (((1 - now) / (1 - product)) * gi + (next / (1 - twice * product * next)) * m[i]!)) / denominator;
    });
  },
};
