import { length, slot, type TwinRule } from "./rule.ts";

type Options = {
  readonly momentum?: number;
  readonly dampening?: number;
  readonly nesterov?: boolean;
  readonly trustCoeff?: number;
  readonly eps?: number;
  readonly trustClip?: boolean;
  readonly alwaysAdapt?: boolean;
};

/**
 * LARS (You et al. 2017) as timm has it: SGD with momentum of gradients, decay included, that are scaled to a fraction of the
 * parameter's norm. Tensors without decay are plain SGD unless `alwaysAdapt` says otherwise. `trustClip` is LARC.
 */
export const lars: TwinRule<Options> = {
  name: "lars",
  decayMode: "rule",
  lr: 1,
  weightDecay: 0,
  update(g, state, options, lr, { theta, lambda, ruleDecay }) {
    const { momentum = 0, dampening = 0, nesterov = false, trustCoeff = 1e-3, eps = 1e-8 } = options;
    let ratio = 1;
    if (lambda !== 0 || options.alwaysAdapt) {
      const [weight, gradient] = [length(theta), length(g)];
      if (weight > 0 && gradient > 0) ratio = (trustCoeff * weight) / (gradient + ruleDecay * weight + eps);
      // lr is applied to the result once more, and a ratio of infinity is more than 1.
      if (options.trustClip) ratio = lr === 0 ? 1 : Math.min(ratio / lr, 1);
    }
    const scaled = g.map((gi, i) => ratio * (gi + ruleDecay * theta[i]!));
    if (momentum === 0) return scaled.map((x) => lr * x);
    const isFirst = state.slots.momentum_buffer === undefined;
    const b = slot(state, "momentum_buffer", () => scaled.slice());
    return scaled.map((x, i) => {
      if (!isFirst) b[i] = momentum * b[i]! + (1 - dampening) * x;
      return lr * (nesterov ? x + momentum * b[i]! : b[i]!);
    });
  },
};
