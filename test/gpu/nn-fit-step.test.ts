/** The first step of a training of bytes, in the order of its epoch, against the float64 twin. */
import { expect, it } from "vitest";
import { sgd } from "../../src/index.ts";
import { crossEntropy, linear, relu, sequential, shuffled, fit as train } from "../../src/nn/index.ts";
import { testDevice } from "../browser/device.ts";
import { mlpLossAndGradients } from "../reference/mlp.ts";
import { words } from "../reference/prng.ts";
import { worstExcess } from "./nn-matrices.ts";

const SIZES = { inFeatures: 784, hidden: 128, classes: 10 };
const [SAMPLES, BATCH, SEED] = [300, 128, 5];

it("fit makes the step that the float64 twin makes", async () => {
  const device = await testDevice();
  const lr = 0.1;
  const input = Uint8Array.from({ length: SAMPLES * SIZES.inFeatures }, (_, k) => words(1, 1, 1, k).w1 % 256);
  const target = Uint8Array.from({ length: SAMPLES }, (_, k) => words(1, 1, 0, k).w1 % SIZES.classes);
  const model = sequential([SIZES.inFeatures], [linear(SIZES.hidden), relu(), linear(SIZES.classes)]);
  const training = await train({
    ...{ device, model, loss: crossEntropy(), batchSize: BATCH, bytes: { scale: 2, shift: -1 }, seed: SEED },
    ...{ optimizer: { rule: sgd(), lr }, data: { input, target }, epochs: 1, maxSteps: 1 },
  });
  const losses: number[] = [];
  for await (const event of training) if (event.kind === "steps") losses.push(...event.records.map(({ loss }) => loss));
  const { tensors } = await training.optimizer.stateDict();
  training.destroy();

  // Streams of the hash: 1000 and up are the orders of the epochs.
  const chosen = Array.from(shuffled(SEED, 1000, SAMPLES).subarray(0, BATCH));
  const x = chosen.flatMap((k) =>
    Array.from(input.subarray(k * SIZES.inFeatures, (k + 1) * SIZES.inFeatures), (byte) => (2 * byte) / 255 - 1),
  );
  const initial = model.init(SEED).map(({ data }) => data as Float32Array);
  const [weight1, bias1, weight2, bias2] = initial as [Float32Array, Float32Array, Float32Array, Float32Array];
  const labels = chosen.map((k) => target[k]!);
  const want = mlpLossAndGradients(x, labels, { weight1, bias1, weight2, bias2 }, SIZES);

  // Tolerances: see nn-plan.test.ts.
  expect(Math.abs(losses[0]! - want.loss)).toBeLessThan(2e-5);
  Object.values(want.gradients).forEach((gradient, k) => {
    const now = Object.values(tensors)[k]!.param;
    const moved = initial[k]!.map((before, i) => (before - now[i]!) / lr);
    const largest = Math.max(...Array.from(gradient, Math.abs));
    // The difference of two float32 weights of up to 0.1 is good to 2^-28, divided by lr.
    const bound = 1e-5 * largest + 2 ** -27 / lr;
    expect(
      worstExcess(moved, gradient, () => bound),
      Object.keys(tensors)[k],
    ).toBeLessThanOrEqual(0);
  });
});
