/** The optimizer part of training with TensorFlow.js: the adapter, in place on its variables, against `tf.train.adam`. */
import type { CaseName, CaseTensor } from "./cases.ts";
import { compare } from "./compare.ts";
import { fusedOnTfjs, tfjsAdam } from "./impl/tfjs.ts";
import type { Suite } from "./suite.ts";

const cases: readonly CaseName[] = ["cnn", "many"];
const baseline = "ours on tfjs";

export const tfjs: Suite = async (context) => {
  const makes = [
    [baseline, (_: GPUDevice, tensors: readonly CaseTensor[]) => fusedOnTfjs(baseline, tensors)],
    ["tfjs", (_: GPUDevice, tensors: readonly CaseTensor[]) => tfjsAdam(tensors)],
  ] as const;
  for (const caseName of cases.filter((name) => context.request.cases.includes(name)))
    await compare(context, "tfjs", caseName, makes, baseline);
};
