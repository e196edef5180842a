/** Norms of long tensors whose elements are all equal: there the rounding of a sum does not average out. */
import { describe, expect, test } from "vitest";
import { createOptimizer, type Figures, type OptimizerOptions, sgd } from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";

const SIZE = 300_003;

/** Figures of a step of SGD with lr 1 from parameters `theta`, all gradients being `g`. */
async function figuresOf(
  theta: number,
  g: number,
  options: Partial<OptimizerOptions>,
  workgroup: number,
): Promise<Figures> {
  const params = [{ name: "w", shape: [SIZE], data: new Float32Array(SIZE).fill(theta) }];
  const all = { rule: sgd(), lr: 1, params, monitor: {}, ...options };
  const optimizer = await createOptimizer(await testDevice(), all, { workgroup, chunk: 16_384 });
  const seen: Figures[] = [];
  optimizer.on("figures", (figures) => seen.push(figures));
  optimizer.writeGrad("w", new Float32Array(SIZE).fill(g));
  optimizer.step();
  await optimizer.flush();
  optimizer.destroy();
  return seen[0] as Figures;
}

const relative = (got: number, expected: number): number => Math.abs(got / expected - 1);

// 4 invocations, as on a software adapter, sum 1024 elements each per chunk; 64, as on a GPU, 64 each.
describe.each([4, 64])("workgroups of %i", (workgroup) => {
  // Ordinary; their squares vanish; their squares overflow: the careful path.
  test.each([0.01, 3e-21, 7e20])("2-norms of %f, in the update pass and measured before", async (value) => {
    const g = Math.fround(value);
    const norm = g * Math.sqrt(SIZE);
    const fused = await figuresOf(0.3, g, {}, workgroup);
    expect(relative(fused.gradNorm, norm)).toBeLessThan(1e-6);
    const measured = await figuresOf(0.3, g, { clip: { globalNorm: norm / 2 } }, workgroup);
    expect(relative(measured.gradNorm, norm)).toBeLessThan(1e-6);
    expect(relative(measured.clipFactor, norm / 2 / (norm + 1e-6))).toBeLessThan(2e-6);
  });

  test.each([1, 3, Infinity])("%f-norm", async (normType) => {
    const g = Math.fround(0.01);
    const { gradNorm } = await figuresOf(0.3, g, { clip: { globalNorm: 1, normType } }, workgroup);
    expect(relative(gradNorm, g * SIZE ** (1 / normType))).toBeLessThan(1e-6);
  });

  test("of parameter and update, and after clipping by value", async () => {
    const { paramNorm, updateNorm, gradNormClipped } = await figuresOf(
      0.3,
      0.01,
      { clip: { value: 0.007 } },
      workgroup,
    );
    const step = Math.fround(0.007);
    expect(relative(updateNorm, step * Math.sqrt(SIZE))).toBeLessThan(1e-6);
    expect(relative(gradNormClipped, step * Math.sqrt(SIZE))).toBeLessThan(1e-6);
    expect(relative(paramNorm, Math.fround(Math.fround(0.3) - step) * Math.sqrt(SIZE))).toBeLessThan(1e-6);
  });
});
