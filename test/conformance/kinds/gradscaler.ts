import type { Comparison } from "../compare.ts";
import type { GradScalerCase } from "../golden/gradscaler.ts";
import { gradientAt, initialParameters } from "../golden/trajectory.ts";
import { groupOptions, ruleOf } from "../optimizers.ts";
import type { ScalerOptions, SharedScaler, Subject, SubjectMaker } from "../subject.ts";

/** Dynamic loss scaling: which steps are skipped, how the scale moves, and that nothing else tells of it. */
export async function runGradScaler(one: GradScalerCase, maker: SubjectMaker, comparison: Comparison): Promise<void> {
  const inits = initialParameters(one);
  inits.forEach((data, k) => {
    comparison.remember(`p${k}`, data);
  });
  const scaler: ScalerOptions = {
    initial: one.scaler.init_scale,
    growthFactor: one.scaler.growth_factor,
    backoffFactor: one.scaler.backoff_factor,
    growthInterval: one.scaler.growth_interval,
  };
  const shared = one.oneOptimizerPerParam ? await maker.createScaler(scaler) : undefined;
  const subjects: Subject[] = [];
  try {
    // Which parameters each optimizer has.
    const parts = shared ? inits.map((_, k) => [k]) : [[...inits.keys()]];
    for (const part of parts) {
      subjects.push(
        await maker.create({
          rule: ruleOf(one.optimizer),
          tensors: part.map((k) => ({ shape: one.params[k]!.shape, data: inits[k]! })),
          groups: [{ tensors: [...part.keys()], options: groupOptions(one.optimizer, one.options) }],
          ...(one.clipNormAfterUnscale !== null && { clip: { globalNorm: one.clipNormAfterUnscale } }),
          lossScale: shared ?? scaler,
          figures: true,
        }),
      );
    }
    await runSteps(one, parts, subjects, shared, comparison);
  } finally {
    for (const subject of subjects) subject.destroy();
    shared?.destroy();
  }
}

async function runSteps(
  one: GradScalerCase,
  parts: readonly (readonly number[])[],
  subjects: readonly Subject[],
  shared: SharedScaler | undefined,
  comparison: Comparison,
): Promise<void> {
  const readScale = () => (shared ? shared.read() : subjects[0]!.readLossScale());
  for (const { step, scaleUsed, foundInf, scaleAfter, growthTrackerAfter } of one.log) {
    const { scale } = await readScale();
    comparison.equal(`step ${step} scaleUsed`, scale, scaleUsed);
    for (const [i, part] of parts.entries()) {
      part.forEach((k, local) => {
        const grad = scaledGradient(one, k, step, scale);
        if (grad) subjects[i]!.writeGrad(local, grad);
        else subjects[i]!.withoutGrad(local);
      });
      const figures = await subjects[i]!.step();
      comparison.equal(`step ${step} foundInf[${i}]`, figures?.skipped, foundInf[i]!);
    }
    shared?.update();
    const after = await readScale();
    comparison.equal(`step ${step} scaleAfter`, after.scale, scaleAfter);
    comparison.equal(`step ${step} growthTrackerAfter`, after.growthTracker, growthTrackerAfter);

    const snapshot = one.snapshots.find((taken) => taken.step === step);
    for (const [i, part] of parts.entries()) {
      for (const [local, k] of part.entries()) {
        const expected = snapshot?.params[k];
        if (!expected) continue;
        const at = { at: `step ${step}`, key: `p${k}`, name: "param" };
        comparison.tensor(at, await subjects[i]!.readParam(local), expected);
      }
    }
  }
  for (const [i, part] of parts.entries()) {
    for (const [local, k] of part.entries()) {
      const count = one.finalStepCount[k];
      if (typeof count !== "number") continue;
      comparison.equal(`p${k}.step at the end`, (await subjects[i]!.readState(local)).step, count);
    }
  }
}

/** The gradient times the scale in float32, then with the injected values; null at a step without gradient. */
function scaledGradient(one: GradScalerCase, k: number, step: number, scale: number): Float32Array | null {
  const grad = gradientAt(one.params[k]!, one.seed, k, step)?.map((x) => x * scale);
  if (!grad) return null;
  for (const injected of one.inject) {
    if (injected.step === step && injected.param === k) grad[injected.index] = injected.value;
  }
  return grad;
}
