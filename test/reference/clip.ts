/** Gradient clipping as in `torch.nn.utils`. */

/** The p-norm of all tensors taken together; `Infinity` is the largest magnitude. Non-finite elements carry through. */
export function norm(tensors: readonly Float64Array[], p: number): number {
  let total = 0;
  for (const tensor of tensors) {
    for (const x of tensor) {
      total = p === Infinity ? Math.max(total, Math.abs(x)) : total + Math.abs(x) ** p;
    }
  }
  return p === Infinity ? total : total ** (1 / p);
}

/** `min(1, max / (norm + eps))`: a norm of exactly `max` is scaled too; 0 for an infinite norm, NaN for NaN. */
export function clipFactor(total: number, max: number, eps = 1e-6): number {
  return Math.min(1, max / (total + eps));
}

/**
 * Adaptive gradient clipping (Brock et al. 2021): each unit's gradient is at most `factor` times as long as its parameters, which
 * count as at least `eps` long. A unit is what one output of a layer has: a row of the first dimension; vectors are one unit.
 */
export function clipAdaptively(
  g: Float64Array,
  theta: Float64Array,
  shape: readonly number[],
  factor: number,
  eps = 1e-3,
): void {
  const size = shape.length <= 1 ? g.length : g.length / shape[0]!;
  for (let at = 0; at < g.length; at += size) {
    const unit = g.subarray(at, at + size);
    const longest = factor * Math.max(norm([theta.subarray(at, at + size)], 2), eps);
    const total = norm([unit], 2);
    if (!(total < longest)) scale(unit, longest / Math.max(total, 1e-6));
  }
}

export function scale(tensor: Float64Array, factor: number): void {
  for (let i = 0; i < tensor.length; i++) tensor[i] = tensor[i]! * factor;
}

/** Clamps every element to `[-limit, limit]`; NaN stays NaN. */
export function clipValues(tensor: Float64Array, limit: number): void {
  for (let i = 0; i < tensor.length; i++) tensor[i] = Math.max(-limit, Math.min(limit, tensor[i]!));
}
