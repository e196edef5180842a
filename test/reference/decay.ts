/**
 * Weight decay towards an anchor `a` (zero, unless the option `toward` says otherwise), in the five modes:
 *
 *     coupled      g <- g + lambda (theta - a) + l1 sign(theta - a), before the moments
 *     decoupled    d = lr lambda              kappa = lr l1
 *     scheduled    d = (lr / lr_0) lambda     kappa = (lr / lr_0) l1
 *     independent  d = lambda                 kappa = l1
 *     proximal     theta <- a + soft(theta - u - a, lr l1) / (1 + lr lambda)
 *
 * where not said otherwise theta <- theta - (u + d (theta - a) + clamp(theta - a, -kappa, kappa)). `cautious` lets
 * decay act only on those elements that the update pulls towards the anchor as well, u (theta - a) >= 0.
 */

export const DECAY_MODES = ["coupled", "decoupled", "scheduled", "independent", "proximal"] as const;
export type DecayMode = (typeof DECAY_MODES)[number];

export interface Decay {
  readonly mode: DecayMode;
  readonly lambda: number;
  readonly l1: number;
  readonly cautious: boolean;
  readonly lr: number;
  /** Learning rate at the first step; only `scheduled` asks for it. */
  readonly initialLr: number;
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
  const factor = lrFactor(decay);
  const d = factor * decay.lambda;
  const kappa = factor * decay.l1;
  for (let i = 0; i < theta.length; i++) {
    const away = theta[i]! - anchor[i]!;
    if (decay.mode === "coupled" || (decay.cautious && u[i]! * away < 0)) theta[i] = theta[i]! - u[i]!;
    else if (decay.mode === "proximal") theta[i] = anchor[i]! + softThreshold(away - u[i]!, kappa) / (1 + d);
    else theta[i] = theta[i]! - (u[i]! + d * away + clamp(away, kappa));
  }
}

/** What lambda and l1 are multiplied by in this step. */
function lrFactor({ mode, lr, initialLr }: Decay): number {
  if (mode === "independent") return 1;
  return mode === "scheduled" ? lr / initialLr : lr;
}

function softThreshold(x: number, kappa: number): number {
  return x - clamp(x, kappa);
}

function clamp(x: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, x));
}
