/** The engine's part of the run that PyTorch begins and ends. */
import { readCheckpoint, writeCheckpoint } from "../../src/checkpoint/index.ts";
import { createOptimizer, type GroupSpec, type Optimizer, type Rule, type StateDict } from "../../src/index.ts";
import { groupOptions, ruleOf } from "../conformance/optimizers.ts";
import { elementCount, gradient, type ValueSpec } from "../reference/prng.ts";
import run from "./cases.json";

/** The rules' makers, by name. */
type Rules = Readonly<Record<string, () => Rule>>;

/** An optimizer as the page would make it before it loads the file: with parameters of its own. */
function makeOptimizer(device: GPUDevice, id: string, rules: Rules): Promise<Optimizer> {
  const one = run.cases.find((c) => c.id === id)!;
  const names = ["weights", "biases"];
  return createOptimizer(device, {
    rule: rules[ruleOf(one.optimizer)]!(),
    params: run.params.map(({ name, shape }) => ({ name, shape })),
    // Its own groups, with schedules that go on from the count of updates in the file.
    groups: one.groups.map(
      ({ lr, ...options }, g): GroupSpec => ({
        ...groupOptions(one.optimizer, {}, options),
        // The real PyTorch of a test may be one that the rule follows only if it is asked to.
        ...("engine" in one ? one.engine : {}),
        match: ({ name }) => run.params.some((p) => p.name === name && p.group === g),
        name: names[g]!,
        lr: (step: number) => lr * run.lrFactor ** step,
      }),
    ),
  });
}

/**
 * Loads the file of step 20, takes steps 21 to 40 and returns the file of step 40.
 *
 * @param edit - what is done to the state before it is loaded; nothing but in tests of the test
 */
export async function continueRun(
  device: GPUDevice,
  id: string,
  file: ArrayBuffer,
  rules: Rules,
  edit = (state: StateDict): StateDict => state,
): Promise<Uint8Array<ArrayBuffer>> {
  const optimizer = await makeOptimizer(device, id, rules);
  const { state } = readCheckpoint(file, { like: await optimizer.stateDict() });
  await optimizer.loadStateDict(edit(state));
  for (let step = state.stepsApplied + 1; step <= 2 * run.steps; step++) {
    run.params.forEach(({ name, shape, firstGrad }, k) => {
      if (step < firstGrad) optimizer.withoutGrad(name);
      else optimizer.writeGrad(name, gradient(run.grad as ValueSpec, run.seed, k, step, elementCount(shape)));
    });
    optimizer.step();
  }
  const done = await optimizer.stateDict();
  optimizer.destroy();
  return writeCheckpoint(done);
}
