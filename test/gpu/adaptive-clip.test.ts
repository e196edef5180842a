/** Adaptive gradient clipping, unit by unit, against its float64 twin. */
import { describe, expect, test } from "vitest";
import { adafactor, createOptimizer, OptionError, sgd } from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { sgd as sgdTwin } from "../reference/sgd.ts";
import { attach } from "./attached.ts";
import { CHUNK, expectTwinRun, type Problem, start, stepWith } from "./twin-run.ts";

const shapes = [[7, 9], [5, 3, 3, 3], [33], [1], [], [64, 4], [3, CHUNK + 1], [0, 4]];
const problem: Problem = {
  row: { rule: sgd({ momentum: 0.9 }), twin: sgdTwin, options: { momentum: 0.9 } },
  shapes,
  options: { lr: 0.1, clip: { globalNorm: 3, adaptive: { factor: 0.05 }, value: 0.5 } },
  tuning: { chunk: CHUNK },
};

describe("units", () => {
  test("rows, kernels of convolutions and vectors, some clipped and some not", async () => {
    await expectTwinRun(await testDevice(), problem, 10);
  });

  test("with gradients that are small for most units", async () => {
    const gradient: Problem["gradient"] = () => ({ kind: "sparse", scale: 0.01, zero: 100 });
    await expectTwinRun(
      await testDevice(),
      { ...problem, gradient, options: { clip: { adaptive: { factor: 0.01 } } } },
      10,
    );
  });

  test("of attached tensors", async () => {
    const device = await testDevice();
    const attached = attach(device, problem);
    await expectTwinRun(device, { ...problem, params: attached.params }, 5);
    expect(await attached.deadCanaries()).toEqual([]);
    attached.destroy();
  });
});

test("beside factored moments, which lie in the same memory", async () => {
  const device = await testDevice();
  const adaptive: Problem = { ...problem, row: { ...problem.row, rule: adafactor(), options: {} } };
  const optimizer = await start(device, { ...adaptive, options: { clip: { adaptive: { factor: 0.05 } } } });
  stepWith(
    optimizer,
    shapes.map((shape) => new Float32Array(shape.reduce((n, d) => n * d, 1)).fill(1)),
  );
  const { tensors } = await optimizer.stateDict();
  // All gradients of a unit are equal, and so short as its parameters want it: the means of a row are their square.
  const { param } = (await (await start(device, adaptive)).stateDict()).tensors.t0!;
  const norms = Array.from({ length: 7 }, (_, r) => Math.hypot(...param.subarray(9 * r, 9 * r + 9)));
  tensors.t0!.slots.row_var!.forEach((mean, r) => {
    expect(mean / (0.05 * norms[r]!) ** 2).toBeCloseTo(1 / 9, 5);
  });
  optimizer.destroy();
});

test("takes one dispatch", async () => {
  const optimizer = await start(await testDevice(), { ...problem, options: { clip: { adaptive: { factor: 0.05 } } } });
  const counter = countCalls(optimizer.device);
  optimizer.step();
  expect(counter.stop()).toMatchObject({ dispatches: 2, createBuffer: 0 });
  optimizer.destroy();
});

test.each([
  [{}, "sgd: clip.adaptive.factor must be a finite number >= 1.1754943508222875e-38, got undefined"],
  [{ factor: 0 }, "sgd: clip.adaptive.factor must be a finite number >= 1.1754943508222875e-38, got 0"],
  [{ factor: 1, eps: -1 }, "sgd: clip.adaptive.eps must be a finite number >= 0, got -1"],
  [{ factor: 1, units: 3 }, "sgd: clip.adaptive.units is no option"],
])("%o is refused", async (adaptive, message) => {
  const params = [{ name: "w", shape: [4] }];
  const made = createOptimizer(await testDevice(), { rule: sgd(), params, clip: { adaptive: adaptive as never } });
  await expect(made).rejects.toThrow(OptionError);
  await expect(made).rejects.toThrow(message);
});
