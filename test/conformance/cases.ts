/** From a golden file to its cases, each of which can be run or says why not. */

import { Comparison, type Criterion } from "./compare.ts";
import type { GoldenFile } from "./golden/parse.ts";
import { runAveraging } from "./kinds/averaging.ts";
import { runClip } from "./kinds/clip.ts";
import { type RunTraining, runE2e, whyUnsupportedRun } from "./kinds/e2e.ts";
import { runGradScaler } from "./kinds/gradscaler.ts";
import { runLarge } from "./kinds/large.ts";
import { runPrng, runPrngWords } from "./kinds/prng.ts";
import { type RunSchedule, runSchedulers } from "./kinds/schedulers.ts";
import { runStateDict } from "./kinds/state-dict.ts";
import { runTrajectory, whyUnsupportedCase } from "./kinds/trajectory.ts";
import { whyUnsupported } from "./optimizers.ts";
import type { SubjectMaker } from "./subject.ts";

export interface Environment {
  readonly maker: SubjectMaker;
  readonly runSchedule: RunSchedule;
  /** Absent where nothing here trains networks. */
  readonly runTraining?: RunTraining;
  readonly criterion: Criterion;
}

export interface ConformanceCase {
  readonly id: string;
  /** Why it cannot be run; undefined if it can. */
  readonly skip: string | undefined;
  run(environment: Environment, comparison: Comparison): Promise<void> | void;
}

export interface Outcome {
  readonly id: string;
  readonly status: "passed" | "failed" | "skipped";
  /** Number of values compared. */
  readonly compared: number;
  /** Largest error as a fraction of its budget, and where it was. */
  readonly worst: number;
  readonly where: string;
  /** What is wrong, or why it was skipped. */
  readonly messages: readonly string[];
}

type Run = ConformanceCase["run"];

function toCase(id: string, run: Run, optimizer?: string): ConformanceCase {
  return { id, skip: optimizer === undefined ? undefined : whyUnsupported(optimizer), run };
}

/** The cases of a file in their order. */
export function casesOf(file: GoldenFile): ConformanceCase[] {
  switch (file.kind) {
    case "trajectory":
      return file.cases.map((one) => ({
        id: one.id,
        skip: whyUnsupportedCase(one),
        run: ({ maker }, c) => runTrajectory(one, maker, c),
      }));
    case "large":
      return file.cases.map((one) => toCase(one.id, ({ maker }, c) => runLarge(one, maker, c), one.optimizer));
    case "clip":
      return file.cases.map((one) => toCase(one.id, ({ maker }, c) => runClip(one, maker, c)));
    case "gradscaler":
      return file.cases.map((one) => toCase(one.id, ({ maker }, c) => runGradScaler(one, maker, c), one.optimizer));
    case "schedulers":
      return file.cases.map((one) => toCase(one.id, ({ runSchedule }, c) => runSchedulers(one, runSchedule, c)));
    case "state_dict":
      return file.cases.map((one) => toCase(one.id, ({ maker }, c) => runStateDict(one, maker, c), one.optimizer));
    case "prng":
      return [
        toCase("words", (_, c) => runPrngWords(file.words, c)),
        ...file.cases.map((one, i) => toCase(`${i} ${one.spec.kind}`, (_, c) => runPrng(one, c))),
      ];
    case "e2e":
      return file.cases.map((one) => ({
        id: one.id,
        skip: whyUnsupportedRun(one),
        run: ({ runTraining }, c) => runE2e(one, runTraining, c),
      }));
    case "averaging":
      return file.cases.map((one) => toCase(one.id, ({ maker }, c) => runAveraging(one, maker, c)));
  }
}

/** Runs a case to its outcome; an error on the way is a failure, not an exception. */
export async function runCase(one: ConformanceCase, environment: Environment): Promise<Outcome> {
  const comparison = new Comparison(environment.criterion);
  if (one.skip !== undefined) return outcome(one.id, "skipped", comparison, [one.skip]);
  try {
    await one.run(environment, comparison);
  } catch (error) {
    comparison.fail(error instanceof Error ? error.message : String(error));
  }
  return outcome(one.id, comparison.passed ? "passed" : "failed", comparison, comparison.messages);
}

function outcome(
  id: string,
  status: Outcome["status"],
  { compared, worst, where }: Comparison,
  messages: string[],
): Outcome {
  return { id, status, compared, worst, where, messages };
}
