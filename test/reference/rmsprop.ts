import { slot, type TwinRule, zeroSlot } from "./rule.ts";

type Options = {
  readonly alpha?: number;
  readonly eps?: number;
  readonly centered?: boolean;
  readonly momentum?: number;
  readonly tensorflow?: boolean;
};

/**
 * RMSprop (Hinton 2012; centered: Graves 2013) as PyTorch has it: g / (sqrt(v) + eps), momentum without lr; or as TensorFlow:
 * v begins with 1, eps is inside the root, and the momentum is of lr g / sqrt(v + eps).
 */
export const rmsprop: TwinRule<Options> = {
  name: "rmsprop",
  decayMode: "coupled",
  lr: 0.01,
  weightDecay: 0,
  update(g, state, { alpha = 0.99, eps = 1e-8, centered = false, momentum = 0, tensorflow = false }, lr) {
    const v = slot(state, "square_avg", () => new Float64Array(g.length).fill(tensorflow ? 1 : 0));
    const mean = centered ? zeroSlot(state, "grad_avg", g.length) : undefined;
    const buffer = momentum > 0 ? zeroSlot(state, "momentum_buffer", g.length) : undefined;
    return g.map((gi, i) => {
      v[i] = alpha * v[i]! + (1 - alpha) * gi * gi;
      if (mean) mean[i] = alpha * mean[i]! + (1 - alpha) * gi;
      const variance = Math.max(v[i]! - (mean ? mean[i]! ** 2 : 0), 0);
      const x = tensorflow ? (lr * gi) / Math.sqrt(variance + eps) : gi / (Math.sqrt(variance) + eps);
      const scale = tensorflow ? 1 : lr;
      if (!buffer) return scale * x;
      buffer[i] = momentum * buffer[i]! + x;
      return scale * buffer[i]!;
    });
  },
};
