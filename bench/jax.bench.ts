/** The optimizer part of training with jax-js: the adapter, in place on its arrays, against AdamW of its own under `jit`. */
import type { CaseName, CaseTensor } from "./cases.ts";
import { compare } from "./compare.ts";
import { fusedOnJax } from "./impl/fused-jax.ts";
import { jaxAdamw } from "./impl/jax-js.ts";
import type { Suite } from "./suite.ts";

const cases: readonly CaseName[] = ["cnn", "many"];
const baseline = "ours on jax-js";

export const jax: Suite = async (context) => {
  const makes = [
    [baseline, (_: GPUDevice, tensors: readonly CaseTensor[]) => fusedOnJax(baseline, tensors)],
    ["jax-js", (_: GPUDevice, tensors: readonly CaseTensor[]) => jaxAdamw(tensors)],
  ] as const;
  for (const caseName of cases.filter((name) => context.request.cases.includes(name)))
    await compare(context, "jax", caseName, makes, baseline);
};
