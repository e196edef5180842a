/**
 * Weight decay towards an anchor `a` (zero, unless the option `toward` says otherwise):
 *
 *     theta <- theta - (s u + d (theta - a) + clamp(theta - a, -kappa, kappa))
 *
 *     coupled      g <- g + lambda (theta - a) + l1 sign(theta - a) before the moments; s = 1, d = kappa = 0
 *     decoupled    s = 1, d = lr lambda              kappa = lr l1
 *     scheduled    s = 1, d = (lr / lr_0) lambda     kappa = (lr / lr_0) l1
 *     independent  s = 1, d = lambda                 kappa = l1
 *     rule         nothing here: the rule has lambda in its update, where its paper has it; kappa = lr l1
 *     proximal     theta <- a + soft(theta - u - a, lr l1) / (1 + lr lambda),
 *                  without l1 the same as s = 1 / (1 + lr lambda), d = lr lambda / (1 + lr lambda)
 *
 * `cautious` lets decay (d, l1 and the shrinking by s) act only on those elements that the update pulls towards the anchor as
 * well, u (theta - a) >= 0; the others take the plain step theta - u.
 */

export type DecayMode = "coupled" | "decoupled" | "scheduled" | "independent" | "proximal" | "rule";

export interface Decay {
  readonly mode: DecayMode;
  readonly lambda: number;
  readonly l1: number;
  readonly cautious: boolean;
  readonly lr: number;
  /** lr_0; only `scheduled` asks for it. */
  readonly referenceLr: number;
}

/** Coupled decay: changes the gradient; every other mode leaves it alone. */
export function coupleDecay(g: Float64Array, theta: Float64Array, anchor: Float64Array, decay: Decay): void {
  if (decay.mode !== "coupled") return;
  if (decay.cautious) throw new Error("cautious decay is not defined for the mode coupled: there is no update yet");
  for (let i = 0; i < g.length; i++) {
    const away = theta[i]! - anchor[i]!;
    g[i] = g[i]! + decay.lambda * away + decay.l1 * Math.sign(away);
  }
}

/** Subtracts the update from the parameters, together with what the uncoupled modes take away. */
export function applyUpdate(theta: Float64Array, u: Float64Array, anchor: Float64Array, decay: Decay): void {
  const { mode, cautious } = decay;
  const factor = lrFactor(decay);
  const kappa = factor * decay.l1;
  const x = mode === "rule" ? 0 : factor * decay.lambda;
  const [s, d] = mode === "proximal" ? [1 / (1 + x), x / (1 + x)] : [1, x];
  for (let i = 0; i < theta.length; i++) {
    const away = theta[i]! - anchor[i]!;
    if (cautious && u[i]! * away < 0) {
      theta[i] = theta[i]! - u[i]!;
    } else if (mode === "proximal" && kappa > 0) {
      const stepped = away - u[i]!;
      theta[i] = anchor[i]! + s * (stepped - clamp(stepped, kappa));
    } else {
      theta[i] = theta[i]! - (s * u[i]! + d * away + clamp(away, kappa));
    }
  }
}

/** What lambda and l1 are multiplied by in this step. */
function lrFactor({ mode, lr, referenceLr }: Decay): number {
  if (mode === "coupled") return 0;
  if (mode === "independent") return 1;
  return mode === "scheduled" ? lr / referenceLr : lr;
}

function clamp(x: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, x));
}
