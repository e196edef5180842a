import type { Comparison } from "../compare.ts";
import { type E2eCase, type E2eInputs, e2eInputs } from "../golden/e2e.ts";
import type { CheckedTensor } from "../golden/tensor.ts";
import { type GroupOptions, planOf, type RuleName, type WholeOptions, whyUnsupported } from "../optimizers.ts";

/** What is to be trained, and how. */
export interface TrainingProblem extends E2eInputs, Pick<E2eCase, "model" | "data" | "loss" | "steps"> {
  readonly names: readonly string[];
  readonly rule: RuleName;
  /** Of the optimizer, which may clip of its own accord. */
  readonly whole: WholeOptions;
  readonly groups: readonly { readonly params: readonly string[]; readonly options: GroupOptions }[];
  readonly clipNorm: number | undefined;
  /** Factor on every lr, by step from 0. */
  readonly lrFactor: readonly number[] | undefined;
}

export interface TrainingResult {
  /** Before each update. */
  readonly losses: readonly number[];
  /** Before clipping; only if clipped. */
  readonly gradNorms: readonly number[];
  /** By parameter, of the first step, before clipping. */
  readonly firstGrad: readonly Float32Array[];
  readonly final: readonly Float32Array[];
  readonly buffers: Readonly<Record<string, Float32Array>>;
  /** Over all samples, in evaluation. */
  readonly evalLoss: number;
  readonly evalAccuracy: number;
}

export type RunTraining = (problem: TrainingProblem) => Promise<TrainingResult>;

/** Why a run cannot be made; undefined if it can. */
export function whyUnsupportedRun({ optimizer }: E2eCase): string | undefined {
  return whyUnsupported(optimizer);
}

/** Trains as the case says and compares losses, first gradient, norms, weights, buffers and the evaluation. */
export async function runE2e(
  one: E2eCase,
  runTraining: RunTraining | undefined,
  comparison: Comparison,
): Promise<void> {
  if (!runTraining) throw new Error("nothing here trains networks");
  const inputs = e2eInputs(one);
  const names = one.params.map(({ name }) => name);
  inputs.params.forEach((data, k) => {
    comparison.remember(names[k]!, data);
  });
  const { rule, groups, ...whole } = planOf(
    one.optimizer,
    {},
    one.groups.map(({ options }) => options),
  );
  const result = await runTraining({
    ...inputs,
    model: one.model,
    data: one.data,
    loss: one.loss,
    steps: one.steps,
    names,
    rule,
    whole,
    groups: one.groups.map(({ params }, g) => ({ params, options: groups[g]! })),
    clipNorm: one.clipNorm,
    lrFactor: one.lrFactor,
  });
  const compare = (key: string, name: string, actual: ArrayLike<number> | undefined, expected: CheckedTensor) =>
    comparison.tensor({ key, name }, actual, expected);
  const sens = Math.max(...one.lossSens);
  compare("loss", "loss", result.losses, numbers(one.lossF64, one.lossF32, sens));
  if (one.gradNorms) compare("gradNorms", "gradNorms", result.gradNorms, one.gradNorms);
  names.forEach((name, k) => {
    compare(`${name}.grad`, "grad", result.firstGrad[k], one.firstGrad[k]!);
    compare(name, "param", result.final[k], one.final[k]!);
  });
  for (const [name, expected] of Object.entries(one.buffers ?? {}))
    compare(name, "buffer", result.buffers[name], expected);
  // How far the weights may be off shows in the losses of the last steps as it does here.
  compare("evalLoss", "loss", [result.evalLoss], numbers([one.evalLossF64], [one.evalLossF32], sens));
  if (one.evalAccuracy !== undefined) comparison.equal("evalAccuracy", result.evalAccuracy, one.evalAccuracy);
}

/** Numbers that the reference has computed in both precisions, as a tensor. */
function numbers(f64: readonly number[], f32: readonly number[], sens: number): CheckedTensor {
  const abs = Math.max(...f64.map((v, i) => Math.abs(v - f32[i]!)));
  return { values: Float64Array.from(f64), deviation: { abs, rel: 0, norm: 0, sens }, shape: undefined };
}
