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

/** `min(1, max / (norm + 1e-6))`: a norm of exactly `max` is scaled too; 0 for an infinite norm, NaN for NaN. */
export function clipFactor(total: number, max: number): number {
  return Math.min(1, max / (total + 1e-6));
}

export function scale(tensor: Float64Array, factor: number): void {
  for (let i = 0; i < tensor.length; i++) tensor[i] = tensor[i]! * factor;
}

/** Clamps every element to `[-limit, limit]`; NaN stays NaN. */
export function clipValues(tensor: Float64Array, limit: number): void {
  for (let i = 0; i < tensor.length; i++) tensor[i] = Math.max(-limit, Math.min(limit, tensor[i]!));
}
