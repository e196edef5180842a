/** The course of a run as columns, ready for charts and for JSON. The live page, the terminal and the report share it. */
import type { Figures } from "../../src/index.ts";
import type { StepRecord } from "../../src/nn/index.ts";

/** Figures of one tensor, a value for each monitored step. */
export interface TensorColumns {
  gradNorm: number[];
  paramNorm: number[];
  updateRatio: number[];
}

export interface History {
  /** Every step. */
  steps: { step: number[]; loss: number[]; accuracy: number[] };
  /** Every monitored step. */
  figures: {
    step: number[];
    lr: number[];
    gradNorm: number[];
    gradNormClipped: number[];
    clipFactor: number[];
    /** Sum over the steps of the fraction of the weights that decay has taken. */
    decayDose: number[];
    tensors: Record<string, TensorColumns>;
  };
  /** Every evaluation on the test images; `step` is the last step before it. */
  tests: { step: number[]; loss: number[]; accuracy: number[] };
}

export function emptyHistory(): History {
  return {
    steps: { step: [], loss: [], accuracy: [] },
    figures: { step: [], lr: [], gradNorm: [], gradNormClipped: [], clipFactor: [], decayDose: [], tensors: {} },
    tests: { step: [], loss: [], accuracy: [] },
  };
}

export function addRecords({ steps }: History, records: readonly StepRecord[]): void {
  for (const { step, loss, correct, count } of records) {
    steps.step.push(step);
    steps.loss.push(loss);
    steps.accuracy.push(correct / count);
  }
}

/** @param step number of the step in the run; the optimizer's own count begins anew when it is replaced */
export function addFigures({ figures }: History, step: number, f: Figures): void {
  figures.step.push(step);
  figures.gradNorm.push(f.gradNorm);
  figures.gradNormClipped.push(f.gradNormClipped);
  figures.clipFactor.push(f.clipFactor);
  const decayed = mostDecayed(f);
  figures.lr.push(decayed.lr);
  figures.decayDose.push(decayed.decayDose ?? Number.NaN);
  for (const [name, { gradNorm, paramNorm, updateRatio }] of Object.entries(f.tensors)) {
    figures.tensors[name] ??= { gradNorm: [], paramNorm: [], updateRatio: [] };
    const columns = figures.tensors[name];
    columns.gradNorm.push(gradNorm);
    columns.paramNorm.push(paramNorm);
    columns.updateRatio.push(updateRatio);
  }
}

export function addTest({ tests }: History, step: number, test: { loss: number; accuracy: number }): void {
  tests.step.push(step);
  tests.loss.push(test.loss);
  tests.accuracy.push(test.accuracy);
}

/** The group that decay is about: the one with the largest weight decay. */
export function mostDecayed(f: Figures): Figures["groups"][string] {
  return Object.values(f.groups).reduce((most, group) => (group.weightDecay > most.weightDecay ? group : most));
}

/** Which tensors are plotted, at most four: the weights, from the first to the last layer. */
export function plotted(tensors: readonly string[]): string[] {
  if (tensors.length <= 4) return [...tensors];
  const weights = tensors.filter((tensor) => tensor.endsWith(".weight") && !/^(bn|ln)/.test(tensor));
  return [0, 1, 2, 3]
    .map((k) => weights[Math.round((k * (weights.length - 1)) / 3)]!)
    .filter((each, k, all) => all.indexOf(each) === k);
}
