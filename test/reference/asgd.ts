import { keepNumber, slot, type TwinRule, zeroSlot } from "./rule.ts";

type Options = { readonly lambd?: number; readonly alpha?: number; readonly t0?: number };

/**
 * Averaged SGD (Polyak and Juditsky 1992) as PyTorch has it: a step of size eta, which shrinks theta by eta lambd as well, and
 * from t0 on the mean `ax` of what theta has been. eta and mu are computed at the end of a step, for the next one.
 */
export const asgd: TwinRule<Options> = {
  name: "asgd",
  decayMode: "coupled",
  lr: 0.01,
  weightDecay: 0,
  update(g, state, { lambd = 1e-4 }, lr, { theta, firstDecay }) {
    const eta = slot(state, "eta", () => Float64Array.of(lr))[0]!;
    return g.map((gi, i) => eta * (gi + lambd * (1 - firstDecay) * theta[i]!));
  },
  after(state, { lambd = 1e-4, alpha = 0.75, t0 = 1e6 }, lr, { theta }) {
    const mu = slot(state, "mu", () => Float64Array.of(1))[0]!;
    const mean = zeroSlot(state, "ax", theta.length);
    theta.forEach((x, i) => {
      mean[i] = mu === 1 ? x : mean[i]! + mu * (x - mean[i]!);
    });
    keepNumber(state, "eta", lr / (1 + lambd * lr * state.step) ** alpha);
    keepNumber(state, "mu", 1 / Math.max(1, state.step - t0));
  },
};
