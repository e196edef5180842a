/** The float64 twins as subjects, rounded to float32 where they are read: the comparison is tested with them in Node. */

import { norm } from "../reference/clip.ts";
import type { applyUpdate } from "../reference/decay.ts";
import { TwinLossScaler } from "../reference/loss-scale.ts";
import type { TwinRule } from "../reference/rule.ts";
import { Twin, type TwinGroup } from "../reference/twin.ts";
import { TWINS } from "../reference/twins.ts";
import type { GroupOptions, RuleName } from "./convert.ts";
import type { ScalerOptions, SharedScaler, Subject, SubjectMaker, SubjectOptions, SubjectState } from "./subject.ts";

/** The twin of a rule. @throws Error if there is none. */
export function twinRule(name: RuleName): TwinRule {
  const twin = Object.hasOwn(TWINS, name) ? TWINS[name] : undefined;
  if (!twin) throw new Error(`there is no twin ${name}`);
  return twin;
}

/** Options of a group in the words of a twin. */
export function twinGroup({ rule, ...options }: GroupOptions): TwinGroup {
  return { ...options, ...(rule && { rule: twinRule(rule) }) };
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
    const { tensors, groups, lossScale, figures, ...rest } = options;
    this.#twin = new Twin({
      ...rest,
      rule,
      tensors: tensors.map((tensor, k) => ({
        ...tensor,
        group: groups.findIndex((group) => group.tensors.includes(k)),
      })),
      groups: groups.map((group) => twinGroup(group.options)),
      ...(lossScale && { lossScale: lossScale as ScalerOptions | TwinSharedScaler }),
      ...(update && { applyUpdate: update }),
    });
    this.#grads = tensors.map(({ data }) => new Float32Array(data.length));
    this.#figures = figures ?? false;
  }

  writeGrad(tensor: number, values: Float32Array): void {
    this.#grads[tensor] = values;
  }

  withoutGrad(tensor: number): void {
    this.#missing.add(tensor);
  }

  writeParam(tensor: number, values: Float32Array): void {
    this.#twin.param(tensor).set(values);
  }

  setLr(group: number, lr: number): void {
    this.#twin.setGroup(group, { lr });
  }

  setWeightDecay(group: number, weightDecay: number): void {
    this.#twin.setGroup(group, { weightDecay });
  }

  observe(estimates: readonly Float32Array[]): void {
    this.#twin.observe(estimates);
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

  async readEvaluated(tensor: number): Promise<Float32Array> {
    return Float32Array.from(this.#twin.evaluated(tensor));
  }

  async readNumbers(group: number) {
    return this.#twin.numbers(group);
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
