/** What a parameter takes in memory, by rule and format: from the buffers that are alive. README has this table. */

import { expect, test } from "vitest";
import { adamw, createOptimizer, lion, type OptimizerOptions, type Rule, sgd } from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";

const SIZE = 2 ** 18;

type Kept = Pick<OptimizerOptions, "state" | "storage">;

/** Bytes by what the live buffers of an optimizer with one tensor hold. */
async function bytes(rule: Rule, kept: Kept, elements: number): Promise<Record<string, number>> {
  const device = await testDevice({ fresh: true });
  const live = new Set<GPUBuffer>();
  const create = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      live.delete(buffer);
      return destroy();
    };
    live.add(buffer);
    return buffer;
  };
  const optimizer = await createOptimizer(device, { rule, params: [{ name: "w", shape: [elements] }], ...kept });
  optimizer.step();
  const found: Record<string, number> = {};
  for (const { label, size } of live) {
    const what = label.split(" ").at(-1)!;
    found[what] = (found[what] ?? 0) + size;
  }
  optimizer.destroy();
  return found;
}

/** Bytes per parameter: what more parameters take. A chunk of 16384 elements has a row of 16 bytes in a table, which is left out. */
async function bytesPerParameter(rule: Rule, kept: Kept): Promise<Record<string, number>> {
  const one = await bytes(rule, kept, SIZE);
  const two = await bytes(rule, kept, 2 * SIZE);
  const more = Object.entries(two).map(([what, size]) => [what, (size - one[what]!) / SIZE] as const);
  return Object.fromEntries(more.filter(([, each]) => each > 16 / 16_384));
}

const WHOLE = { params: 4, grads: 4 };
const HALF = { params: 2, grads: 2 };

test.each([
  ["adamw", adamw(), 8, 2 + 2 / 64],
  ["sgd with momentum", sgd({ momentum: 0.9 }), 4, 1 + 1 / 64],
  ["sgd", sgd(), 0, 0],
  ["lion", lion(), 4, 1 + 1 / 64],
])("%s", async (_, rule, full, small) => {
  const per = (kept: Kept) => bytesPerParameter(rule, kept);
  const row = (buffers: Record<string, number>, state: number) => ({ ...buffers, ...(state > 0 && { state }) });
  expect(await per({})).toEqual(row(WHOLE, full));
  expect(await per({ state: "8-bit" })).toEqual(row(WHOLE, small));
  expect(await per({ storage: { params: "bf16" } })).toEqual(row(HALF, full + 4));
  expect(await per({ storage: { params: "f16" }, state: "8-bit" })).toEqual(row(HALF, small + 4));
  expect(await per({ storage: { params: "bf16", master: false } })).toEqual(row(HALF, full));
  expect(await per({ storage: { params: "bf16", master: false }, state: "8-bit" })).toEqual(row(HALF, small));
  expect(await per({ storage: { grads: "bf16" } })).toEqual(row({ params: 4, grads: 2 }, full));
});
