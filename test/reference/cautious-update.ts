/**
 * Cautious updates (Liang et al. 2024): an update acts only where it has the sign of the gradient, and the rest of the tensor is
 * scaled up for what is left out. The state of the rule is never masked.
 */

export type CautiousUpdate =
  | false
  | "timm"
  | "c-optim"
  | { readonly convention: "lucidrains"; readonly factor: number };

/** Masks and scales the update of one tensor; `g` is what the rule was given. */
export function updateCautiously(u: Float64Array, g: Float64Array, how: Exclude<CautiousUpdate, false>): Float64Array {
  const left = typeof how === "object" ? how.factor : 0;
  const mask = u.map((ui, i) => (ui * g[i]! > 0 ? 1 : left));
  const sum = mask.reduce((total, m) => total + m, 0);
  const factor = how === "c-optim" ? u.length / (sum + 1) : 1 / Math.max(sum / u.length, how === "timm" ? 1e-3 : 1e-5);
  return u.map((ui, i) => ui * mask[i]! * factor);
}
