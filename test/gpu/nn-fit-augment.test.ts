/** Augmentation against the same in TypeScript: integers, so bytes agree exactly. */
import { describe, expect, it } from "vitest";
import { sgd } from "../../src/index.ts";
import {
  compile,
  conv2d,
  crossEntropy,
  encodeDispatches,
  flatten,
  linear,
  type Plan,
  sequential,
} from "../../src/nn/index.ts";
import { readSlices } from "../../src/nn/read-slices.ts";
import { settleAugment } from "../../src/nn/trainer/augment.ts";
import { gatherImages, type ImageChanges } from "../../src/nn/trainer/gather.ts";
import { testDevice } from "../browser/device.ts";
import { words } from "../reference/prng.ts";

function mixed(number: number): number {
  let x = (number + 0x9e3779b9) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

const hash = (seed: number, stream: number, step: number, row: number) =>
  mixed((mixed((mixed((mixed(seed) + stream) >>> 0) + step) >>> 0) + row) >>> 0);

/** What the kernel should make of stored images whose elements are `at(sample, index)`, as numbers in [0, 1] of bytes. */
function expected(
  { channels, size, stored, shift, flip, noise, fill }: ImageChanges,
  order: readonly number[],
  choice: { seed: number; step: number; training: boolean },
  at: (sample: number, index: number) => number,
): number[][] {
  const { seed, step, training } = choice;
  return order.map((sample, row) => {
    const base = hash(seed, 0x61756721, step, row);
    const spare = stored.map((extent, d) => extent - size[d]!);
    const offset = spare.map((free, d) => {
      if (!training) return Math.floor(free / 2);
      return (mixed((base + d) >>> 0) % (free + 2 * shift[d]! + 1)) - shift[d]!;
    });
    const mirrored = training && flip && (mixed((base + 2) >>> 0) & 1) === 1;
    return Array.from({ length: channels * size[0] * size[1] }, (_, feature) => {
      const x = feature % size[1];
      const y = Math.floor(feature / size[1]) % size[0];
      const channel = Math.floor(feature / (size[0] * size[1]));
      const sy = y + offset[0]!;
      const sx = (mirrored ? size[1] - 1 - x : x) + offset[1]!;
      const inside = sy >= 0 && sx >= 0 && sy < stored[0] && sx < stored[1];
      const value = inside ? at(sample, (channel * stored[0] + sy) * stored[1] + sx) : fill;
      if (!training || noise === 0) return value;
      const word = mixed((hash(seed, 0x6e6f6973, step, row) + feature) >>> 0);
      const sum = [0, 8, 16, 24].reduce((total, bits) => total + ((word >>> bits) & 255), 0);
      return value + (noise * (sum - 510)) / 147.8017;
    });
  });
}

const [CHANNELS, HEIGHT, WIDTH] = [2, 5, 7];

async function planOf(device: GPUDevice, bytes: boolean): Promise<Plan> {
  const model = sequential([CHANNELS, HEIGHT, WIDTH], [conv2d(2, { kernel: 3 }), flatten(), linear(3)]);
  return compile(device, model, {
    ...{ batchSize: 6, loss: crossEntropy(), optimizer: { rule: sgd() } },
    ...(bytes && { bytes: { scale: 1, shift: 0 } }),
  });
}

describe.each([true, false])("bytes: %s", (bytes) => {
  it.each([
    { name: "shift and flip", augment: { shift: [2, 1] as const, flip: true, fill: 0.2 }, stored: undefined },
    { name: "crop", augment: undefined, stored: [8, 9] as const },
    { name: "crop, shift and noise", augment: { shift: 1, noise: 0.1 }, stored: [6, 7] as const },
  ])("$name", async ({ augment, stored }) => {
    const device = await testDevice();
    const plan = await planOf(device, bytes);
    const changes = settleAugment("fit", plan.model.input, augment, stored)!;
    const elements = CHANNELS * changes.stored[0] * changes.stored[1];
    const stride = Math.ceil(elements / 4) * 4;
    const byteAt = (sample: number, index: number) => words(1, 7, sample, index).w1 % 256;
    const at = (sample: number, index: number) => byteAt(sample, index) / 255;
    const samples = new (bytes ? Uint8Array : Float32Array)(4 * stride);
    for (let sample = 0; sample < 4; sample++) {
      for (let i = 0; i < elements; i++) samples[sample * stride + i] = (bytes ? byteAt : at)(sample, i);
    }
    const order = [3, 0, 2, 1, 1];
    const buffer = (data: ArrayBufferView<ArrayBuffer>) => {
      const made = device.createBuffer({
        size: data.byteLength,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
      });
      device.queue.writeBuffer(made, 0, data);
      return { buffer: made };
    };
    for (const training of [true, false]) {
      const kernel = await gatherImages(device, "test", { ...changes, rows: plan.rows, bytes, training });
      const places = { samples: buffer(samples), order: buffer(Uint32Array.from([9, ...order])) };
      const dispatch = kernel.on({ ...places, batch: plan.batch, random: plan.random, input: plan.input });
      for (const step of [0, 1, 77]) {
        plan.select({ first: 1, count: 5, seed: 5, step });
        const encoder = device.createCommandEncoder();
        encodeDispatches(encoder, "test", [dispatch]);
        device.queue.submit([encoder.finish()]);
        const [raw] = await readSlices(device, [plan.input]);
        const got = bytes ? new Uint8Array(raw!) : new Float32Array(raw!);
        const rowLength = Math.ceil((CHANNELS * HEIGHT * WIDTH) / 4) * 4;
        const want = expected(changes, order, { seed: 5, step, training }, at);
        for (let row = 0; row < plan.rows; row++) {
          for (let i = 0; i < rowLength; i++) {
            const value = want[row]?.[i] ?? 0;
            const exact = bytes ? Math.min(1, Math.max(0, value)) * 255 : value;
            // Bytes are rounded, and one that lies between two may go either way; floats have 2^-24 of 1 and of the noise.
            const bound = bytes ? 0.501 : 1e-6;
            expect(Math.abs(got[row * rowLength + i]! - exact), `row ${row}, ${i}`).toBeLessThanOrEqual(bound);
          }
        }
      }
      for (const { buffer: made } of Object.values(places)) made.destroy();
    }
    plan.destroy();
  });
});

it("draws every offset and both directions, about equally often", () => {
  const counts = new Map<string, number>();
  for (let step = 0; step < 200; step++) {
    for (let row = 0; row < 8; row++) {
      const base = hash(3, 0x61756721, step, row);
      const key = `${mixed(base) % 3},${mixed((base + 1) >>> 0) % 3},${mixed((base + 2) >>> 0) & 1}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  expect(counts.size).toBe(18);
  // 1600 draws: 89 each, with a standard deviation of 9.
  for (const [key, count] of counts) expect(Math.abs(count - 89), key).toBeLessThan(45);
});
