import { adamw, cosine, decayGroups } from "../../src/index.ts";
import {
  batchNorm,
  compile,
  conv2d,
  crossEntropy,
  flatten,
  linear,
  maxPool2d,
  relu,
  sequential,
} from "../../src/nn/index.ts";

const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
const model = sequential(
  [1, 8, 8],
  [conv2d(8, { kernel: 3, padding: 1, bias: false }), batchNorm(), relu(), maxPool2d(2), flatten(), linear(4)],
);
console.log(model.summary());

// Noise with a brighter quarter: which one is it?
const labels = Array.from({ length: 32 }, (_, k) => k % 4);
const images = () =>
  labels.flatMap((label) =>
    Array.from({ length: 64 }, (_, i) => {
      const quarter = Math.floor((i % 8) / 4) + 2 * Math.floor(i / 32);
      return Math.random() + (quarter === label ? 0.5 : 0);
    }),
  );

const plan = await compile(device, model, {
  batchSize: 32,
  loss: crossEntropy({ labelSmoothing: 0.1 }),
  optimizer: {
    rule: adamw(),
    lr: cosine(0.01, 100),
    groups: decayGroups(model.params, { weightDecay: 0.01 }),
    clip: { globalNorm: 1 },
  },
  seed: 1,
});
for (let step = 0; step < 100; step++) {
  plan.write(images(), labels); // from the host; or a kernel of yours fills plan.input and plan.target
  plan.step({ step }); // forward, loss, backward and update in one submission
}
plan.write(images(), labels);
plan.evaluateBatch(); // batch norm with running statistics, no dropout
const { loss, correct, count } = await plan.readRecord();
console.log(loss, correct / count);

export { correct, count, device, loss, plan };
