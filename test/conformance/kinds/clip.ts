import { elementCount, gradient } from "../../reference/prng.ts";
import type { Comparison } from "../compare.ts";
import type { ClipCase } from "../golden/clip.ts";
import type { SubjectMaker } from "../subject.ts";

/**
 * Gradient clipping. SGD with a learning rate of 1 turns parameters of zero into the negative of the clipped gradient.
 * Non-finite gradients go through here, since the reference clips them as well.
 */
export async function runClip(one: ClipCase, maker: SubjectMaker, comparison: Comparison): Promise<void> {
  const shapes = one.tensors.map((tensor) => tensor?.shape ?? [1]);
  const subject = await maker.create({
    rule: "sgd",
    tensors: shapes.map((shape) => ({ shape, data: new Float32Array(elementCount(shape)) })),
    groups: [{ tensors: shapes.map((_, k) => k), options: { lr: 1, momentum: 0, weightDecay: 0 } }],
    clip:
      one.op === "norm"
        ? { globalNorm: one.args.max_norm, normType: one.args.norm_type }
        : { value: one.args.clip_value },
    skipNonFinite: false,
    figures: true,
  });
  try {
    one.tensors.forEach((tensor, k) => {
      if (tensor) subject.writeGrad(k, gradientOf(one, tensor, k));
      else subject.withoutGrad(k);
    });
    const figures = await subject.step();
    if (one.op === "norm") {
      comparison.number("totalNorm", figures?.gradNorm, one.totalNorm);
      comparison.number("clipCoef", figures?.clipFactor, one.clipCoef);
    }
    for (const [k, expected] of one.clipped.entries()) {
      const clipped = (await subject.readParam(k)).map((x) => -x);
      if (expected) comparison.tensor({ key: `p${k}`, name: "clipped" }, clipped, expected);
      else comparison.equal(`p${k} without gradient`, Math.abs(clipped[0]!), 0);
    }
  } finally {
    subject.destroy();
  }
}

function gradientOf(one: ClipCase, tensor: NonNullable<ClipCase["tensors"][number]>, k: number): Float32Array {
  const grad = gradient(tensor.grad, one.seed, k, 1, elementCount(tensor.shape));
  for (const { tensor: target, index, value } of one.inject ?? []) {
    if (target === k) grad[index] = value;
  }
  return grad;
}
