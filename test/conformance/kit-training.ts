/** Complete training runs with the training kit, through nothing but its public API. */

import type { Figures, Rule } from "../../src/index.ts";
import * as library from "../../src/index.ts";
import {
  batchNorm,
  compile,
  conv2d,
  crossEntropy,
  flatten,
  gelu,
  type Layer,
  layerNorm,
  linear,
  type Model,
  maxPool2d,
  mse,
  type Part,
  relu,
  sequential,
  sigmoid,
  silu,
  tanh,
} from "../../src/nn/index.ts";
import { elementCount } from "../reference/prng.ts";
import type { E2eModel } from "./golden/e2e.ts";
import type { RunTraining, TrainingProblem } from "./kinds/e2e.ts";

const ACTIVATIONS: Readonly<Record<E2eModel["activation"], () => Layer>> = {
  relu,
  tanh,
  silu,
  sigmoid,
  gelu,
  gelu_tanh: () => gelu({ approximate: "tanh" }),
};

/** The network of a case; see section 10 of the format. */
function networkOf({ model, data, names }: Pick<TrainingProblem, "model" | "data" | "names">): Model {
  const activation = ACTIVATIONS[model.activation];
  if (model.type === "mlp") {
    const { sizes, layerNorm: normalized } = model;
    const parts = sizes.slice(1).map((size, i): Part => {
      const dense = linear(size, { name: `fc${i}` });
      if (i === sizes.length - 2) return dense;
      return [dense, normalized ? layerNorm({ name: `ln${i}` }) : [], activation()];
    });
    return sequential([elementCount(data.inputShape)], parts);
  }
  const block = (i: number): Part => [
    conv2d(model.channels[i]!, { kernel: 3, padding: 1, bias: model.convBias, name: `conv${i}` }),
    model.batchNorm ? batchNorm({ name: `bn${i}` }) : [],
    activation(),
  ];
  const classes = data.targets ?? data.classes;
  const head = names.find((name) => /^fc.*\.weight$/.test(name))?.replace(".weight", "") ?? "fc";
  return sequential(
    [...data.inputShape],
    [block(0), maxPool2d(2), block(1), flatten(), linear(classes, { name: head })],
  );
}

/** Trains on a device. */
export function kitTraining(device: GPUDevice): RunTraining {
  return async (problem) => {
    const { data, names, params, steps, groups, clipNorm, lrFactor } = problem;
    const rule = ((library as Readonly<Record<string, unknown>>)[problem.rule] as () => Rule)();
    const { lr: ruleLr = 1e-3 } = rule.definition;
    const model = networkOf(problem);
    const expected = [...names].sort().join(" ");
    const own = model.params
      .map(({ name }) => name)
      .sort()
      .join(" ");
    if (own !== expected) throw new Error(`the model has the tensors ${own}, the case has ${expected}`);
    const plan = await compile(device, model, {
      batchSize: data.batch,
      loss: problem.loss === "mse" ? mse() : crossEntropy(),
      slots: steps,
      optimizer: {
        rule,
        ...problem.whole,
        groups: groups.map(({ params: members, options }, g) => ({
          name: `group ${g}`,
          match: ({ name }) => members.includes(name),
          ...options,
          ...(lrFactor && { lr: (step: number) => (options.lr ?? ruleLr) * lrFactor[Math.min(step, steps - 1)]! }),
        })),
        ...(clipNorm === undefined ? {} : { clip: { globalNorm: clipNorm }, monitor: { every: 1 } }),
      },
    });
    try {
      const { optimizer } = plan;
      names.forEach((name, k) => {
        optimizer.writeParam(name, params[k]!);
      });
      const figures: Figures[] = [];
      if (clipNorm !== undefined) optimizer.on("figures", (f) => figures.push(f));
      const firstGrad: Float32Array[] = [];
      for (let step = 0; step < steps; step++) {
        const at = Array.from({ length: data.batch }, (_, i) => (step * data.batch + i) % data.samples);
        plan.write(...batchOf(problem, at));
        plan.step({ slot: step, step });
        if (step === 0) for (const name of names) firstGrad.push(await plan.readGradient(name));
        if (clipNorm !== undefined) await optimizer.flush();
      }
      const records = await plan.readRecords(0, steps);
      const final = await Promise.all(names.map((name) => optimizer.readParam(name)));
      const buffers = await plan.readBuffers();
      let loss = 0;
      let correct = 0;
      for (let first = 0; first < data.samples; first += data.batch) {
        const count = Math.min(data.batch, data.samples - first);
        const at = Array.from({ length: count }, (_, i) => first + i);
        plan.write(...batchOf(problem, at));
        plan.evaluateBatch({ count });
        const [record] = await plan.readRecords();
        loss += record!.loss * count;
        correct += record!.correct;
      }
      return {
        losses: records.map((record) => record.loss),
        gradNorms: figures.map(({ gradNorm }) => gradNorm),
        firstGrad,
        final,
        buffers,
        evalLoss: loss / data.samples,
        evalAccuracy: correct / data.samples,
      };
    } finally {
      plan.destroy();
    }
  };
}

/** Input and target of these samples. */
function batchOf({ input, labels, targets, data }: TrainingProblem, samples: readonly number[]): [number[], number[]] {
  const rowsOf = (values: ArrayLike<number>, all: number): number[] => {
    const width = values.length / all;
    return samples.flatMap((n) => Array.from({ length: width }, (_, i) => values[n * width + i]!));
  };
  return [rowsOf(input, data.samples), rowsOf(targets ?? labels, data.samples)];
}
