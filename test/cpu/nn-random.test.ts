/** Orders of the data. */
import { expect, test } from "vitest";
import { shuffled } from "../../src/nn/random.ts";

test("shuffled gives every number once, and another order for another epoch", () => {
  const first = shuffled(1, 1000, 1000);
  const second = shuffled(1, 1001, 1000);
  for (const order of [first, second]) {
    expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, k) => k));
  }
  // Two random orders agree in about one place.
  expect(first.filter((k, i) => k === second[i]).length).toBeLessThan(8);
  expect(first.filter((k, i) => k === i).length).toBeLessThan(8);
});
