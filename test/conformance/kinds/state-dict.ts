import { elementCount, gradient, initialValues } from "../../reference/prng.ts";
import type { Comparison } from "../compare.ts";
import type { StateDictCase, StoredTensor } from "../golden/state-dict.ts";
import { groupOptions, ruleOf } from "../optimizers.ts";
import type { SubjectMaker } from "../subject.ts";

/** Learning rate of the second group: the first parameter is alone in the first one. */
const SECOND_LR = 0.005;

/** What a state dict holds, against that of PyTorch: the same tensors, names, shapes and values. */
export async function runStateDict(one: StateDictCase, maker: SubjectMaker, comparison: Comparison): Promise<void> {
  const { params, seed, stateDict, optimizer } = one;
  const subject = await maker.create({
    rule: ruleOf(optimizer),
    tensors: params.map(({ shape, init }, k) => ({ shape, data: initialValues(init, seed, k, elementCount(shape)) })),
    groups: [
      { tensors: [0], options: groupOptions(optimizer, one.constructorOptions) },
      {
        tensors: params.slice(1).map((_, i) => i + 1),
        options: groupOptions(optimizer, one.constructorOptions, { lr: SECOND_LR }),
      },
    ],
  });
  try {
    for (let step = 1; step <= one.steps; step++) {
      params.forEach(({ shape, grad }, k) => {
        if (one.paramsWithoutGrad.includes(k)) subject.withoutGrad(k);
        else subject.writeGrad(k, gradient(grad, seed, k, step, elementCount(shape)));
      });
      await subject.step();
    }
    const { tensors: entries, groups } = await subject.stateDict();
    if (groups) compareGroups(one, groups, comparison);
    // PyTorch's Adagrad has entries before the first gradient too.
    const born = Object.keys(stateDict.state).filter((key) => countOf(stateDict.state[key]!.step) !== 0);
    comparison.equal("parameters with state", [...entries.keys()].sort().join(), born.join());
    for (const [key, expected] of Object.entries(stateDict.state)) {
      const { step, ...slots } = expected;
      const actual = entries.get(Number(key)) ?? (await subject.readState(Number(key)));
      if (actual.step === 0) {
        for (const slot of Object.values(actual.slots))
          comparison.equal(
            `state.${key} is zero`,
            slot.every((x) => x === 0),
            true,
          );
        continue;
      }
      comparison.equal(`state.${key} slots`, Object.keys(actual.slots).sort().join(), Object.keys(slots).sort().join());
      const count = countOf(step);
      if (count !== undefined) comparison.equal(`state.${key}.step`, actual.step, count);
      for (const [name, value] of Object.entries(slots)) {
        const where = { key: `state.${key}.${name}`, name };
        if (typeof value === "number") comparison.number(where.key, actual.slots[name]?.[0], value);
        // A float32 run stands there, not the truth, so it brings no deviation of its own.
        else comparison.tensor(where, actual.slots[name], { ...truth(value.data), shape: value.shape });
      }
    }
  } finally {
    subject.destroy();
  }
}

/** Switches between implementations of the same numbers. */
const IMPLEMENTATION = ["foreach", "fused", "capturable", "differentiable"];

function compareGroups(
  { optimizer, stateDict }: StateDictCase,
  groups: readonly Readonly<Record<string, unknown>>[],
  comparison: Comparison,
): void {
  stateDict.param_groups.forEach((group, g) => {
    const options = Object.entries(group.options).filter(([name]) => !IMPLEMENTATION.includes(name));
    for (const [name, expected] of Object.entries(groupOptions(optimizer, Object.fromEntries(options)))) {
      comparison.equal(`param_groups[${g}].${name}`, JSON.stringify(groups[g]?.[name]), JSON.stringify(expected));
    }
  });
}

/** A number, whether it stands by itself or as a tensor without dimensions. */
function countOf(value: number | StoredTensor | undefined): number | undefined {
  return typeof value === "object" ? value.data[0] : value;
}

function truth(data: readonly number[]) {
  return { values: Float64Array.from(data), deviation: null };
}
