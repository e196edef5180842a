/**
 * AdamW in float64, the measure of every implementation before it is timed. Written from Loshchilov and Hutter
 * (https://arxiv.org/abs/1711.05101, algorithm 2 with the decay multiplied by the learning rate, as PyTorch does), and
 * from `torch.nn.utils.clip_grad_norm_` for the clipping.
 */
import type { CaseTensor } from "./cases.ts";

export const hyper = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 } as const;

/**
 * The gradients of the steps that are checked are the case's gradients times these factors. With equal gradients at
 * every step Adam's update is lr * sign(g) whatever the betas, and the check would see nothing.
 */
export const checkedSteps = [1, -0.5, 2, 0.25] as const;

/** `weightDecay`: decoupled lambda, 0 for plain Adam. `maxNorm`: global norm to clip to, absent for none. */
export interface AdamwTwin {
  readonly weightDecay: number;
  readonly maxNorm?: number;
}

/** Parameters after {@link checkedSteps}. */
export function adamwParams(tensors: readonly CaseTensor[], twin: AdamwTwin): Float64Array[] {
  const params = tensors.map((t) => Float64Array.from(t.param));
  const m = tensors.map((t) => new Float64Array(t.param.length));
  const v = tensors.map((t) => new Float64Array(t.param.length));
  const { lr, beta1, beta2, eps } = hyper;

  checkedSteps.forEach((factor, step) => {
    const scale = factor * clipFactor(gradNorm(tensors, factor), twin.maxNorm);
    const correction1 = 1 - beta1 ** (step + 1);
    const correction2 = 1 - beta2 ** (step + 1);
    tensors.forEach(({ grad }, k) => {
      const [p, mk, vk] = [params[k]!, m[k]!, v[k]!];
      for (let i = 0; i < p.length; i++) {
        const g = grad[i]! * scale;
        mk[i] = beta1 * mk[i]! + (1 - beta1) * g;
        vk[i] = beta2 * vk[i]! + (1 - beta2) * g * g;
        const update = mk[i]! / correction1 / (Math.sqrt(vk[i]! / correction2) + eps);
        p[i] = p[i]! - lr * twin.weightDecay * p[i]! - lr * update;
      }
    });
  });
  return params;
}

/** Euclidean norm over all gradients of the step with this factor, before clipping. */
export function gradNorm(tensors: readonly CaseTensor[], factor: number): number {
  let sum = 0;
  for (const { grad } of tensors) for (const g of grad) sum += g * g;
  return Math.abs(factor) * Math.sqrt(sum);
}

function clipFactor(norm: number, maxNorm: number | undefined): number {
  return maxNorm === undefined ? 1 : Math.min(1, maxNorm / (norm + 1e-6));
}

/**
 * Largest error of `actual` in units of what is allowed, so a result is right if it is at most 1 (NaN counts as infinite).
 *
 * Allowed is 3e-5 of the way a parameter can have gone, lr per step, plus four roundings of the parameter itself. The
 * 3e-5 is four times what the peers' bias corrections in float32 cost (1 - 0.999 loses four digits there). A forgotten
 * decay is 15 times the allowed error, beta1 = 0.899 1.6 times, a missing clip 7000 times.
 */
export function errorOverAllowed(actual: readonly Float32Array[], expected: readonly ArrayLike<number>[]): number {
  const way = 3e-5 * hyper.lr * checkedSteps.length;
  let worst = 0;
  for (const [k, want] of expected.entries()) {
    const got = actual[k];
    if (got?.length !== want.length) throw new Error(`tensor ${k}: ${got?.length} values instead of ${want.length}`);
    for (let i = 0; i < want.length; i++) {
      const error = Math.abs(got[i]! - want[i]!) / (way + 4 * 2 ** -24 * Math.abs(want[i]!));
      if (Number.isNaN(error)) return Number.POSITIVE_INFINITY;
      worst = Math.max(worst, error);
    }
  }
  return worst;
}
