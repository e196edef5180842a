import { expect, test } from "vitest";
import { adamw, createOptimizer } from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";

test("AdamW: two steps on an odd-sized tensor", async () => {
  const device = await testDevice();
  const data = Float32Array.from({ length: 1003 }, (_, i) => Math.sin(i));
  const optimizer = await createOptimizer(device, {
    rule: adamw(),
    params: [{ name: "w", shape: [1003], data }],
    lr: 0.01,
    weightDecay: 0.1,
  });
  const grad = Float32Array.from({ length: 1003 }, (_, i) => Math.cos(3 * i));
  const m = new Float64Array(1003);
  const v = new Float64Array(1003);
  const w = Float64Array.from(data);
  for (let t = 1; t <= 2; t++) {
    optimizer.writeGrad("w", grad);
    optimizer.step();
    for (let i = 0; i < 1003; i++) {
      const g = grad[i]!;
      w[i]! *= 1 - 0.01 * 0.1;
      m[i] = 0.9 * m[i]! + 0.1 * g;
      v[i] = 0.999 * v[i]! + 0.001 * g * g;
      w[i]! -= ((0.01 / (1 - 0.9 ** t)) * m[i]!) / (Math.sqrt(v[i]! / (1 - 0.999 ** t)) + 1e-8);
    }
  }
  const got = await optimizer.readParam("w");
  for (let i = 0; i < 1003; i++) expect(Math.abs(got[i]! - w[i]!)).toBeLessThan(3e-7);
  optimizer.destroy();
});
