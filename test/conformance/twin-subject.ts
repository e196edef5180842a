/** The float64 twins as subjects, rounded to float32 where they are read: the comparison is tested with them in Node. */

import { norm } from "../reference/clip.ts";
import type { applyUpdate } from "../reference/decay.ts";
import { TwinLossScaler } from "../reference/loss-scale.ts";
import type { TwinRule } from "../reference/rule.ts";
import { Twin } from "../reference/twin.ts";
import { OFFERED } from "../rules-table.ts";
import type { RuleName } from "./optimizers.ts";
import type { ScalerOptions, SharedScaler, Subject, SubjectMaker, SubjectOptions, SubjectState } from "./subject.ts";

/** The twin of a rule. @throws Error if the table of rules has none. */
export function twinRule(name: RuleName): TwinRule {
  const row = OFFERED.find(({ twin }) => twin.name === name);
  if (!row) throw new Error(`the table of rules has no twin ${name}`);
  return row.twin;
}

/** What to do wrong on purpose. */
export interface Mutation {
  readonly rules?: Partial<Record<RuleName, TwinRule>>;
  readonly applyUpdate?: typeof applyUpdate;
}

class TwinSharedScaler extends TwinLossScaler implements SharedScaler {
  async read() {
    return { scale: this.scale, growthTracker: this.growthTracker };
  }
  destroy(): void {}
}

/** A maker of twins, correct ones or mutants. */
export function twinMaker({ rules = {}, applyUpdate }: Mutation = {}): SubjectMaker {
  return {
    createScaler: async (options) => new TwinSharedScaler(options),
    create: async (options) => {
      const rule = rules[options.rule] ?? twinRule(options.rule);
      return new TwinSubject(options, rule, applyUpdate);
    },
  };
}

class TwinSubject implements Subject {
  readonly #twin: Twin;
  readonly #grads: (Float32Array | null)[];
  readonly #missing = new Set<number>();
  readonly #figures: boolean;

  constructor(options: SubjectOptions, rule: TwinRule, update: typeof applyUpdate | undefined) {
    const { tensors, groups, clip, skipNonFinite, lossScale } = options;
    this.#twin = new Twin({
      rule,
      tensors: tensors.map(({ data }, k) => ({ data, group: groups.findIndex((group) => group.tensors.includes(k)) })),
      groups: groups.map((group) => group.options),
      ...(clip && { clip }),
      ...(skipNonFinite !== undefined && { skipNonFinite }),
      ...(lossScale && { lossScale: lossScale as ScalerOptions | TwinSharedScaler }),
      ...(update && { applyUpdate: update }),
    });
    this.#grads = tensors.map(({ data }) => new Float32Array(data.length));
    this.#figures = options.figures ?? false;
  }

  writeGrad(tensor: number, values: Float32Array): void {
    this.#grads[tensor] = values;
  }

  withoutGrad(tensor: number): void {
    this.#missing.add(tensor);
  }

  setLr(group: number, lr: number): void {
    this.#twin.setGroup(group, { lr });
  }

  async step() {
    const grads = this.#grads.map((grad, k) => (this.#missing.has(k) ? null : grad));
    this.#missing.clear();
    const scale = this.#twin.lossScale;
    const report = this.#twin.step(grads);
    if (!this.#figures) return undefined;
    const maxGrad = norm(
      grads.flatMap((grad) => (grad ? [Float64Array.from(grad)] : [])),
      Infinity,
    );
    return { ...report, maxGrad: maxGrad / scale };
  }

  async readParam(tensor: number): Promise<Float32Array> {
    return Float32Array.from(this.#twin.param(tensor));
  }

  async readState(tensor: number): Promise<SubjectState> {
    const { step, slots } = this.#twin.state(tensor);
    return {
      step,
      slots: Object.fromEntries(Object.entries(slots).map(([name, values]) => [name, Float32Array.from(values)])),
    };
  }

  async stateDict() {
    const tensors = new Map<number, SubjectState>();
    for (const k of this.#grads.keys()) {
      const state = await this.readState(k);
      if (state.step > 0) tensors.set(k, state);
    }
    return { tensors, groups: undefined };
  }

  async readLossScale() {
    return { scale: this.#twin.lossScale, growthTracker: this.#twin.growthTracker };
  }

  destroy(): void {}
}
