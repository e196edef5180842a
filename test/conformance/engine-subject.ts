/** The engine as a subject, through nothing but its public API. */

import * as library from "../../src/index.ts";
import {
  createLossScaler,
  createOptimizer,
  type Figures,
  type LossScaler,
  type Optimizer,
  type OptimizerOptions,
  type Rule,
  type TensorState,
} from "../../src/index.ts";
import type { RuleName } from "./convert.ts";
import type {
  ScalerOptions,
  SharedScaler,
  Subject,
  SubjectFigures,
  SubjectMaker,
  SubjectOptions,
  SubjectState,
  SubjectStateDict,
} from "./subject.ts";

function ruleNamed(name: RuleName): Rule {
  const make = (library as Readonly<Record<string, unknown>>)[name];
  if (typeof make !== "function") throw new Error(`the library exports no rule ${name}`);
  return make() as Rule;
}

const nameOf = (tensor: number) => `p${tensor}`;
const groupName = (group: number) => `group ${group}`;

const matching =
  (members: readonly number[]) =>
  ({ name }: { name: string }) =>
    members.some((k) => nameOf(k) === name);

/** Makes optimizers on a device. */
export function engineMaker(device: GPUDevice): SubjectMaker {
  return {
    async createScaler(options) {
      return new EngineScaler(await createLossScaler(device, options));
    },
    async create(options) {
      const { tensors, groups, lossScale, figures, rule, ...rest } = options;
      const named = groups.map(({ tensors: members, options: { rule: own, ...others } }, g) => {
        return { rule: own ?? rule, spec: { match: matching(members), name: groupName(g), ...others } };
      });
      const one = named.every((group) => group.rule === rule);
      const optimizer = await createOptimizer(device, {
        ...rest,
        params: tensors.map(({ shape, data }, k) => ({ name: nameOf(k), shape, data })),
        ...(one
          ? { rule: ruleNamed(rule), groups: named.map(({ spec }) => spec) }
          : { rules: named.map(({ rule: name, spec }) => ({ rule: ruleNamed(name), ...spec })) }),
        ...(lossScale && {
          lossScale: lossScale instanceof EngineScaler ? lossScale.scaler : (lossScale as ScalerOptions),
        }),
        ...(figures && { monitor: { every: 1 } }),
      } as OptimizerOptions);
      return new EngineSubject(optimizer, options);
    },
  };
}

class EngineScaler implements SharedScaler {
  readonly scaler: LossScaler;

  constructor(scaler: LossScaler) {
    this.scaler = scaler;
  }

  update(): void {
    this.scaler.update();
  }

  read() {
    return this.scaler.read();
  }

  destroy(): void {
    this.scaler.destroy();
  }
}

/** Numbers of the state among its slots, as the golden data have them. */
function withScalars({ step, slots, numbers: kept = {}, scalars = {} }: TensorState): SubjectState {
  const numbers = Object.entries({ ...kept, ...scalars }).map(([name, value]) => [name, Float32Array.of(value)]);
  return { step, slots: { ...slots, ...Object.fromEntries(numbers) } };
}

class EngineSubject implements Subject {
  readonly #optimizer: Optimizer;
  readonly #wantsFigures: boolean;
  readonly #tensors: number;
  readonly #groups: number;
  readonly #figures: Figures[] = [];
  /** Tensors without a gradient in the coming step, and in the last one in which any had one. */
  #missing = new Set<string>();
  #missed = new Set<string>();

  constructor(optimizer: Optimizer, options: SubjectOptions) {
    this.#optimizer = optimizer;
    this.#tensors = options.tensors.length;
    this.#groups = options.groups.length;
    this.#wantsFigures = options.figures ?? false;
    if (this.#wantsFigures) optimizer.on("figures", (figures) => this.#figures.push(figures));
  }

  writeGrad(tensor: number, values: Float32Array): void {
    this.#optimizer.writeGrad(nameOf(tensor), values);
  }

  withoutGrad(tensor: number): void {
    this.#optimizer.withoutGrad(nameOf(tensor));
    this.#missing.add(nameOf(tensor));
  }

  writeParam(tensor: number, values: Float32Array): void {
    this.#optimizer.writeParam(nameOf(tensor), values);
  }

  setLr(group: number, lr: number): void {
    this.#optimizer.setGroup(groupName(group), { lr });
  }

  setWeightDecay(group: number, weightDecay: number): void {
    this.#optimizer.setGroup(groupName(group), { weightDecay });
  }

  observe(estimates: readonly Float32Array[]): void {
    estimates.forEach((values, k) => {
      this.#optimizer.writeGrad(nameOf(k), values);
    });
    this.#optimizer.estimate();
  }

  async readEvaluated(tensor: number): Promise<Float32Array> {
    this.#optimizer.eval();
    const values = await this.readParam(tensor);
    this.#optimizer.train();
    return values;
  }

  async readNumbers(group: number): Promise<Record<string, number>> {
    const { groups, numbers = {}, tensors } = await this.#optimizer.stateDict();
    const { carry = {}, hyper } = groups.find(({ name }) => name === groupName(group))!;
    // Prodigy's two that follow from the others. Who had no gradient did not take part.
    const sums = Object.entries(tensors).flatMap(([name, { slots }]) =>
      slots.s && !this.#missed.has(name) ? [slots.s.reduce((n, x) => n + Math.abs(x), 0)] : [],
    );
    const d_denom = sums.reduce((n, x) => n + x, 0);
    const d_hat = (Number(hyper.dCoef) * (numbers.d_numerator ?? 0)) / d_denom;
    // Before the first update d and its maximum are d0.
    const first = numbers.d === 0 ? { d: Number(hyper.d0), d_max: Number(hyper.d0) } : {};
    return { d_denom, d_hat, ...numbers, ...first, ...carry };
  }

  async step(): Promise<SubjectFigures | undefined> {
    this.#optimizer.step();
    if (this.#missing.size < this.#tensors) this.#missed = this.#missing;
    this.#missing = new Set();
    if (!this.#wantsFigures) return undefined;
    await this.#optimizer.flush();
    const figures = this.#figures.splice(0);
    if (figures.length !== 1) throw new Error(`one step must deliver figures once, got ${figures.length}`);
    return figures[0];
  }

  readParam(tensor: number): Promise<Float32Array> {
    return this.#optimizer.readParam(nameOf(tensor));
  }

  async readState(tensor: number): Promise<SubjectState> {
    return withScalars(await this.#optimizer.readState(nameOf(tensor)));
  }

  async stateDict(): Promise<SubjectStateDict> {
    const saved = await this.#optimizer.stateDict();
    const tensors = new Map<number, SubjectState>();
    for (let k = 0; k < this.#tensors; k++) {
      const state = saved.tensors[nameOf(k)];
      if (!state) throw new Error(`the state dict has no tensor ${nameOf(k)}`);
      // PyTorch makes state at the first gradient; here it is there from the start, as zeros, with a count of 0.
      if (state.step > 0) tensors.set(k, withScalars(state));
      else if (Object.values(state.slots).some((slot) => slot.some((x) => x !== 0))) {
        throw new Error(`${nameOf(k)} has state without ever having had a gradient`);
      }
    }
    const groups = Array.from({ length: this.#groups }, (_, g) => {
      const group = saved.groups.find(({ name }) => name === groupName(g));
      if (!group) throw new Error(`the state dict has no group ${groupName(g)}`);
      const { hyper, ...options } = group;
      return { ...options, ...hyper };
    });
    return { tensors, groups };
  }

  readLossScale() {
    return this.#optimizer.readLossScale();
  }

  destroy(): void {
    this.#optimizer.destroy();
  }
}
