/** AdamW through the adapter, on arrays of jax-js. */
import {
  blockUntilReady,
  defaultDevice,
  getWebGPUDevice,
  init,
  type Array as JaxArray,
  numpy as np,
  tree,
} from "@jax-js/jax";
import { adamw } from "../../src/index.ts";
import { fused } from "../../src/jax/index.ts";
import { adamwParams, hyper } from "../adamw-float64.ts";
import type { CaseTensor } from "../cases.ts";
import { type Implementation, scaled } from "../implementation.ts";

const weightDecay = 0.01;

export async function fusedOnJax(name: string, tensors: readonly CaseTensor[]): Promise<Implementation> {
  if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js has no WebGPU");
  defaultDevice("webgpu");
  const device = getWebGPUDevice();
  const treeOf = (values: (t: CaseTensor) => Float32Array<ArrayBuffer>): Record<string, JaxArray> =>
    Object.fromEntries(tensors.map((t) => [t.name, np.array(values(t), { shape: [...t.shape] })]));

  const solver = fused(adamw({ betas: [hyper.beta1, hyper.beta2], eps: hyper.eps }), { lr: hyper.lr, weightDecay });
  let params = treeOf(({ param }) => param);
  let grads = treeOf(({ grad }) => grad);
  const state = await solver.init(tree.ref(params));
  await blockUntilReady([params, grads]);

  return {
    name,
    step() {
      [params] = solver.update(tree.ref(grads), state, params);
    },
    done: () => device.queue.onSubmittedWorkDone(),
    scaleGradients(factor) {
      tree.dispose(grads);
      grads = treeOf(({ grad }) => scaled(grad, factor));
    },
    readParams: () => Promise.all(tensors.map(async (t) => (await params[t.name]!.ref.data()) as Float32Array)),
    expectedParams: () => adamwParams(tensors, { weightDecay }),
    destroy() {
      state.dispose();
      tree.dispose([params, grads]);
    },
  };
}
