import { type TwinRule, zeroSlot } from "./rule.ts";

type Options = { readonly rho?: number; readonly eps?: number };

/** Adadelta (Zeiler 2012): the root mean square of earlier steps over that of the gradients, times g. */
export const adadelta: TwinRule<Options> = {
  name: "adadelta",
  decayMode: "coupled",
  lr: 1,
  weightDecay: 0,
  update(g, state, { rho = 0.9, eps = 1e-6 }, lr) {
    const v = zeroSlot(state, "square_avg", g.length);
    const steps = zeroSlot(state, "acc_delta", g.length);
    return g.map((gi, i) => {
      v[i] = rho * v[i]! + (1 - rho) * gi * gi;
      const delta = (Math.sqrt(steps[i]! + eps) / Math.sqrt(v[i]! + eps)) * gi;
      steps[i] = rho * steps[i]! + (1 - rho) * delta * delta;
      return lr * delta;
    });
  },
};
