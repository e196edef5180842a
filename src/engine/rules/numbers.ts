/** Numbers that several rules need, in float64. */
import { OptionError } from "../../errors.ts";

/** The smallest normal float32. With eps = 0 a weight that never had a gradient would become 0 / 0; so it stays. */
export const SMALLEST: number = 2 ** -126;

/** 1 - beta^t without cancellation. */
export function oneMinusPower(beta: number, t: number): number {
  return beta === 0 ? 1 : -Math.expm1(t * Math.log(beta));
}

/** The t from which 1 - beta^t is 1 in float32. */
export function correctionEnds(beta: number): number {
  return powerEnds(beta, 2 ** -26);
}

/** The t from which beta^t is at most `limit`; at least 1. */
export function powerEnds(beta: number, limit: number): number {
  return beta === 0 ? 1 : Math.max(1, Math.ceil(Math.log(limit) / Math.log(beta)));
}

/** rho_t: how long a simple average would be that has the same center of mass. In float32 it would lose three digits. */
export function simpleAverageLength(beta2: number, t: number): number {
  return 2 / (1 - beta2) - 1 - (2 * t * beta2 ** t) / oneMinusPower(beta2, t);
}

/** Refuses what is not below 1. @throws {OptionError} */
export function checkDecayRates(where: string, rates: Readonly<Record<string, number | readonly number[]>>): void {
  for (const [name, given] of Object.entries(rates)) {
    const list = typeof given === "number" ? [given] : given;
    list.forEach((rate, i) => {
      if (rate >= 1) throw new OptionError(where, list === given ? `${name}[${i}]` : name, "must be in [0, 1)", rate);
    });
  }
}

/** What rules with Adam's two moments have in their group records, in this order. */
export function momentHyper({
  betas: [beta1, beta2],
  eps,
}: {
  readonly betas: readonly [number, number, ...number[]];
  readonly eps: number;
}): Record<"beta1" | "one_minus_beta1" | "beta2" | "one_minus_beta2" | "eps", number> {
  return { beta1, one_minus_beta1: 1 - beta1, beta2, one_minus_beta2: 1 - beta2, eps: Math.max(eps, SMALLEST) };
}
