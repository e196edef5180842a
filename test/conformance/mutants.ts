/** Twins that are wrong in ways optimizers really are, each with a golden case that must tell. */

import { type AdamOptions, adam } from "../reference/adam.ts";
import { applyUpdate, type Decay } from "../reference/decay.ts";
import { slot, type TwinRule } from "../reference/rule.ts";
import { type SgdOptions, sgd } from "../reference/sgd.ts";
import type { Subject, SubjectMaker, SubjectOptions } from "./subject.ts";
import { type Mutation, twinMaker } from "./twin-subject.ts";

type Wrong<O> = TwinRule<O>["update"];

/** An Adam that is wrong somewhere: what the denominator and the bias corrections are is up to `how`. */
function wrongAdam(how: {
  denominator?: (v: number, correction: number, eps: number) => number;
  correction?: (beta: number, t: number) => number;
  oneMinus?: (beta: number) => number;
}): Wrong<AdamOptions> {
  const { denominator = (v, correction, eps) => Math.sqrt(v / correction) + eps } = how;
  const { correction = (beta, t) => 1 - beta ** t, oneMinus = (beta) => 1 - beta } = how;
  return (g, state, { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8 }, lr) => {
    const m = slot(state, "exp_avg", () => g.map(() => 0));
    const v = slot(state, "exp_avg_sq", () => g.map(() => 0));
    return g.map((gi, i) => {
      m[i] = beta1 * m[i]! + oneMinus(beta1) * gi;
      v[i] = beta2 * v[i]! + oneMinus(beta2) * gi * gi;
      return ((lr / correction(beta1, state.step)) * m[i]!) / denominator(v[i]!, correction(beta2, state.step), eps);
    });
  };
}

export const WRONG_ADAM: Record<string, [Wrong<AdamOptions>, detected: string]> = {
  "eps inside the root": [wrongAdam({ denominator: (v, c, eps) => Math.sqrt(v / c + eps) }), "adam/eps-1e-3"],
  "eps before the bias correction": [
    wrongAdam({ denominator: (v, c, eps) => (Math.sqrt(v) + eps) / Math.sqrt(c) }),
    "adam/eps-1e-3",
  ],
  "no eps": [wrongAdam({ denominator: (v, c) => Math.sqrt(v / c) || 1 }), "adam/eps-1e-3"],
  "no bias correction": [wrongAdam({ correction: () => 1 }), "adam/default"],
  "a step count that begins with 0": [
    wrongAdam({ correction: (beta, t) => 1 - beta ** Math.max(1, t - 1) }),
    "adam/default",
  ],
  // Uploading beta2 and subtracting it from 1 in float32 is 7e-6 off.
  "1 - beta in float32": [wrongAdam({ oneMinus: (beta) => 1 - Math.fround(beta) }), "adam/default"],
  "the largest v after the bias correction": [
    (g, state, options, lr, context) => {
      const u = adam.update(g, state, { ...options, amsgrad: false }, lr, context);
      const { exp_avg: m, exp_avg_sq: v } = state.slots;
      const [beta1, beta2] = options.betas ?? [0.9, 0.999];
      const largest = slot(state, "max_exp_avg_sq", () => g.map(() => 0));
      if (!options.amsgrad) return u;
      return u.map((_, i) => {
        largest[i] = Math.max(largest[i]!, v![i]! / (1 - beta2 ** state.step));
        return ((lr / (1 - beta1 ** state.step)) * m![i]!) / (Math.sqrt(largest[i]!) + (options.eps ?? 1e-8));
      });
    },
    "adam/amsgrad",
  ],
};

/** An SGD that is wrong somewhere. */
export const WRONG_SGD: Record<string, [Wrong<SgdOptions>, detected: string]> = {
  "a first gradient that is damped": [
    (g, state, options, lr, context) => {
      slot(state, "momentum_buffer", () => g.map(() => 0));
      return sgd.update(g, state, options, lr, context);
    },
    "sgd/momentum-dampening",
  ],
  "lr inside the momentum": [
    (g, state, options, lr, context) =>
      sgd.update(
        g.map((x) => lr * x),
        state,
        options,
        1,
        context,
      ),
    "sgd/momentum",
  ],
  "momentum that does not look ahead": [
    (g, state, options, lr, context) => sgd.update(g, state, { ...options, nesterov: false }, lr, context),
    "sgd/nesterov-wd",
  ],
  "a momentum buffer that is lost": [
    (g, _, options, lr, context) => sgd.update(g, { step: 1, slots: {} }, options, lr, context),
    "sgd/momentum",
  ],
};

type Apply = NonNullable<Mutation["applyUpdate"]>;

const asMode =
  (mode: Decay["mode"]): Apply =>
  (theta, u, anchor, one) =>
    applyUpdate(theta, u, anchor, { ...one, mode });
const shrinkBy =
  (factor: (x: number) => number): Apply =>
  (theta, u, _, { lr, lambda }) => {
    for (let i = 0; i < theta.length; i++) theta[i] = theta[i]! * factor(lr * lambda) - u[i]!;
  };

export const WRONG_DECAY: Record<string, [Apply, detected: string]> = {
  "none at all": [shrinkBy(() => 1), "adamw/tiny-decay"],
  "after the step": [
    (theta, u, _, { lr, lambda }) => {
      for (let i = 0; i < theta.length; i++) theta[i] = (theta[i]! - u[i]!) * (1 - lr * lambda);
    },
    "adamw/wd-large",
  ],
  "of a proximal kind": [asMode("proximal"), "adamw/wd-large"],
  "without the lr": [asMode("independent"), "adamw/default"],
  "by the lr over the first lr": [asMode("scheduled"), "adamw/default"],
  "exp(-lr lambda)": [shrinkBy((x) => Math.exp(-x)), "adamw/wd-large"],
};

/** Twins that do something wrong outside of the arithmetic. */
export function spoilt(change: (subject: Subject, options: SubjectOptions) => Partial<Subject>): SubjectMaker {
  const maker = twinMaker();
  return {
    ...maker,
    async create(options) {
      const subject = await maker.create(options);
      return {
        writeGrad: (tensor, values) => subject.writeGrad(tensor, values),
        withoutGrad: (tensor) => subject.withoutGrad(tensor),
        setLr: (group, lr) => subject.setLr(group, lr),
        step: () => subject.step(),
        readParam: (tensor) => subject.readParam(tensor),
        readState: (tensor) => subject.readState(tensor),
        stateDict: () => subject.stateDict(),
        readLossScale: () => subject.readLossScale(),
        destroy: () => subject.destroy(),
        ...change(subject, options),
      };
    },
  };
}
