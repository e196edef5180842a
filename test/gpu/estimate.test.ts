/** What a rule estimates beside its steps: from the gradients as they are, whatever else the optimizer does with gradients. */
import { expect, test } from "vitest";
import { createOptimizer, type OptimizerOptions, OptionError, sophiag } from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { someValues } from "./twin-run.ts";

const SIZE = 37;
const q = someValues(1, SIZE);

async function make(options: Partial<OptimizerOptions>) {
  const params = [{ name: "w", shape: [SIZE], data: someValues(0, SIZE) }];
  return createOptimizer(await testDevice(), { rule: sophiag({ betas: [0.9, 0.75] }), params, ...options });
}

test.each<[string, Partial<OptimizerOptions>, number]>([
  ["alone", {}, 1],
  [
    "with every kind of clipping",
    { clip: { globalNorm: 0.1, tensorNorm: 0.1, adaptive: { factor: 0.01 }, value: 0.01 } },
    1,
  ],
  ["with decay in the gradient", { decayMode: "coupled", weightDecay: 3 }, 1],
  ["with decay toward other values in it", { decayMode: "coupled", weightDecay: 3, toward: "initial", l1: 0.5 }, 1],
  ["with a loss scale", { lossScale: 8 }, 8],
])("h <- 0.75 h + 0.25 q^2 %s, and after a skipped step", async (_, options, scale) => {
  const optimizer = await make({ ...options, skipNonFinite: true });
  const scaled = q.map((x) => x * scale);
  optimizer.writeGrad(
    "w",
    scaled.map((x, i) => (i === 3 ? Number.NaN : x)),
  );
  optimizer.step();
  for (const share of [0.25, 0.4375]) {
    optimizer.writeGrad("w", scaled);
    optimizer.estimate();
    const { step, slots } = await optimizer.readState("w");
    expect(step).toBe(0);
    // Three roundings each time.
    slots.hessian!.forEach((h, i) => {
      expect(Math.abs(h - share * q[i]! ** 2)).toBeLessThanOrEqual(6 * 2 ** -24 * q[i]! ** 2);
    });
  }
  optimizer.destroy();
});

test("is taken by who had no gradient in the step before, and not by who is frozen", async () => {
  const params = ["a", "b"].map((name) => ({ name, shape: [SIZE], data: someValues(0, SIZE) }));
  const optimizer = await make({ params });
  optimizer.withoutGrad("a");
  optimizer.step();
  optimizer.freeze("b");
  for (const name of ["a", "b"]) optimizer.writeGrad(name, q);
  optimizer.estimate();
  const hessian = async (name: string) => (await optimizer.readState(name)).slots.hessian!;
  (await hessian("a")).forEach((h, i) => {
    // Three roundings.
    expect(Math.abs(h - 0.25 * q[i]! ** 2)).toBeLessThanOrEqual(3 * 2 ** -24 * q[i]! ** 2);
  });
  expect(await hessian("b")).toEqual(new Float32Array(SIZE));
  optimizer.destroy();
});

test("is refused where gradients are accumulated", async () => {
  const optimizer = await make({ accumulate: 2 });
  expect(() => optimizer.estimate()).toThrow(OptionError);
  optimizer.destroy();
});
