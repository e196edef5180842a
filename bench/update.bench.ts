/**
 * One AdamW step, ours against peers and floors: the results are checked first, then all are timed in turns.
 */
import { checkedSteps, errorOverAllowed } from "./adamw-float64.ts";
import { type CaseName, type CaseTensor, caseTensors } from "./cases.ts";
import { countedStep } from "./counted-step.ts";
import { copies, stream } from "./impl/floors.ts";
import { jaxAdamw } from "./impl/jax-js.ts";
import { ours, type Variant, variants } from "./impl/ours.ts";
import { tfjsAdam } from "./impl/tfjs.ts";
import type { Implementation } from "./implementation.ts";
import { median, ratioToBaseline, timeInRounds, warmUp } from "./rounds.ts";
import type { Suite } from "./suite.ts";

type Make = (device: GPUDevice, tensors: readonly CaseTensor[]) => Promise<Implementation>;

const baseline = "ours" satisfies Variant;

const implementations = new Map<string, Make>([
  ...Object.keys(variants).map((name): [string, Make] => [name, (device, t) => ours(device, t, name as Variant)]),
  ["tfjs", (_, tensors) => tfjsAdam(tensors)],
  ["jax-js", (_, tensors) => jaxAdamw(tensors)],
  ["stream", stream],
  ["copy", copies],
]);

/** The page must give the GPU process room to answer; 12 ms of steps in a row are enough for a median. */
const TURN_MS = 12;

export const update: Suite = async ({ request, device, row, progress }) => {
  const unknown = request.impls.filter((name) => !implementations.has(name));
  if (unknown.length)
    throw new Error(`no implementation "${unknown[0]}"; there are ${[...implementations.keys()].join(", ")}`);
  // The baseline always runs: every ratio is to it.
  const chosen = [...implementations].filter(
    ([name]) => name === baseline || request.impls.length === 0 || request.impls.includes(name),
  );

  for (const caseName of request.cases) {
    const tensors = caseTensors(caseName);
    const running: Implementation[] = [];
    const errors = new Map<string, number>();
    for (const [name, make] of chosen) {
      await progress(`update ${caseName}: ${name}`);
      const implementation = await make(device, tensors);
      running.push(implementation);
      errors.set(name, await check(caseName, implementation));
    }

    const ready = running.find(({ name }) => name === baseline)!;
    const stepMs = await warmUp(ready, 20);
    const others = running.filter((implementation) => implementation !== ready);
    for (const other of others) await warmUp(other, 8);
    const stepsPerTurn = Math.min(9, Math.max(3, Math.round(TURN_MS / stepMs)));
    await progress(`update ${caseName}: ${request.rounds} rounds of ${stepsPerTurn} steps each`);
    const times = await timeInRounds(ready, others, { rounds: request.rounds, stepsPerTurn });

    for (const implementation of running) {
      const measured = times.get(implementation.name)!;
      await row({
        suite: "update",
        case: caseName,
        impl: implementation.name,
        median_ms: median(measured.wall),
        min_ms: Math.min(...measured.wall),
        host_ms: median(measured.host),
        over_ours: ratioToBaseline(measured),
        counts: await countedStep(implementation),
        error: errors.get(implementation.name)!,
      });
    }
    for (const implementation of running) implementation.destroy();
  }
};

/** Runs the checked steps and returns the largest error in units of what is allowed. */
async function check(caseName: CaseName, implementation: Implementation): Promise<number> {
  for (const factor of checkedSteps) {
    implementation.scaleGradients(factor);
    implementation.step();
  }
  await implementation.done();
  const error = errorOverAllowed(await implementation.readParams(), implementation.expectedParams());
  if (error > 1) {
    throw new Error(`${caseName}, ${implementation.name}: wrong result, ${error} times the allowed error`);
  }
  await implementation.checkReport?.();
  return error;
}
