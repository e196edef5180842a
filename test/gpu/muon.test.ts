/** Muon's guide: its example is a file that runs, and does what the guide says. */
import { expect, test, vi } from "vitest";
import guide from "../../docs/muon.md?raw";
import { newtonSchulz, QUINTIC } from "../reference/newton-schulz.ts";
import { generate } from "../reference/prng.ts";
import source from "./muon-example.ts?raw";
import { worstExcess } from "./nn-matrices.ts";

test("the guide's example is test/gpu/muon-example.ts, and orthogonalizes its matrices", async () => {
  const block = /```ts\n([\s\S]*?)```/.exec(guide)?.[1];
  const file = source.replace("../../src/index.ts", "webgpu-optim").replace(/\nexport \{.*\n$/, "");
  expect(block).toBe(file);

  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const { device, optimizer } = await import("./muon-example.ts");
  expect(log.mock.calls[0]?.[0]).toContain("conv.weight");
  log.mockRestore();

  // From zero, with momentum of zero: the second step's direction is that of its gradient, whatever its size.
  const grads = optimizer.tensors.map(({ name, shape }, k) => {
    const grad = generate(
      { kind: "normal", scale: 1e-3 },
      3,
      k,
      1,
      shape.reduce((a, b) => a * b),
    ) as Float32Array<ArrayBuffer>;
    optimizer.writeGrad(name, grad);
    return { name, grad };
  });
  optimizer.step();
  const moved = new Map<string, Float32Array>();
  for (const { name } of grads) moved.set(name, await optimizer.readParam(name));
  const polynomials = Array.from({ length: 5 }, () => QUINTIC);
  for (const { name, rows, cols, scale } of [
    { name: "conv.weight", rows: 16, cols: 27, scale: 1 },
    { name: "fc.weight", rows: 128, cols: 32, scale: 2 }, // sqrt(128 / 32)
  ]) {
    const { grad } = grads.find((g) => g.name === name)!;
    const shape = { rows, cols, polynomials, eps: 1e-7, normalization: "add" } as const;
    const u = grad.map((g) => g * 0.05 * 1.95); // (1 - mu) g + mu (1 - mu) g
    const want = newtonSchulz(u, shape).map((x) => -0.02 * scale * x);
    // Ten times what float32 costs the iteration on such matrices, see newton-schulz.test.ts.
    const allowed = 0.02 * scale * 1e-5;
    expect(
      worstExcess(moved.get(name)!, want, () => allowed),
      name,
    ).toBeLessThanOrEqual(0);
  }
  // The others follow AdamW: its second step, on from zero.
  for (const name of ["embed.weight", "fc.bias", "head.weight"]) {
    const { grad } = grads.find((g) => g.name === name)!;
    const want = Float64Array.from(grad, (g) => {
      return (-3e-4 * ((0.1 / 0.19) * g)) / (Math.sqrt(0.05 / 0.0975) * Math.abs(g) + 1e-8);
    });
    expect(
      worstExcess(moved.get(name)!, want, () => 1e-5 * 3e-4),
      name,
    ).toBeLessThanOrEqual(0);
  }
  optimizer.destroy();
  device.destroy();
});
