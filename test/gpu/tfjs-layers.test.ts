/** Layers models: `model.fit`, saving and loading with the optimizer. */
import * as tf from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { adam, adamw, cosine, sgd } from "../../src/index.ts";
import { FusedOptimizer, fused, loadable } from "../../src/tfjs/index.ts";
import { tfjsBackend } from "./tfjs-backend.ts";
import { BATCH, cnn, LOSS, quarters, weightsOf } from "./tfjs-cnn.ts";

beforeEach(async () => {
  await tfjsBackend();
});

afterEach(() => {
  tf.disposeVariables();
});

const largest = (a: ArrayLike<number>[], b: ArrayLike<number>[]) =>
  Math.max(...a.flatMap((x, k) => Array.from(x, (v, i) => Math.abs(v - (b[k]?.[i] ?? Number.NaN)))));

/** Keeps the loss of each batch without waiting for it. */
class Losses extends layers.Callback {
  readonly kept: tf.Scalar[] = [];
  override async onBatchEnd(_: number, logs?: { loss: tf.Scalar }): Promise<void> {
    if (logs) this.kept.push(tf.keep(logs.loss.clone()));
  }
}

/** Trains by `model.fit`; returns the loss of each batch. */
async function train(model: layers.LayersModel, data: ReturnType<typeof quarters>, epochs = 1): Promise<number[]> {
  const losses = new Losses();
  const options = { batchSize: BATCH, epochs, shuffle: false, yieldEvery: "never" as const, verbose: 0 };
  await model.fit(data.x, data.y, { ...options, callbacks: losses as unknown as layers.CustomCallbackArgs });
  const stacked = tf.stack(losses.kept);
  const values = [...(await stacked.data())];
  tf.dispose([stacked, ...losses.kept]);
  return values;
}

// 400 steps of TF.js: long where a software adapter shares two cores with others.
test("200 steps of model.fit give the weights and losses of tf.train.adam", { timeout: 180_000 }, async () => {
  const data = quarters(10);
  const run = async (optimizer: tf.Optimizer) => {
    const model = cnn();
    model.compile({ optimizer, ...LOSS });
    const losses = await train(model, data, 20);
    const weights = await weightsOf(model);
    model.dispose();
    optimizer.dispose();
    return { losses, weights };
  };
  const ours = await run(await fused(adam({ betas: [0.9, 0.999], eps: 1e-7 }), { lr: 5e-4 }));
  const theirs = await run(tf.train.adam(5e-4, 0.9, 0.999, 1e-7));
  data.dispose();
  expect(ours.losses.length).toBe(200);
  // It learns: else equal losses would say little.
  expect(ours.losses.at(-1)).toBeLessThan(0.7 * ours.losses[0]!);
  const [weights, losses] = [largest(ours.weights, theirs.weights), largest([ours.losses], [theirs.losses])];
  console.log(
    `tfjs cnn, 200 steps: weights differ by ${weights.toExponential(1)}, losses by ${losses.toExponential(1)}`,
  );
  expect(weights).toBeLessThan(1e-5);
  expect(losses).toBeLessThan(1e-5);
});

/** Saves into memory and loads again. */
async function saveAndLoad(model: layers.LayersModel): Promise<layers.LayersModel> {
  let saved: tf.io.ModelArtifacts | undefined;
  const handler = tf.io.withSaveHandler(async (artifacts) => {
    saved = artifacts;
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" as const } };
  });
  await model.save(handler, { includeOptimizer: true });
  // Through JSON, as every way of storing it goes.
  const { weightData, ...rest } = saved as tf.io.ModelArtifacts;
  const artifacts = { ...(JSON.parse(JSON.stringify(rest)) as typeof rest), weightData: weightData as ArrayBuffer };
  return layers.loadLayersModel(tf.io.fromMemory(artifacts));
}

