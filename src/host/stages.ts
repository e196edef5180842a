/** The kernels of an optimizer's steps, compiled: each for every rule and every format of windows that needs one of its own. */
import type { Kernel } from "../kernels/kernel.ts";
import type { StageSpec, Variant } from "../kernels/stage.ts";
import { F32X4, type Storage } from "../kernels/storage.ts";
import * as update from "../kernels/update.ts";
import { NO_AROUND, NO_AVERAGE, PLAIN_DECAY } from "../kernels/update.ts";
import type { Window } from "./memory.ts";
import { type Compiled, compileKernel } from "./pipelines.ts";
import type { RuleKernels, StepOptions } from "./step-options.ts";

/** A compiled kernel and what it is for. */
export interface Stage extends Compiled {
  readonly kernel: Kernel;
  readonly variant: Variant;
  /** Undefined for one that works on tables alone. */
  readonly storage: Storage | undefined;
  /** Undefined for one that is the same for all rules. */
  readonly rule: number | undefined;
}

/** Whether a stage is to run over a window. */
export function serves(stage: Stage, window: Window): boolean {
  return stage.storage === window.storage && (stage.rule ?? window.rule) === window.rule;
}

/** All stages there are so far. */
export class Stages {
  readonly #device: GPUDevice;
  readonly #options: StepOptions;
  readonly #byName = new Map<string, Stage>();
  #byVariant = new Map<Variant, readonly Stage[]>();

  constructor(device: GPUDevice, options: StepOptions) {
    this.#device = device;
    this.#options = options;
  }

  get all(): Iterable<Stage> {
    return this.#byName.values();
  }

  /** Those of a variant, in the order of the rules. */
  of(variant: Variant): readonly Stage[] {
    return this.#byVariant.get(variant) ?? [];
  }

  /**
   * Compiles what `windows` need and is not compiled yet. Kernels that are not asked for are not even loaded.
   *
   * @throws {ShaderError} if the device refuses a kernel.
   */
  async compile(windows: readonly Window[]): Promise<void> {
    const { rules, measure, averages, clipsUnits, monitors, accumulates } = this.#options;
    const some = (needs: (rule: RuleKernels) => unknown): boolean => rules.some((rule) => Boolean(needs(rule)));
    const [modified, averaged, around, control, summarize, ...more] = await Promise.all([
      some((r) => r.modifiesDecay) && import("../kernels/modified-decay.ts"),
      averages && import("../kernels/averages.ts"),
      some((r) => r.opens || r.finishes) && import("../kernels/around.ts"),
      measure && import("../kernels/control.ts"),
      monitors && import("../kernels/summarize.ts"),
      measure && import("../kernels/measure.ts"),
      monitors && import("../kernels/norm-figures.ts"),
      accumulates && import("../kernels/accumulate.ts"),
      clipsUnits && import("../kernels/clip-units.ts"),
      some((r) => r.factored) && import("../kernels/factor.ts"),
      some((r) => r.prepares || r.cautiousUpdates) && import("../kernels/prepare.ts"),
      some((r) => r.settles || r.cautiousUpdates) && import("../kernels/settle.ts"),
      some((r) => r.evaluates || "AVERAGE_SLOT" in r.overrides.average) && import("../kernels/evaluate.ts"),
      some(({ begins: { slots, later } }) => slots | later) && import("../kernels/begin.ts"),
    ]);
    const specs = [control, summarize].flatMap((kernel) => (kernel ? kernel.sharedStages(this.#options) : []));
    for (const storage of new Set(windows.map((w) => w.storage))) {
      rules.forEach((rule, index) => {
        if (!windows.some((w) => w.storage === storage && w.rule === index)) return;
        const links = {
          rule: rule.wgsl,
          decay: rule.modifiesDecay && modified ? modified.MODIFIED_DECAY : PLAIN_DECAY,
          average: averaged ? averaged.AVERAGES : NO_AVERAGE,
          around: around && rule.opens ? around.OPENS : around && rule.finishes ? around.FINISHES : NO_AROUND,
        };
        const ofRule = { ...rule.overrides.rule, ...(storage.quantizes && rule.quantized) };
        const context = { storage, rule, index, options: this.#options, ofRule, links };
        specs.push(...update.stages(context), ...more.flatMap((kernel) => (kernel ? kernel.stages(context) : [])));
      });
    }
    const jobs = new Map<string, Promise<void>>();
    for (const spec of specs) {
      const name = nameOf(spec);
      if (!this.#byName.has(name) && !jobs.has(name)) jobs.set(name, this.#compile(name, spec));
    }
    const results = await Promise.allSettled(jobs.values());
    for (const result of results) if (result.status === "rejected") throw result.reason;
    const ordered = [...this.all].sort((a, b) => (a.rule ?? 0) - (b.rule ?? 0));
    this.#byVariant = new Map();
    for (const stage of ordered) this.#byVariant.set(stage.variant, [...this.of(stage.variant), stage]);
  }

  async #compile(name: string, { variant, kernel, storage, rule, constants, files }: StageSpec): Promise<void> {
    const { label, workgroup, rules, accumulates } = this.#options;
    const binds = (what: string): boolean => kernel.bindings.some(([binding]) => binding === what);
    // After the micro-batches, gradients are their sums.
    const sums = accumulates && !binds("sums");
    const links = { ...storage?.files, ...(sums && { grads: F32X4.files.grads }), ...files };
    const compiled = await compileKernel(this.#device, `${label} ${name}`, kernel, links, {
      WORKGROUP_SIZE: workgroup,
      ...(binds("params") && { ...storage?.constants?.params, ...rules[rule ?? 0]?.overrides.params }),
      ...(binds("grads") && !sums && storage?.constants?.grads),
      ...constants,
    });
    this.#byName.set(name, { ...compiled, kernel, variant, storage, rule });
  }
}

function nameOf({ variant, storage, rule }: StageSpec): string {
  return [variant, storage?.name, rule].filter((part) => part !== undefined).join(" ");
}
