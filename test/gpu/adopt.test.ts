/** What the golden files of ADOPT, whose gradients are finite, do not show. */

import { expect, test } from "vitest";
import { adopt, createOptimizer } from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";

test("the first step only takes g^2, whatever g is: the parameter and exp_avg stay", async () => {
  const device = await testDevice();
  const data = Float32Array.of(1, 2, 3, 4);
  const optimizer = await createOptimizer(device, {
    rule: adopt({ clipExp: 0 }),
    params: [{ name: "w", shape: [4], data }],
  });
  optimizer.writeGrad("w", Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, 0, -2));
  optimizer.step();
  const { param, slots } = await optimizer.readState("w");
  optimizer.destroy();
  expect(param).toEqual(data);
  expect(slots.exp_avg).toEqual(new Float32Array(4));
  expect([...slots.exp_avg_sq!].slice(2)).toEqual([0, 4]);
  expect(slots.exp_avg_sq![0]).toBeNaN();
});
