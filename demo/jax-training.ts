import { type Array as JaxArray, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import { adamw, cosine, decayGroups } from "../src/index.ts";
import { fused, named } from "../src/jax/index.ts";

export type Params = { w: JaxArray; b: JaxArray }[];

/** Dense layers with tanh between them. */
function scores(params: Params, x: JaxArray): JaxArray {
  let h = x;
  for (const [i, { w, b }] of params.entries()) {
    h = np.dot(h, w).add(b);
    if (i < params.length - 1) h = np.tanh(h);
  }
  return h;
}

function loss(params: Params, x: JaxArray, y: JaxArray): JaxArray {
  return np.mean(np.sum(nn.logSoftmax(scores(params, x)).mul(y), 1)).neg();
}

/** Trains on inputs `x` and one-hot targets `y`, and takes over the parameters. */
export async function train(
  initial: Params,
  x: JaxArray,
  y: JaxArray,
  steps: number,
  look: (step: number, loss: number, params: Params) => Promise<void>,
): Promise<Params> {
  const solver = fused(adamw(), {
    lr: cosine(0.02, steps), // a new rate at every step, and never a new pipeline
    groups: decayGroups(named(initial), { weightDecay: 0.01 }), // none for biases
    clip: { globalNorm: 1 },
  });
  let params = initial;
  let state = await solver.init(tree.ref(params));
  const lossAndGrad = jit(valueAndGrad(loss));
  for (let step = 1; step <= steps; step++) {
    const [value, grads] = lossAndGrad(tree.ref(params), x.ref, y.ref);
    [params, state] = solver.update(grads, state, params); // the parameters themselves: no applyUpdates
    if (step % 20 === 0) await look(step, (await value.data())[0]!, params);
    else value.dispose();
  }
  state.dispose();
  return params;
}
