import { gradient, initialValues } from "../../reference/prng.ts";
import type { Comparison } from "../compare.ts";
import type { LargeCase, SampledTensor } from "../golden/large.ts";
import { planOf } from "../optimizers.ts";
import type { SubjectMaker } from "../subject.ts";

/** Tensors of up to tens of millions of elements: compared at some positions and by their sums. */
export async function runLarge(one: LargeCase, maker: SubjectMaker, comparison: Comparison): Promise<void> {
  const { seed, size, steps } = one;
  const data = initialValues(one.init, seed, 0, size);
  comparison.remember(
    "p0",
    one.index.map((i) => data[i]!),
  );
  const plan = planOf(one.optimizer, one.options);
  const subject = await maker.create({
    ...plan,
    tensors: [{ shape: [size], data }],
    groups: [{ tensors: [0], options: plan.groups[0]! }],
    figures: true,
  });
  try {
    for (let step = 1; step <= steps; step++) {
      subject.writeGrad(0, gradient(one.grad, seed, 0, step, size));
      const figures = await subject.step();
      const [norm2, , largest] = one.gradNorms64[step - 1]!;
      comparison.number(`step ${step} gradNorm`, figures?.gradNorm, norm2!);
      comparison.number(`step ${step} maxGrad`, figures?.maxGrad, largest!);
    }
    const { param, ...slots } = one.final;
    compareSampled(comparison, "p0", "param", await subject.readParam(0), one.index, param!);
    const state = await subject.readState(0);
    for (const [name, expected] of Object.entries(slots)) {
      compareSampled(comparison, `p0.${name}`, name, state.slots[name], one.index, expected);
    }
  } finally {
    subject.destroy();
  }
}

function compareSampled(
  comparison: Comparison,
  key: string,
  name: string,
  actual: Float32Array | undefined,
  index: readonly number[],
  expected: SampledTensor,
): void {
  const sampled = actual && index.map((i) => actual[i] ?? Number.NaN);
  comparison.tensor({ key, name }, sampled, expected);
  let sum = 0;
  let sumAbs = 0;
  let squares = 0;
  for (let i = 0; i < (actual?.length ?? 0); i++) {
    const x = actual![i]!;
    sum += x;
    sumAbs += Math.abs(x);
    squares += x * x;
  }
  comparison.number(`${key} sumAbs`, sumAbs, expected.sumAbs);
  // Terms of both signs cancel to a millionth, and their rounding errors add up like a random walk: as the 2-norm does.
  comparison.number(`${key} sum`, sum, expected.sum, Math.max(Math.abs(expected.sum), Math.sqrt(squares)));
}
