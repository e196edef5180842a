import { countCalls } from "../test/browser/count-calls.ts";
import type { Timed } from "./implementation.ts";
import type { CallCounts } from "./suite.ts";

/** Steps that are counted; what an implementation does only now and then shall show up as well. */
const STEPS = 24;

/** WebGPU calls of a step on the implementation's own device, the largest number of each over some steps. */
export async function countedStep(implementation: Timed, steps = STEPS): Promise<CallCounts> {
  const counter = countCalls();
  let most: CallCounts | undefined;
  try {
    for (let i = 0; i < steps; i++) {
      counter.reset();
      implementation.step();
      await implementation.done();
      const { dispatches, passes, submits, createBuffer, createBindGroup, writeBuffer, mapAsync } = counter.read();
      const now: CallCounts = { dispatches, passes, submits, createBuffer, createBindGroup, writeBuffer, mapAsync };
      most = most ? largest(most, now) : now;
    }
  } finally {
    counter.stop();
  }
  return most!;
}

function largest(a: CallCounts, b: CallCounts): CallCounts {
  const names = Object.keys(a) as (keyof CallCounts)[];
  return Object.fromEntries(names.map((name) => [name, Math.max(a[name], b[name])])) as unknown as CallCounts;
}
