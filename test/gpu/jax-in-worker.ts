/** The worker of jax-worker.test.ts: jax-js, its gradients and the adapter, away from the page. */
import { grad, type Array as JaxArray, numpy as np, tree } from "@jax-js/jax";
import { adamw, cosine } from "../../src/index.ts";
import { fused } from "../../src/jax/index.ts";
import { array, jaxDevice, valuesOf } from "./jax-device.ts";

/** Fits w to x w = y, in 40 steps; the same on every thread. */
export async function solve(): Promise<{ values: number[]; figures: number }> {
  await jaxDevice();
  const x = array([8, 3]);
  const loss = (w: JaxArray) => {
    const error = np.dot(x.ref, w).sub(1);
    return np.mean(error.ref.mul(error));
  };
  const solver = fused(adamw(), { lr: cosine(0.2, 40), monitor: { every: 10 } });
  let params: JaxArray = np.zeros([3]);
  const state = await solver.init(tree.ref(params));
  let figures = 0;
  state.optimizer.on("figures", () => {
    figures += 1;
  });
  for (let step = 0; step < 40; step++) [params] = solver.update(grad(loss)(params.ref), state, params);
  await state.optimizer.flush();
  const values = [...(await valuesOf(params))];
  state.dispose();
  return { values, figures };
}

if (typeof document === "undefined") {
  solve().then(postMessage, (error: Error) => postMessage({ error: error.stack ?? error.message }));
}
