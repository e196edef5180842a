import type { Comparison } from "../compare.ts";
import type { CheckedTensor } from "../golden/tensor.ts";
import { gradientAt, initialParameters, type TrajectoryCase } from "../golden/trajectory.ts";
import { type GroupOptions, groupOptions, ruleOf, whyUnsupported } from "../optimizers.ts";
import type { SubjectMaker, SubjectState } from "../subject.ts";

/** Why a trajectory cannot be run; undefined if it can. */
export function whyUnsupportedCase({ optimizer, constructorOptions, groups }: TrajectoryCase): string | undefined {
  const reasons = groups.map(({ options }) => whyUnsupported(optimizer, constructorOptions, options));
  return reasons.find((reason) => reason !== undefined);
}

/** Runs an optimizer along a trajectory and compares parameters and state at the snapshots. */
export async function runTrajectory(one: TrajectoryCase, maker: SubjectMaker, comparison: Comparison): Promise<void> {
  refuseWhatNothingCompares(one);
  const tensors = initialParameters(one).map((data, k) => ({ shape: one.params[k]!.shape, data }));
  tensors.forEach(({ data }, k) => {
    comparison.remember(`p${k}`, data);
  });
  const subject = await maker.create({
    rule: ruleOf(one.optimizer),
    tensors,
    groups: one.groups.map((group) => ({ tensors: group.params, options: optionsOf(one, group) })),
  });
  try {
    for (let step = 1; step <= one.steps; step++) {
      const change = one.lrChanges?.findLast((entry) => entry.step === step);
      change?.lr.forEach((lr, group) => {
        subject.setLr(group, lr);
      });
      one.params.forEach((parameter, k) => {
        const grad = gradientAt(parameter, one.seed, k, step);
        if (grad) subject.writeGrad(k, grad);
        else subject.withoutGrad(k);
      });
      await subject.step();
      const snapshot = one.snapshots.find((taken) => taken.step === step);
      if (!snapshot) continue;
      for (const k of one.params.keys()) {
        const at = { at: `step ${step}`, key: `p${k}`, name: "param" };
        const expected = snapshot.params[k];
        if (expected) comparison.tensor(at, await subject.readParam(k), expected);
        compareState(comparison, at, await subject.readState(k), snapshot.state[k]!);
      }
      for (const [g, expected] of snapshot.groupState?.entries() ?? []) {
        // Some references count for a whole group. Counts by tensor are the same where no gradient is ever missing.
        for (const k of one.groups[g]!.params)
          comparison.equal(`step ${step} p${k}.step`, (await subject.readState(k)).step, expected.step ?? Number.NaN);
      }
    }
  } finally {
    subject.destroy();
  }
}

/** Compares what the reference stores of a tensor's state with what the subject has of it. */
export function compareState(
  comparison: Comparison,
  { at, key }: { at: string; key: string },
  actual: SubjectState,
  expected: Readonly<Record<string, CheckedTensor | number>>,
): void {
  for (const [name, value] of Object.entries(expected)) {
    // Before its first gradient a tensor has no state here, or zeros; some references make it at construction.
    const unborn = actual.step === 0 && typeof value === "object" ? new Float32Array(value.values.length) : undefined;
    const slot = actual.slots[name] ?? unborn;
    if (typeof value === "object") comparison.tensor({ at, key: `${key}.${name}`, name }, slot, value);
    else if (name === "step") comparison.equal(`${at} ${key}.step`, actual.step, value);
    else comparison.number(`${at} ${key}.${name}`, slot?.[0], value);
  }
}

function optionsOf(one: TrajectoryCase, group: TrajectoryCase["groups"][number]): GroupOptions {
  const options = groupOptions(one.optimizer, one.constructorOptions, group.options);
  const { decoupledWeightDecay } = group;
  if (decoupledWeightDecay === undefined) return options;
  if (options.weightDecay) throw new Error(`${one.id} has two kinds of weight decay in one group`);
  return { ...options, weightDecay: decoupledWeightDecay, decayMode: "decoupled" };
}

function refuseWhatNothingCompares({ hessianSteps, snapshots }: TrajectoryCase): void {
  const extra = snapshots.flatMap(({ evalParams, groupState = [] }) => [
    ...(evalParams ? ["evalParams"] : []),
    ...groupState.flatMap((numbers) => Object.keys(numbers).filter((name) => name !== "step")),
  ])[0];
  if (hessianSteps || extra) throw new Error(`nothing here compares ${hessianSteps ? "hessianSteps" : extra}`);
}