test.each([
  [
    "adamw with groups, clipping and figures",
    adamw({ betas: [0.8, 0.99], amsgrad: true }),
    {
      weightDecay: 0.1,
      clip: { globalNorm: 1 },
      monitor: { every: 2 },
      groups: [
        { match: /conv2d.*kernel/, lrScale: 2 },
        { match: "*_Dense*/bias*", weightDecay: 0 },
      ],
    },
  ],
  ["sgd with momentum", sgd({ momentum: 0.9, nesterov: true }), {}],
  ["sgd without state", sgd(), {}],
])("a model saved with its optimizer goes on as if it never had been: %s", async (_, rule, options) => {
  const data = quarters(3);
  const model = cnn();
  const optimizer = await fused(rule, { lr: 0.01, ...options });
  model.compile({ optimizer, ...LOSS });
  await train(model, data);
  // Changed since: the loaded one has it too.
  optimizer.setLearningRate(0.02);
  const loaded = await saveAndLoad(model);
  const restored = loaded.optimizer as FusedOptimizer;
  expect(restored).not.toBe(optimizer);
  expect(restored.getConfig()).toEqual(optimizer.getConfig());
  expect(restored.iterations).toBe(3);
  await train(model, data);
  await train(loaded, data);
  expect(await weightsOf(loaded)).toEqual(await weightsOf(model));
  // And once more, from a model whose variables have other names.
  const again = await saveAndLoad(loaded);
  await train(loaded, data);
  await train(again, data);
  expect(await weightsOf(again)).toEqual(await weightsOf(loaded));
  for (const m of [model, loaded, again]) {
    m.optimizer.dispose();
    m.dispose();
  }
  data.dispose();
});

test("a run of tf.train.adam goes on in ours, and back", async () => {
  const data = quarters(3);
  const [mixed, theirs] = [cnn(), cnn()];
  const own = () => tf.train.adam(0.01, 0.9, 0.999, 1e-7);
  const [first, second, third, whole] = [own(), await fused(adam({ eps: 1e-7 }), { lr: 0.01 }), own(), own()];
  for (const [i, optimizer] of [first, second, third].entries()) {
    const before = [first, second][i - 1];
    if (before) await optimizer.setWeights(await before.getWeights());
    mixed.compile({ optimizer, ...LOSS });
    await train(mixed, data);
  }
  theirs.compile({ optimizer: whole, ...LOSS });
  await train(theirs, data, 3);
  expect(third.iterations).toBe(9);
  // 3 of the 9 steps, of 0.01 each, are ours; TF.js's beta2^t has float32's error of 1e-5 in 1 - beta2^t.
  expect(largest(await weightsOf(mixed), await weightsOf(theirs))).toBeLessThan(1e-5);
  for (const thing of [first, second, third, whole, mixed, theirs, data]) thing.dispose();
});

test("what a saved model cannot hold is told when it is saved", async () => {
  const model = cnn();
  const optimizer = await fused(adamw(), { lr: cosine(0.1, 100) });
  model.compile({ optimizer, ...LOSS });
  await expect(saveAndLoad(model)).rejects.toThrow(/getConfig: options.lr must not be a function .*getWeights/);
  optimizer.dispose();
  model.dispose();
});

test("a rule that this page does not know is named", async () => {
  const optimizer = await fused(sgd(), { lr: 1 });
  const config = { ...optimizer.getConfig(), rule: "mine" };
  expect(() => FusedOptimizer.fromConfig(FusedOptimizer, config)).toThrow(/loadLayersModel: rule .*loadable.*"mine"/);
  loadable(sgd());
  expect(FusedOptimizer.fromConfig(FusedOptimizer, optimizer.getConfig()).getConfig()).toEqual(optimizer.getConfig());
  optimizer.dispose();
});

test("before its kernels are compiled it says what to wait for", async () => {
  const optimizer = new FusedOptimizer(sgd(), { lr: 1 });
  const w = tf.tidy(() => tf.variable(tf.tensor1d([1, 2])));
  expect(() => optimizer.minimize(() => w.square().sum() as tf.Scalar)).toThrow(
    /await fused\(\.\.\.\), or optimizer\.ready\(\)/,
  );
  await optimizer.ready();
  optimizer.minimize(() => w.square().sum() as tf.Scalar);
  expect([...(await w.data())]).toEqual([-1, -2]);
  optimizer.dispose();
});

test("frozen layers, and layers that thaw", async () => {
  const data = quarters(2);
  const model = cnn();
  const [first] = model.layers as [layers.layers.Layer];
  first.trainable = false;
  const optimizer = await fused(adamw(), { lr: 0.01 });
  model.compile({ optimizer, ...LOSS });
  const before = await weightsOf(model);
  await train(model, data);
  const frozen = await weightsOf(model);
  // The weights are listed with the trainable ones first.
  expect(largest(frozen.slice(-2), before.slice(-2))).toBe(0);
  first.trainable = true;
  model.compile({ optimizer, ...LOSS });
  await train(model, data);
  const names = model.trainableWeights.map((w) => w.name);
  const { tensors } = await optimizer.stateDict();
  expect(names.map((name) => tensors[name]?.step)).toEqual([2, 2, 4, 4, 4, 4]);
  for (const thing of [optimizer, model, data]) thing.dispose();
});
