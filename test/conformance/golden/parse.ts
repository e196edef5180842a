/** From the text of a golden file to checked, typed cases. */

import { type AveragingCase, averagingCase } from "./averaging.ts";
import { anyObject, array, type Check, fail, GoldenError, object, oneOf, text } from "./check.ts";
import { type ClipCase, clipCase } from "./clip.ts";
import { checkE2eInputs, type E2eCase, e2eCase } from "./e2e.ts";
import { type GradScalerCase, gradScalerCase } from "./gradscaler.ts";
import { type LargeCase, largeCase } from "./large.ts";
import { type PrngCase, type PrngWord, prngCase, prngWord } from "./prng.ts";
import { type SchedulerCase, schedulerCase } from "./schedulers.ts";
import { type StateDictCase, stateDictCase } from "./state-dict.ts";
import { checkHashes, type TrajectoryCase, trajectoryCase } from "./trajectory.ts";

export const FORMAT = "optim-golden/1";

export type GoldenFile =
  | { readonly kind: "trajectory"; readonly cases: readonly TrajectoryCase[] }
  | { readonly kind: "large"; readonly cases: readonly LargeCase[] }
  | { readonly kind: "clip"; readonly cases: readonly ClipCase[] }
  | { readonly kind: "gradscaler"; readonly cases: readonly GradScalerCase[] }
  | { readonly kind: "schedulers"; readonly cases: readonly SchedulerCase[] }
  | { readonly kind: "state_dict"; readonly cases: readonly StateDictCase[] }
  | { readonly kind: "prng"; readonly words: readonly PrngWord[]; readonly cases: readonly PrngCase[] }
  | { readonly kind: "e2e"; readonly cases: readonly E2eCase[] }
  | { readonly kind: "averaging"; readonly cases: readonly AveragingCase[] };

export type Kind = GoldenFile["kind"];

const CASES = {
  trajectory: trajectoryCase,
  large: largeCase,
  clip: clipCase,
  gradscaler: gradScalerCase,
  schedulers: schedulerCase,
  state_dict: stateDictCase,
  prng: prngCase,
  averaging: averagingCase,
  e2e: e2eCase,
} satisfies Record<Kind, Check<unknown>>;

/**
 * Reads a golden file.
 *
 * @throws GoldenError, naming the place, if the text is not exactly such a file.
 */
export function parseGolden(source: string): GoldenFile {
  let json: unknown;
  try {
    json = JSON.parse(source);
  } catch (error) {
    throw new GoldenError(`the file is not JSON: ${(error as Error).message}`);
  }
  const top = anyObject(json, "the file");
  if (top.format !== FORMAT) fail("format", `must be "${FORMAT}"`, top.format);
  const kind = oneOf(...(Object.keys(CASES) as Kind[]))(top.kind, "kind");
  const entry = CASES[kind] as Check<{ id?: string }>;
  const cases: Check<{ id?: string }[]> = (value) => array(entry, { min: 1 })(value, "cases");
  const words: Check<PrngWord[]> = (value) => array(prngWord, { min: 1 })(value, "words");
  const fields = { format: text, kind: text, cases };
  const file = object(kind === "prng" ? { ...fields, words } : fields, { optimizer: text, note: text })(
    top,
    "the file",
  );
  checkIds(file.cases);
  // The table above pairs kinds with cases, which is more than the compiler follows.
  return file as unknown as GoldenFile;
}

function checkIds(cases: readonly { id?: string }[]): void {
  const seen = new Set<string>();
  cases.forEach(({ id }, i) => {
    if (id === undefined) return;
    if (seen.has(id)) throw new GoldenError(`cases[${i}].id must not occur twice, got "${id}"`);
    seen.add(id);
  });
}

/** Compares generated inputs with the hashes in the file, where it has any. @throws GoldenError where they differ. */
export function checkInputs(file: GoldenFile): void {
  if (file.kind === "trajectory") {
    file.cases.forEach((one, i) => {
      checkHashes(one, `cases[${i}]`);
    });
  }
  if (file.kind === "e2e") {
    file.cases.forEach((one, i) => {
      checkE2eInputs(one, `cases[${i}]`);
    });
  }
}
