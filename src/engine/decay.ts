/**
 * Weight decay as numbers. Whatever the mode, the kernel does
 *
 *     g <- g + coupled (theta - a)            before the rule
 *     theta <- theta - (shrink u + decay (theta - a))
 *
 * with u the rule's update and a the anchor (zero without `toward`); a mode is a choice of the three factors.
 */

/**
 * How a group decays, with lambda = `weightDecay`:
 * - `coupled`: g <- g + lambda theta before the moments. L2 in the loss; PyTorch's `SGD` and `Adam`.
 * - `decoupled`: theta <- theta (1 - lr lambda). PyTorch's `AdamW`, optax.
 * - `scheduled`: theta <- theta (1 - (lr_t / lr_0) lambda). The AdamW paper's eta_t lambda.
 * - `independent`: theta <- theta (1 - lambda). AdaBelief's `fixed_decay`.
 * - `proximal`: theta <- theta' / (1 + lr lambda) after the step. Adan.
 * - `rule`: where the rule's own paper puts it, such as inside LAMB's trust ratio; only for rules whose default it is.
 *
 * For SGD without momentum `coupled` and `decoupled` are the same. For Adam they are not: coupled decay is divided by sqrt(v)
 * and so weakened where gradients are large; decoupled decay shrinks every weight equally.
 */
export type DecayMode = "coupled" | "decoupled" | "scheduled" | "independent" | "proximal" | "rule";

/** All modes. */
export const DECAY_MODES: readonly DecayMode[] = [
  "coupled",
  "decoupled",
  "scheduled",
  "independent",
  "proximal",
  "rule",
];

/** The factors of one update. */
export interface DecayFactors {
  readonly coupled: number;
  readonly shrink: number;
  readonly decay: number;
  /** How far `l1` pulls at most; for `coupled` what is added to the gradient. */
  readonly l1: number;
  /**
   * Fraction of theta - a that decay removes in this update; `null` for `coupled` and `rule`, where it depends on the rule and
   * may be different for each element.
   */
  readonly fraction: number | null;
}

/**
 * Factors of `mode` at learning rate `lr`, all in float64.
 *
 * @param referenceLr lr_0 of the mode `scheduled`.
 */
export function decayFactors(
  mode: DecayMode,
  lr: number,
  referenceLr: number,
  lambda: number,
  l1: number,
): DecayFactors {
  switch (mode) {
    case "coupled":
      return { coupled: lambda, shrink: 1, decay: 0, l1, fraction: null };
    case "rule":
      return { coupled: 0, shrink: 1, decay: 0, l1, fraction: null };
    case "decoupled":
      return decoupled(lr, lambda, l1);
    case "scheduled":
      return decoupled(lr / referenceLr, lambda, l1);
    case "independent":
      return decoupled(1, lambda, l1);
    case "proximal": {
      // theta' / (1 + x) = theta - (u / (1 + x) + theta x / (1 + x))
      const x = lr * lambda;
      return { coupled: 0, shrink: 1 / (1 + x), decay: x / (1 + x), l1: lr * l1, fraction: x / (1 + x) };
    }
  }
}

function decoupled(rate: number, lambda: number, l1: number): DecayFactors {
  return { coupled: 0, shrink: 1, decay: rate * lambda, l1: rate * l1, fraction: rate * lambda };
}
