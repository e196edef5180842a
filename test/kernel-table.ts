/** All kernels of the engine, and the files that they can be linked with. */
import { ACCUMULATE } from "../src/kernels/accumulate.ts";
import { AVERAGES } from "../src/kernels/averages.ts";
import { BLOCKS8 } from "../src/kernels/blocks8.ts";
import { CLIP_UNITS } from "../src/kernels/clip-units.ts";
import { CONTROL_STAGE } from "../src/kernels/control.ts";
import { EVALUATE } from "../src/kernels/evaluate.ts";
import { FACTOR } from "../src/kernels/factor.ts";
import type { Kernel } from "../src/kernels/kernel.ts";
import { UPDATE_LOSS_SCALE } from "../src/kernels/loss-scale.ts";
import { MEASURE } from "../src/kernels/measure.ts";
import { MODIFIED_DECAY } from "../src/kernels/modified-decay.ts";
import { NORM_FIGURES, UPDATE_FIGURES } from "../src/kernels/norm-figures.ts";
import { CAUTIOUS_PREPARATION, PREPARE, RULE_PREPARATION } from "../src/kernels/prepare.ts";
import { CAUTIOUS_SETTLEMENT, SETTLE, TENSOR_SETTLEMENT, TOGETHER_SETTLEMENT } from "../src/kernels/settle.ts";
import { F32, F32X4, type Storage } from "../src/kernels/storage.ts";
import { SUMMARIZE } from "../src/kernels/summarize.ts";
import {
  NO_AVERAGE,
  NO_BEGIN,
  NO_FIGURES,
  NO_FINISH,
  PLAIN_DECAY,
  RULE_BEGIN,
  RULE_FINISH,
  UPDATE,
} from "../src/kernels/update.ts";
import type { WgslFile } from "../src/kernels/wgsl.ts";
import { OFFERED } from "./rules-table.ts";

export const KERNELS: readonly Kernel[] = [
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
export const STORAGES: readonly Storage[] = [F32X4, F32, BLOCKS8];

/** What `kernel` can be linked with, given a rule: by the roles that its file imports. Nothing if it is not for this rule. */
export function linksOf(kernel: Kernel, rule: WgslFile): Record<string, WgslFile>[] {
  const imports = (role: string): boolean => kernel.file.text.includes(`#import ${role}\n`);
  const quantizes = OFFERED.some(({ rule: { definition } }) => {
    return definition.quantizes && rule.path === (definition.path ?? `rules/${definition.name}.wgsl`);
  });
  const storages = imports("storage") ? STORAGES.filter((s) => quantizes || !s.quantizes) : STORAGES.slice(0, 1);
  const decays = imports("decay") ? [PLAIN_DECAY, MODIFIED_DECAY] : [PLAIN_DECAY];
  const averages = imports("average") ? [NO_AVERAGE, AVERAGES] : [NO_AVERAGE];
  const figures = kernel === UPDATE_FIGURES ? NORM_FIGURES : NO_FIGURES;
  const has = (name: string): boolean => rule.text.includes(`fn ${name}(`);
  if (kernel === FACTOR && !has("factor_square")) return [];
  if (kernel === EVALUATE && !has("evaluation_point")) return [];
  const begin = has("begin_rule") ? RULE_BEGIN : NO_BEGIN;
  const finish = has("finish_rule") ? RULE_FINISH : NO_FINISH;
  const preparation = has("prepare_rule") ? RULE_PREPARATION : CAUTIOUS_PREPARATION;
  const settlement = has("settle_all")
    ? TOGETHER_SETTLEMENT
    : has("settle_rule")
      ? TENSOR_SETTLEMENT
      : CAUTIOUS_SETTLEMENT;
  return storages.flatMap((storage) =>
    decays.flatMap((decay) =>
      averages.map((average) => ({
        ...storage.files,
        rule,
        decay,
        average,
        figures,
        preparation,
        begin,
        finish,
        settlement,
      })),
    ),
  );
}
