/** The adapter for TensorFlow.js as a subject of the conformance cases, through nothing but TF.js's and its own public API. */
import * as tf from "@tensorflow/tfjs-core";
import { adam, adamw, type Rule, sgd } from "../../src/index.ts";
import { type FusedOptimizer, fused } from "../../src/tfjs/index.ts";
import type { Subject, SubjectMaker } from "../conformance/subject.ts";

const RULES: Readonly<Record<string, () => Rule>> = { sgd, adam, adamw };
const unused = (): never => {
  throw new Error("trajectories do not ask for this");
};

export const tfjsMaker: SubjectMaker = {
  createScaler: unused,
  async create({ rule, tensors, groups }) {
    const variables = tensors.map(({ data, shape }) =>
      tf.tidy(() => tf.variable(tf.tensor(data, [...shape], "float32"), true)),
    );
    const make = RULES[rule];
    if (!make) throw new Error(`${rule} is not one of ${Object.keys(RULES)}`);
    const optimizer = await fused(make(), {
      groups: groups.map(({ tensors: members, options }, g) => ({
        match: ({ name }) => members.some((k) => variables[k]?.name === name),
        name: `group ${g}`,
        ...options,
      })),
    });
    return subject(optimizer, variables);
  },
};

function subject(optimizer: FusedOptimizer, variables: readonly tf.Variable[]): Subject {
  // Whatever is not in the list has no gradient.
  let gradients: { name: string; tensor: tf.Tensor }[] = [];
  const name = (k: number) => variables[k]?.name as string;
  const stateOf = async (k: number) => {
    const state = (await optimizer.stateDict()).tensors[name(k)];
    return state ?? { step: 0, slots: {} };
  };
  return {
    writeGrad(k, values) {
      gradients.push({ name: name(k), tensor: tf.tensor(values, variables[k]?.shape, "float32") });
    },
    withoutGrad() {},
    setLr: (group, lr) => optimizer.setGroup(`group ${group}`, { lr }),
    async step() {
      // The array form, in another order at each step: state belongs to names.
      optimizer.applyGradients(gradients.reverse());
      tf.dispose(gradients.map((g) => g.tensor));
      gradients = [];
      return undefined;
    },
    readParam: async (k) => (await variables[k]?.data()) as Float32Array,
    readState: stateOf,
    stateDict: unused,
    readLossScale: unused,
    destroy() {
      optimizer.dispose();
      tf.dispose([...variables]);
    },
  };
}
