import { slot, type TwinRule, zeroSlot } from "./rule.ts";

type Options = { readonly etas?: readonly [number, number]; readonly stepSizes?: readonly [number, number] };

/**
 * Rprop (Riedmiller and Braun 1993) as PyTorch has it: where the sign turns, the step size shrinks and the gradient counts as
 * zero, also as the previous one of the next step. lr is the first step size.
 */
export const rprop: TwinRule<Options> = {
  name: "rprop",
  decayMode: "decoupled",
  lr: 0.01,
  weightDecay: 0,
  update(g, state, { etas: [shrink, grow] = [0.5, 1.2], stepSizes: [least, most] = [1e-6, 50] }, lr) {
    const previous = zeroSlot(state, "prev", g.length);
    const size = slot(state, "step_size", () => new Float64Array(g.length).fill(lr));
    return g.map((gi, i) => {
      const agreement = Math.sign(gi) * Math.sign(previous[i]!);
      const factor = agreement > 0 ? grow : agreement < 0 ? shrink : 1;
      size[i] = Math.min(Math.max(size[i]! * factor, least), most);
      previous[i] = agreement < 0 ? 0 : gi;
      return Math.sign(previous[i]!) * size[i]!;
    });
  },
};
