import { type TwinRule, zeroSlot } from "./rule.ts";

type Options = { readonly betas?: readonly [number, number]; readonly eps?: number };

/** Length of the approximated simple moving average (Liu et al. 2020), at step t and in the limit. */
export function averageLength(beta2: number, t: number): { rho: number; limit: number } {
  const limit = 2 / (1 - beta2) - 1;
  return { rho: limit - (2 * t * beta2 ** t) / (1 - beta2 ** t), limit };
}

/** The rectification term r_t; only where rho > 4. */
export function rectifier({ rho, limit }: { rho: number; limit: number }): number {
  return Math.sqrt((((rho - 4) / (limit - 4)) * ((rho - 2) / (limit - 2)) * limit) / rho);
}

/** RAdam (Liu et al. 2020) as PyTorch has it: rectified where rho_t > 5, eps beside the root of the uncorrected v. */
export const radam: TwinRule<Options> = {
  name: "radam",
  decayMode: "coupled",
  weightDecay: 0,
  update(g, state, { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8 }, lr) {
    const m = zeroSlot(state, "exp_avg", g.length);
    const v = zeroSlot(state, "exp_avg_sq", g.length);
    const length = averageLength(beta2, state.step);
    return g.map((gi, i) => {
      m[i] = beta1 * m[i]! + (1 - beta1) * gi;
      v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
      const mean = m[i]! / (1 - beta1 ** state.step);
      if (!(length.rho > 5)) return lr * mean;
      return (lr * mean * rectifier(length) * Math.sqrt(1 - beta2 ** state.step)) / (Math.sqrt(v[i]!) + eps);
    });
  },
};
