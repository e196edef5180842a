import { elementCount, gradient } from "../../reference/prng.ts";
import { type Comparison, NUMBER_TOLERANCE } from "../compare.ts";
import { gradientAt, initialParameters, type TrajectoryCase } from "../golden/trajectory.ts";
import { type Plan, planOf, slotOf, whyUnsupported } from "../optimizers.ts";
import type { Subject, SubjectMaker, SubjectState } from "../subject.ts";

type SnapshotState = TrajectoryCase["snapshots"][number]["state"][number];

const groupsOf = ({ groups }: TrajectoryCase) => groups.map(({ options }) => options);

/** Why a trajectory cannot be run; undefined if it can. */
export function whyUnsupportedCase(one: TrajectoryCase): string | undefined {
  return whyUnsupported(one.optimizer, one.constructorOptions);
}

/** The case in the words of the engine, with learning rates that may have changed. */
export function planOfCase(one: TrajectoryCase, lr?: readonly number[]): Plan {
  const given = groupsOf(one).map((options, g) => (lr ? { ...options, lr: lr[g]! } : options));
  const plan = planOf(one.optimizer, one.constructorOptions, given);
  const groups = plan.groups.map((options, g) => {
    const { decoupledWeightDecay } = one.groups[g]!;
    if (decoupledWeightDecay === undefined) return options;
    if (options.weightDecay) throw new Error(`${one.id} has two kinds of weight decay in one group`);
    return { ...options, weightDecay: decoupledWeightDecay, decayMode: "decoupled" as const };
  });
  return { ...plan, groups };
}

/** Estimates of curvature, where the case has them before this step. */
export function estimatesAt({ hessianSteps = [], params, seed }: TrajectoryCase, step: number) {
  if (!hessianSteps.includes(step)) return undefined;
  // Beside the streams of gradients and of initial values.
  return params.map(({ grad, shape }, k) => gradient(grad, seed, 0x2000 + k, step, elementCount(shape)));
}

/** Runs an optimizer along a trajectory and compares parameters and state at the snapshots. */
export async function runTrajectory(one: TrajectoryCase, maker: SubjectMaker, comparison: Comparison): Promise<void> {
  const tensors = initialParameters(one).map((data, k) => ({ shape: one.params[k]!.shape, data }));
  tensors.forEach(({ data }, k) => {
    comparison.remember(`p${k}`, data);
  });
  let plan = planOfCase(one);
  const subject = await maker.create({
    ...plan,
    tensors,
    groups: one.groups.map((group, g) => ({ tensors: group.params, options: plan.groups[g]! })),
  });
  try {
    for (let step = 1; step <= one.steps; step++) {
      const change = one.lrChanges?.findLast((entry) => entry.step === step);
      if (change) {
        const changed = planOfCase(one, change.lr);
        follow(subject, plan, changed);
        plan = changed;
      }
      const estimates = estimatesAt(one, step);
      if (estimates) offered(subject.observe, "estimates of curvature").call(subject, estimates);
      one.params.forEach((parameter, k) => {
        const grad = gradientAt(parameter, one.seed, k, step);
        if (grad) subject.writeGrad(k, grad);
        else subject.withoutGrad(k);
      });
      await subject.step();
      const snapshot = one.snapshots.find((taken) => taken.step === step);
      if (snapshot) await compareSnapshot(one, plan, subject, snapshot, comparison);
    }
  } finally {
    subject.destroy();
  }
}

/** Changes what a changed lr changes: itself, and in some references the decay. */
function follow(subject: Subject, before: Plan, after: Plan): void {
  after.groups.forEach(({ lr, weightDecay }, g) => {
    if (lr !== undefined) subject.setLr(g, lr);
    if (weightDecay !== undefined && weightDecay !== before.groups[g]!.weightDecay)
      offered(subject.setWeightDecay, "changes of the decay").call(subject, g, weightDecay);
  });
}

async function compareSnapshot(
  one: TrajectoryCase,
  plan: Plan,
  subject: Subject,
  snapshot: TrajectoryCase["snapshots"][number],
  comparison: Comparison,
): Promise<void> {
  const when = `step ${snapshot.step}`;
  for (const k of one.params.keys()) {
    const at = { at: when, key: `p${k}`, name: "param" };
    const expected = snapshot.params[k];
    if (expected) comparison.tensor(at, await subject.readParam(k), expected);
    const evaluated = snapshot.evalParams?.[k];
    if (evaluated) {
      const read = offered(subject.readEvaluated, "parameters to evaluate with");
      comparison.tensor({ ...at, key: `p${k}.evaluated` }, await read.call(subject, k), evaluated);
    }
    const { step, slots } = await subject.readState(k);
    const options = plan.groups[one.groups.findIndex(({ params }) => params.includes(k))]!;
    const asThere = Object.entries({ ...unborn(step, snapshot.state[k]!), ...slots }).map(
      ([name, x]) => [name, Float32Array.from(slotOf(one, name, x, options, step))] as const,
    );
    compareState(comparison, at, { step, slots: Object.fromEntries(asThere) }, snapshot.state[k]!);
  }
  for (const [g, expected] of snapshot.groupState?.entries() ?? []) {
    await compareGroup(one, g, { expected, relative: snapshot.groupStateF32Rel?.[g] ?? {} }, subject, comparison, when);
  }
}

/** What references call the number of steps that a group has had. */
const COUNTS = ["k", "step", "lookahead_step"];

async function compareGroup(
  one: TrajectoryCase,
  g: number,
  { expected, relative }: Record<"expected" | "relative", Readonly<Record<string, number>>>,
  subject: Subject,
  comparison: Comparison,
  when: string,
): Promise<void> {
  for (const [name, value] of Object.entries(expected)) {
    const where = `${when} group ${g} ${name}`;
    if (!COUNTS.includes(name)) {
      const numbers = await offered(subject.readNumbers, "numbers of groups").call(subject, g);
      const tolerance = 4 * (relative[name] ?? 0) + 2 ** -21;
      comparison.number(where, numbers[name], value, (Math.abs(value) * tolerance) / NUMBER_TOLERANCE);
      continue;
    }
    // Counts by tensor are the same where no gradient is ever missing.
    for (const k of one.groups[g]!.params) {
      if (one.params[k]!.noGradSteps?.length) continue;
      comparison.equal(`${where} of p${k}`, (await subject.readState(k)).step, value);
    }
  }
}

function offered<T>(method: T | undefined, what: string): T {
  if (method === undefined) throw new Error(`this subject has no ${what}`);
  return method;
}

/** Before its first gradient a tensor has no state here, or zeros; some references make it at construction. */
function unborn(step: number, expected: SnapshotState): Record<string, Float32Array> {
  if (step > 0) return {};
  const tensors = Object.entries(expected).flatMap(([name, value]) =>
    typeof value === "object" ? [[name, new Float32Array(value.values.length)]] : [],
  );
  return Object.fromEntries(tensors);
}

/** Compares what the reference stores of a tensor's state with what the subject has of it. */
function compareState(
  comparison: Comparison,
  { at, key }: { at: string; key: string },
  actual: SubjectState,
  expected: SnapshotState,
): void {
  for (const [name, value] of Object.entries(expected)) {
    const slot = actual.slots[name];
    if (typeof value === "object") comparison.tensor({ at, key: `${key}.${name}`, name }, slot, value);
    else if (name === "step") comparison.equal(`${at} ${key}.step`, actual.step, value);
    else comparison.number(`${at} ${key}.${name}`, slot?.[0], value);
  }
}
