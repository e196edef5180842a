/** Checks the results of several implementations, then times them in turns next to a baseline. */
import { checkedSteps, errorOverAllowed } from "./adamw-float64.ts";
import { type CaseName, type CaseTensor, caseTensors } from "./cases.ts";
import { countedStep } from "./counted-step.ts";
import type { Implementation } from "./implementation.ts";
import { median, ratioToBaseline, timeInRounds, warmUp } from "./rounds.ts";
import type { SuiteContext, TimedSuite } from "./suite.ts";

export type Make = (device: GPUDevice, tensors: readonly CaseTensor[]) => Promise<Implementation>;

/** The page must give the GPU process room to answer; 12 ms of steps in a row are enough for a median. */
const TURN_MS = 12;

/** One case: every implementation in `makes`, by name, gets a row. `baseline` is one of them, and every ratio is to it. */
export async function compare(
  { request, device, row, progress }: SuiteContext,
  suite: TimedSuite,
  caseName: CaseName,
  makes: readonly (readonly [string, Make])[],
  baseline: string,
): Promise<void> {
  const tensors = caseTensors(caseName);
  const running: Implementation[] = [];
  const errors = new Map<string, number>();
  for (const [name, make] of makes) {
    await progress(`${suite} ${caseName}: ${name}`);
    const implementation = await make(device, tensors);
    running.push(implementation);
    errors.set(name, await check(caseName, implementation));
  }

  const ready = running.find(({ name }) => name === baseline)!;
  const stepMs = await warmUp(ready, 20);
  const others = running.filter((implementation) => implementation !== ready);
  for (const other of others) await warmUp(other, 8);
  const stepsPerTurn = Math.min(9, Math.max(3, Math.round(TURN_MS / stepMs)));
  await progress(`${suite} ${caseName}: ${request.rounds} rounds of ${stepsPerTurn} steps each`);
  const times = await timeInRounds(ready, others, { rounds: request.rounds, stepsPerTurn });

  for (const implementation of running) {
    const measured = times.get(implementation.name)!;
    await row({
      suite,
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
