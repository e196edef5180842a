import { slot, type TwinRule, zeroSlot } from "./rule.ts";

type Options = { readonly momentum?: number; readonly eps?: number };

/**
 * MADGRAD (Defazio and Jelassi 2021): dual averaging with the cube root of the summed squares, and the parameter as the moving
 * mean of its solution z. Without momentum the point it starts from is recovered from the parameter instead of being kept.
 */
export const madgrad: TwinRule<Options> = {
  name: "madgrad",
  decayMode: "coupled",
  lr: 0.01,
  weightDecay: 0,
  update(g, state, { momentum = 0.9, eps = 1e-6 }, lr, { theta }) {
    const squares = zeroSlot(state, "grad_sum_sq", g.length);
    const sum = zeroSlot(state, "s", g.length);
    const isKept = momentum !== 0;
    const solution = (i: number) => (sum[i] === 0 ? 0 : sum[i]! / (Math.cbrt(squares[i]!) + eps));
    const origin = isKept ? slot(state, "x0", () => theta.slice()) : theta.map((x, i) => x + solution(i));
    const weight = (lr + eps) * Math.sqrt(state.step);
    return g.map((gi, i) => {
      squares[i] = squares[i]! + weight * gi * gi;
      sum[i] = sum[i]! + weight * gi;
      const z = origin[i]! - solution(i);
      return (1 - momentum) * (theta[i]! - z);
    });
  },
};
