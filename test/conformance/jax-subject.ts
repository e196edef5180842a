/** The adapter to jax-js as a subject: every gradient is a new array, and parameters are what the last update returned. */

import { type Array as JaxArray, numpy as np, tree } from "@jax-js/jax";
import type { Rule, StateDict } from "../../src/index.ts";
import * as library from "../../src/index.ts";
import { type FusedState, type FusedTransformation, fused } from "../../src/jax/index.ts";
import type { Subject, SubjectMaker, SubjectState } from "./subject.ts";

const nameOf = (tensor: number) => `p${tensor}`;
const groupName = (group: number) => `group ${group}`;

/** Makes optimizers on jax-js's device. */
export const jaxMaker: SubjectMaker = {
  createScaler: () => Promise.reject(new Error("the adapter shares no loss scale")),
  async create({ rule, tensors, groups, lossScale, figures, ...rest }) {
    if (lossScale || figures) throw new Error("trajectories need neither a loss scale nor figures");
    const make = (library as unknown as Readonly<Record<string, () => Rule>>)[rule];
    if (!make) throw new Error(`the library exports no rule ${rule}`);
    const solver = fused(make(), {
      ...rest,
      groups: groups.map(({ tensors: members, options }, g) => ({
        match: ({ name }) => members.some((k) => nameOf(k) === name),
        name: groupName(g),
        ...options,
      })),
    });
    const params = Object.fromEntries(
      tensors.map(({ shape, data }, k) => [nameOf(k), np.array(Float32Array.from(data), { shape: [...shape] })]),
    );
    return new JaxSubject(solver, await solver.init(tree.ref(params)), params);
  },
};

class JaxSubject implements Subject {
  readonly #solver: FusedTransformation;
  readonly #state: FusedState;
  #params: Record<string, JaxArray>;
  #grads: Record<string, JaxArray | null> = {};
  #saved: Promise<StateDict> | undefined;

  constructor(solver: FusedTransformation, state: FusedState, params: Record<string, JaxArray>) {
    this.#solver = solver;
    this.#state = state;
    this.#params = params;
  }

  writeGrad(tensor: number, values: Float32Array): void {
    const { shape } = this.#params[nameOf(tensor)]!;
    this.#grads[nameOf(tensor)] = np.array(Float32Array.from(values), { shape });
  }

  withoutGrad(tensor: number): void {
    this.#grads[nameOf(tensor)] = null;
  }

  setLr(group: number, lr: number): void {
    this.#state.optimizer.setGroup(groupName(group), { lr });
  }

  async step(): Promise<undefined> {
    [this.#params] = this.#solver.update(this.#grads, this.#state, this.#params);
    this.#grads = {};
    this.#saved = undefined;
  }

  async readParam(tensor: number): Promise<Float32Array> {
    return (await this.#params[nameOf(tensor)]!.ref.data()) as Float32Array;
  }

  async readState(tensor: number): Promise<SubjectState> {
    this.#saved ??= this.#state.stateDict(tree.ref(this.#params));
    const saved = (await this.#saved).tensors[nameOf(tensor)];
    if (!saved) throw new Error(`the state dict has no tensor ${nameOf(tensor)}`);
    return saved;
  }

  stateDict(): never {
    throw new Error("trajectories read no state dict");
  }

  readLossScale(): never {
    throw new Error("trajectories have no loss scale");
  }

  destroy(): void {
    if (this.#state.copies > 0)
      throw new Error(`${this.#state.copies} parameters were copied, though nobody held them`);
    this.#state.dispose();
    tree.dispose(this.#params);
  }
}
