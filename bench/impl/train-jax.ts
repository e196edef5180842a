/** The same step in jax-js: loss, gradients and Adam in one function under `jit`. */
import * as jax from "@jax-js/jax";
import {
  getWebGPUDevice,
  init,
  type Array as JaxArray,
  jit,
  lax,
  nn,
  numpy as np,
  tree,
  valueAndGrad,
} from "@jax-js/jax";
import type { Training } from "../training.ts";
import { ADAM, BATCH, CLASSES, modelOf, type TrainingBatch, type TrainingCase } from "../training-cases.ts";

interface State {
  params: JaxArray[];
  m: JaxArray[];
  v: JaxArray[];
  count: JaxArray;
}

/** jax-js frees an array when it is used; `.ref` keeps it for one more use. */
function logits(name: TrainingCase, params: JaxArray[], x: JaxArray): JaxArray {
  const dense = (input: JaxArray, k: number) => np.dot(input, np.transpose(params[k]!.ref)).add(params[k + 1]!.ref);
  if (name === "mlp") return dense(nn.relu(dense(x, 0)), 2);
  const convolution = (input: JaxArray, k: number): JaxArray => {
    const made = lax.convGeneralDilated(input, params[k]!.ref, [1, 1], "SAME");
    const [channels] = params[k + 1]!.shape;
    const active = nn.relu(made.add(params[k + 1]!.ref.reshape([channels!, 1, 1])));
    const [batch, , height, width] = active.shape as [number, number, number, number];
    // Its reduceWindow has no gradient for the maximum; windows that do not overlap are a reshape.
    return np.max(active.reshape([batch, channels!, height / 2, 2, width / 2, 2]), [3, 5]);
  };
  const features = convolution(convolution(x, 0), 2);
  return dense(features.reshape([BATCH, -1]), 4);
}

function stepOf(name: TrainingCase) {
  const loss = (params: JaxArray[], x: JaxArray, y: JaxArray) => {
    const value = np.mean(np.sum(nn.logSoftmax(logits(name, params, x)).mul(y), 1)).neg();
    for (const param of params) param.dispose();
    return value;
  };
  return ({ params, m, v, count }: State, x: JaxArray, y: JaxArray): [State, JaxArray] => {
    const [value, grads] = valueAndGrad(loss)(tree.ref(params), x, y) as unknown as [JaxArray, JaxArray[]];
    const { lr, beta1, beta2, eps } = ADAM;
    const t = count.add(1);
    const correction1 = np.subtract(1, np.power(beta1, t.ref));
    const correction2 = np.subtract(1, np.power(beta2, t.ref));
    const next: State = { params: [], m: [], v: [], count: t };
    params.forEach((p, i) => {
      const g = grads[i]!;
      const mNext = m[i]!.mul(beta1).add(g.ref.mul(1 - beta1));
      const vNext = v[i]!.mul(beta2).add(g.ref.mul(g).mul(1 - beta2));
      const update = mNext.ref.div(correction1.ref).div(np.sqrt(vNext.ref.div(correction2.ref)).add(eps));
      next.params.push(p.sub(update.mul(lr)));
      next.m.push(mNext);
      next.v.push(vNext);
    });
    correction1.dispose();
    correction2.dispose();
    return [next, value];
  };
}

export async function trainJax(_: GPUDevice, name: TrainingCase, batch: TrainingBatch): Promise<Training> {
  if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js has no WebGPU");
  jax.defaultDevice("webgpu");
  const device = getWebGPUDevice();
  const array = (values: Float32Array<ArrayBuffer>, shape: readonly number[]) =>
    np.array(values, { shape: [...shape] });
  const model = modelOf(name);
  const initial = model.init(1);
  const x = array(batch.images, [BATCH, ...model.input]);
  const y = array(batch.oneHot, [BATCH, CLASSES]);
  let state: State = {
    params: initial.map(({ data, shape }) => array(data, shape)),
    m: initial.map(({ shape }) => np.zeros([...shape])),
    v: initial.map(({ shape }) => np.zeros([...shape])),
    count: np.array(new Float32Array([0])).reshape([]),
  };
  const step = stepOf(name);
  const run = jit(step as never) as unknown as typeof step & { dispose(): void };
  let value: JaxArray | undefined;
  const all = () => [...state.params, ...state.m, ...state.v, state.count];
  await jax.blockUntilReady([...all().map((a) => a.ref), x.ref, y.ref]);
  return {
    name: "jax-js",
    step() {
      value?.dispose();
      [state, value] = run(state, x.ref, y.ref);
      // Submits what jit has recorded. blockUntilReady would do so too, but also map one buffer per array.
      for (const array of [...all(), value]) array.ref.gpuBufferSync();
    },
    done: () => device.queue.onSubmittedWorkDone(),
    loss: async () => ((await value!.ref.data()) as Float32Array)[0]!,
    destroy() {
      value?.dispose();
      for (const array of [...all(), x, y]) array.dispose();
      run.dispose();
    },
  };
}
