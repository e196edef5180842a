import { keepNumber, type TwinRule, zeroSlot } from "./rule.ts";

type Options = {
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  readonly gradAveraging?: boolean;
  readonly amsgrad?: boolean;
};

/**
 * NovoGrad (Ginsburg et al. 2019) as NVIDIA's and timm's: momentum of gradients that are divided by the mean norm of the whole
 * tensor, decay added. That mean begins with the first norm that is not 0.
 */
export const novograd: TwinRule<Options> = {
  name: "novograd",
  decayMode: "rule",
  weightDecay: 0,
  update(g, state, options, lr, { theta, ruleDecay }) {
    const { betas: [beta1, beta2] = [0.95, 0.98], eps = 1e-8, gradAveraging = false, amsgrad = false } = options;
    const m = zeroSlot(state, "exp_avg", g.length);
    const squares = g.reduce((sum, x) => sum + x * x, 0);
    const before = state.slots.exp_avg_sq?.[0] ?? 0;
    const v = before === 0 ? squares : beta2 * before + (1 - beta2) * squares;
    keepNumber(state, "exp_avg_sq", v);
    const largest = Math.max(state.slots.max_exp_avg_sq?.[0] ?? 0, v);
    keepNumber(state, "max_exp_avg_sq", largest);
    const divisor = Math.sqrt(amsgrad ? largest : v) + eps;
    return g.map((gi, i) => {
      const scaled = (gi === 0 ? 0 : gi / divisor) + ruleDecay * theta[i]!;
      m[i] = beta1 * m[i]! + (gradAveraging ? 1 - beta1 : 1) * scaled;
      return lr * m[i]!;
    });
  },
};
