/** All kernels of the engine, and the files that they can be linked with. */
import { ACCUMULATE } from "../src/kernels/accumulate.ts";
import { FINISHES, OPENS } from "../src/kernels/around.ts";
import { AVERAGES } from "../src/kernels/averages.ts";
import { BEGIN } from "../src/kernels/begin.ts";
import { BLOCKS8 } from "../src/kernels/blocks8.ts";
import { CLIP_UNITS } from "../src/kernels/clip-units.ts";
import { CONTROL_STAGE } from "../src/kernels/control.ts";
import { AVERAGE_EVALUATION, EVALUATE, RULE_EVALUATION } from "../src/kernels/evaluate.ts";
import { FACTOR } from "../src/kernels/factor.ts";
import { withTypes } from "../src/kernels/half.ts";
import type { Kernel } from "../src/kernels/kernel.ts";
import { UPDATE_LOSS_SCALE } from "../src/kernels/loss-scale.ts";
import { MEASURE } from "../src/kernels/measure.ts";
import { MODIFIED_DECAY } from "../src/kernels/modified-decay.ts";
import { NORM_FIGURES, UPDATE_FIGURES } from "../src/kernels/norm-figures.ts";
import { CAUTIOUS_PREPARATION, PREPARE, RULE_PREPARATION } from "../src/kernels/prepare.ts";
import { CAUTIOUS_SETTLEMENT, SETTLE, TENSOR_SETTLEMENT, TOGETHER_SETTLEMENT } from "../src/kernels/settle.ts";
import { F32, F32X4, type Storage } from "../src/kernels/storage.ts";
import { SUMMARIZE } from "../src/kernels/summarize.ts";
import { NO_AROUND, NO_AVERAGE, NO_FIGURES, PLAIN_DECAY, UPDATE } from "../src/kernels/update.ts";
import type { WgslFile } from "../src/kernels/wgsl.ts";
import { OFFERED } from "./rules-table.ts";

export const KERNELS: readonly Kernel[] = [
  BEGIN,
  MEASURE,
  CONTROL_STAGE,
  EVALUATE,
  FACTOR,
  PREPARE,
  SETTLE,
  UPDATE,
  UPDATE_FIGURES,
  SUMMARIZE,
  ACCUMULATE,
  CLIP_UNITS,
  UPDATE_LOSS_SCALE,
];
export const STORAGES: readonly Storage[] = [
  F32X4,
  F32,
  BLOCKS8,
  withTypes(F32X4, "bf16", "f16"),
  withTypes(BLOCKS8, "f16", "f32"),
];

/** What `kernel` can be linked with, given a rule: by the roles that its file imports. Nothing if it is not for this rule. */
export function linksOf(kernel: Kernel, rule: WgslFile): Record<string, WgslFile>[] {
  const imports = (role: string): boolean => kernel.file.text.includes(`#import ${role}\n`);
  const quantizes = OFFERED.some(({ rule: { definition } }) => {
    return definition.quantizes && rule.path === (definition.path ?? `rules/${definition.name}.wgsl`);
  });
  const anyRule = !imports("rule") || rule.path === "rules/adam.wgsl";
  const fits = (s: Storage): boolean => (quantizes || !s.quantizes) && (anyRule || !s.constants);
  const storages = imports("storage") ? STORAGES.filter(fits) : STORAGES.slice(0, 1);
  const decays = imports("decay") ? [PLAIN_DECAY, MODIFIED_DECAY] : [PLAIN_DECAY];
  const averages = imports("average") ? [NO_AVERAGE, AVERAGES] : [NO_AVERAGE];
  const figures = kernel === UPDATE_FIGURES ? NORM_FIGURES : NO_FIGURES;
  const has = (name: string): boolean => rule.text.includes(`fn ${name}(`);
  if (kernel === FACTOR && !has("factor_square")) return [];
  if (kernel === EVALUATE && !has("evaluation_point") && !anyRule) return [];
  const evaluation = has("evaluation_point") ? RULE_EVALUATION : AVERAGE_EVALUATION;
  const around = has("open_rule") ? OPENS : has("finish_rule") ? FINISHES : NO_AROUND;
  const preparation = has("prepare_rule") ? RULE_PREPARATION : CAUTIOUS_PREPARATION;
  const settlement = has("settle_all")
    ? TOGETHER_SETTLEMENT
    : has("settle_rule")
      ? TENSOR_SETTLEMENT
      : CAUTIOUS_SETTLEMENT;
  // Numbers of 16 bits have nothing to do with decay and averages, nor averages with the rule.
  const first = <T>(storage: Storage, all: readonly T[]): readonly T[] => (storage.constants ? all.slice(0, 1) : all);
  return storages.flatMap((storage) =>
    first(storage, decays).flatMap((decay) =>
      first(storage, averages).map((average) => ({
        ...storage.files,
        rule,
        decay,
        average,
        figures,
        preparation,
        around,
        evaluation,
        settlement,
      })),
    ),
  );
}
