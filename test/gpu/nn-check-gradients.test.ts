/** The gradient check: it passes right gradients, of the kit's layers and of a user's own, and refuses wrong ones. */
import { describe, expect, it } from "vitest";
import { checkGradients, linear, type Reference } from "../../src/nn/index.ts";
import { testDevice } from "../browser/device.ts";
import { scale } from "./scale-layer.ts";

const scaled: Reference = (input, params) => {
  const weight = params["scale1.weight"]!;
  return input.map((x, i) => x * weight[i % weight.length]!);
};

describe("checkGradients", () => {
  it.each([1, 4, 7])("passes a user's own layer of %i features", async (features) => {
    const options = { input: [features], samples: 5, reference: scaled };
    const { passed, errors } = await checkGradients(await testDevice(), scale(), options);
    expect(Object.keys(errors)).toEqual(["output", "input", "scale1.weight"]);
    expect(passed).toBe(true);
    // Products of float32, and sums of 5 of them, against the exact ones.
    for (const error of Object.values(errors)) expect(error).toBeLessThan(5e-7);
  });

  it("passes it without a reference, with less precision", async () => {
    const { passed, errors } = await checkGradients(await testDevice(), scale(), { input: [6] });
    expect(passed).toBe(true);
    expect(errors).not.toHaveProperty("output");
    expect(errors.input).toBeGreaterThan(0);
  });

  it("passes several layers, and the gradients of all their tensors", async () => {
    const { passed, errors } = await checkGradients(await testDevice(), [linear(5), scale(), linear(3)], {
      input: [6],
    });
    expect(Object.keys(errors)).toEqual(["input", "fc1.weight", "fc1.bias", "scale1.weight", "fc2.weight", "fc2.bias"]);
    expect(passed).toBe(true);
  });

  it.each([scaled, undefined])("refuses wrong gradients", async (reference) => {
    const options = { input: [6], ...(reference && { reference }) };
    const { passed, errors } = await checkGradients(await testDevice(), scale({ wrong: true }), options);
    expect(passed).toBe(false);
    expect(errors["scale1.weight"]).toBeGreaterThan(0.1);
    expect(errors.input).toBeLessThan(1e-2);
  });

  it("refuses a forward that is not what the reference says", async () => {
    const other: Reference = (input, params, samples) => Array.from(scaled(input, params, samples), (y) => 1.01 * y);
    const { passed, errors } = await checkGradients(await testDevice(), scale(), { input: [6], reference: other });
    expect(passed).toBe(false);
    expect(errors.output).toBeCloseTo(0.01 / 1.01, 5);
  });

  it("refuses a reference of another size, and bad options", async () => {
    const device = await testDevice();
    const short: Reference = (input) => input.subarray(1);
    await expect(checkGradients(device, scale(), { input: [6], reference: short })).rejects.toThrow(
      "checkGradients: reference must return 18 values, got 17",
    );
    await expect(checkGradients(device, scale(), { input: [6], sample: 3 } as never)).rejects.toThrow("sample");
  });
});
