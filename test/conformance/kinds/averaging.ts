import { elementCount, generate, INIT_STREAM } from "../../reference/prng.ts";
import type { Comparison } from "../compare.ts";
import type { AveragingCase } from "../golden/averaging.ts";
import type { SubjectMaker } from "../subject.ts";

/** Averages of parameters: before each update they are given the values that the case wants, and the update does not move them. */
export async function runAveraging(one: AveragingCase, maker: SubjectMaker, comparison: Comparison): Promise<void> {
  const { seed, decay, params, steps } = one;
  const sizes = params.map(({ shape }) => elementCount(shape));
  const subject = await maker.create({
    rule: "sgd",
    tensors: params.map(({ shape }, k) => ({ shape, data: new Float32Array(sizes[k]!) })),
    groups: [{ tensors: [...params.keys()], options: { lr: 0, momentum: 0, weightDecay: 0 } }],
    ...(decay === null ? { swa: {} } : { ema: { decay } }),
  });
  if (!subject.writeParam || !subject.readEvaluated) throw new Error("this subject has no averages");
  try {
    for (let step = 1; step <= steps; step++) {
      for (const [k, { values }] of params.entries()) {
        subject.writeParam(k, generate(values, seed, INIT_STREAM + k, step, sizes[k]!));
        subject.writeGrad(k, new Float32Array(sizes[k]!));
      }
      await subject.step();
      const snapshot = one.snapshots.find((taken) => taken.step === step);
      for (const [k, expected] of snapshot?.params.entries() ?? []) {
        const at = { at: `step ${step}`, key: `p${k}`, name: "average" };
        comparison.tensor(at, await subject.readEvaluated(k), expected);
      }
    }
  } finally {
    subject.destroy();
  }
}
