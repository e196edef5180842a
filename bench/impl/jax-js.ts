/** AdamW in jax-js, all tensors in one function under `jit`. It follows optax: the step count lives on the GPU. */

import * as jax from "@jax-js/jax";
import { getWebGPUDevice, init, type Array as JaxArray, jit, numpy as np } from "@jax-js/jax";
import { adamwParams, hyper } from "../adamw-float64.ts";
import type { CaseTensor } from "../cases.ts";
import { type Implementation, scaled } from "../implementation.ts";

const weightDecay = 0.01;

interface Training {
  params: JaxArray[];
  m: JaxArray[];
  v: JaxArray[];
  count: JaxArray;
}

/** jax-js frees an array when it is used; `.ref` keeps it for one more use. */
function adamwUpdate({ params, m, v, count }: Training, grads: JaxArray[]): Training {
  const { lr, beta1, beta2, eps } = hyper;
  const t = count.add(1);
  const correction1 = np.subtract(1, np.power(beta1, t.ref));
  const correction2 = np.subtract(1, np.power(beta2, t.ref));
  const next: Training = { params: [], m: [], v: [], count: t };
  params.forEach((p, i) => {
    const g = grads[i]!;
    const mNext = m[i]!.mul(beta1).add(g.ref.mul(1 - beta1));
    const vNext = v[i]!.mul(beta2).add(g.ref.mul(g).mul(1 - beta2));
    const update = mNext.ref.div(correction1.ref).div(np.sqrt(vNext.ref.div(correction2.ref)).add(eps));
    next.params.push(p.mul(1 - lr * weightDecay).sub(update.mul(lr)));
    next.m.push(mNext);
    next.v.push(vNext);
  });
  correction1.dispose();
  correction2.dispose();
  return next;
}

export async function jaxAdamw(tensors: readonly CaseTensor[]): Promise<Implementation> {
  if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js has no WebGPU");
  jax.defaultDevice("webgpu");
  const device = getWebGPUDevice();
  const array = (values: Float32Array<ArrayBuffer>, shape: readonly number[]) =>
    np.array(values, { shape: [...shape] });
  const zeros = () => tensors.map((t) => np.zeros([...t.shape]));

  const update = jit(adamwUpdate as never) as unknown as typeof adamwUpdate & { dispose(): void };
  let grads = tensors.map((t) => array(t.grad, t.shape));
  let state: Training = {
    params: tensors.map((t) => array(t.param, t.shape)),
    m: zeros(),
    v: zeros(),
    count: np.array(new Float32Array([0])).reshape([]),
  };
  const all = () => [...state.params, ...state.m, ...state.v, state.count];
  await jax.blockUntilReady([...all(), ...grads]);

  return {
    name: "jax-js",
    step() {
      state = update(
        state,
        grads.map((g) => g.ref),
      );
      // Submits what jit has recorded. blockUntilReady would do so too, but also map one buffer per array.
      for (const array of all()) array.ref.gpuBufferSync();
    },
    done: () => device.queue.onSubmittedWorkDone(),
    scaleGradients(factor) {
      for (const g of grads) g.dispose();
      grads = tensors.map((t) => array(scaled(t.grad, factor), t.shape));
    },
    readParams: () => Promise.all(state.params.map(async (p) => (await p.ref.data()) as Float32Array)),
    expectedParams: () => adamwParams(tensors, { weightDecay }),
    destroy() {
      for (const array of [...all(), ...grads]) array.dispose();
      update.dispose();
    },
  };
}
