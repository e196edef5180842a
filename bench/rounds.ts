/** Timing in rounds, and what is computed from the times. */
import type { Timed } from "./implementation.ts";

/** Times of one implementation against the baseline, measured in turns with it. One entry a round, in milliseconds. */
export interface Times {
  /** A step until the GPU is done: waited for one by one, or queued and waited for once, whichever is faster per step. */
  readonly wall: number[];
  /** The step call alone, on the CPU. */
  readonly host: number[];
  /** The baseline's step, measured directly before or after. */
  readonly baselineWall: number[];
}

export interface RoundOptions {
  readonly rounds: number;
  /** Steps in a row of one implementation; the round's time is their median. */
  readonly stepsPerTurn: number;
}

/**
 * Every round measures each implementation directly next to a turn of the baseline, so that whatever else the machine
 * does hits both and leaves their ratio alone. Which of the two goes first alternates.
 */
export async function timeInRounds(
  baseline: Timed,
  others: readonly Timed[],
  { rounds, stepsPerTurn }: RoundOptions,
): Promise<Map<string, Times>> {
  const times = new Map(others.map(({ name }) => [name, { wall: [], host: [], baselineWall: [] } as Times]));
  const own: Times = { wall: [], host: [], baselineWall: [] };
  for (let round = 0; round < rounds; round++) {
    for (const other of others) {
      const pair = round % 2 === 0 ? [baseline, other] : [other, baseline];
      for (const implementation of pair) {
        const { wall, host } = await turn(implementation, stepsPerTurn);
        const into = implementation === baseline ? own : times.get(other.name)!;
        into.wall.push(wall);
        into.host.push(host);
        if (implementation === baseline) times.get(other.name)!.baselineWall.push(wall);
      }
    }
  }
  own.baselineWall.push(...own.wall);
  return times.set(baseline.name, own);
}

async function turn(implementation: Timed, steps: number): Promise<{ wall: number; host: number }> {
  const wall: number[] = [];
  const host: number[] = [];
  for (let i = 0; i < steps; i++) {
    const start = performance.now();
    implementation.step();
    const returned = performance.now();
    await implementation.done();
    wall.push(performance.now() - start);
    host.push(returned - start);
  }
  // Training queues steps; some peers are slower when their queue runs ahead. Each is taken at its best.
  const start = performance.now();
  for (let i = 0; i < steps; i++) implementation.step();
  await implementation.done();
  const queued = (performance.now() - start) / steps;
  return { wall: Math.min(median(wall), queued), host: median(host) };
}

/** Steps that are not measured: pipelines, pools and caches come to rest. Returns the last step's time. */
export async function warmUp(implementation: Timed, steps: number): Promise<number> {
  let last = 0;
  for (let i = 0; i < steps; i++) last = (await turn(implementation, 1)).wall;
  return last;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median of the rounds' ratios: implementation over baseline. */
export function ratioToBaseline({ wall, baselineWall }: Times): number {
  return median(wall.map((ms, round) => ms / baselineWall[round]!));
}
