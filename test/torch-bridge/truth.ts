/** What 60 steps in PyTorch alone come to, in float64, and how a run that went through the engine is compared with it. */
import { type Checkpoint, readSafetensors } from "../../src/checkpoint/index.ts";
import type { Comparison } from "../conformance/compare.ts";
import run from "./cases.json" with { type: "json" };

export const CASES: readonly string[] = run.cases.map(({ id }) => id);

/** The cases that a version of PyTorch can run: the engine may follow an older one where that had a defect. */
export function casesFor(version: string): readonly string[] {
  return run.cases.filter((one) => !("torch" in one) || version.startsWith(one.torch)).map(({ id }) => id);
}

/** Of each of the three parts. */
export const { steps: STEPS } = run;

/** Compares every parameter and slot with the float64 run; the deviations of float32 runs stand next to it. */
export function compareWithTruth(
  comparison: Comparison,
  step: number,
  { state }: Checkpoint,
  truth: ArrayBuffer,
): void {
  const { tensors, metadata } = readSafetensors(truth);
  const deviations = JSON.parse(metadata.get("deviations")!) as Record<
    string,
    { abs: number; rel: number; sens: number }
  >;
  comparison.equal("stepsApplied", state.stepsApplied, step);
  const born = run.params.filter(({ firstGrad }) => firstGrad <= step);
  const updated = Object.entries(state.tensors).filter((tensor) => tensor[1].step > 0);
  comparison.equal("parameters with state", namesOf(updated), namesOf(born.map(({ name }) => [name])));
  for (const [key, { bytes }] of tensors) {
    const slot = key.startsWith("model.") ? "param" : key.slice(key.lastIndexOf(".") + 1);
    const name = slot === "param" ? key.slice("model.".length) : key.slice("optimizer.".length, -slot.length - 1);
    const got = state.tensors[name];
    const values = new Float64Array(bytes.slice().buffer);
    const { abs, rel, sens } = deviations[key]!;
    const deviation = { abs, rel, sens, norm: 0 };
    // ASGD keeps numbers too, and NAdam one that follows from the count.
    const number = got?.numbers?.[slot] ?? got?.scalars?.[slot];
    const own = slot === "param" ? got?.param : number === undefined ? got?.slots[slot] : [number];
    comparison.tensor({ key, name: slot }, own, {
      values,
      deviation,
      shape: undefined,
    });
  }
}

const namesOf = (entries: readonly (readonly [string, ...unknown[]])[]): string =>
  entries
    .map(([name]) => name)
    .sort()
    .join();
