/** Batches out of a data set on the GPU: words are copied, so they agree exactly. */
import { describe, expect, it } from "vitest";
import { rowsOf } from "../../src/nn/activation.ts";
import { gatherRowsOf } from "../../src/nn/trainer/gather.ts";
import { testDevice } from "../browser/device.ts";
import { words } from "../reference/prng.ts";
import { readWords, run, upload } from "./nn-matrices.ts";

describe.each([
  { samples: 40, batch: 16, inputWords: 196, targetWords: 1 },
  { samples: 20, batch: 7, inputWords: 4, targetWords: 3 },
  { samples: 9, batch: 9, inputWords: 65, targetWords: 66 }, // across workgroups
  { samples: 9, batch: 8, inputWords: 0, targetWords: 4 },
])("$batch of $samples samples of $inputWords and $targetWords words", ({ samples, batch, ...shape }) => {
  const { inputWords, targetWords } = shape;
  const rows = rowsOf(batch);
  const random = (stream: number, size: number) =>
    Uint32Array.from({ length: Math.max(size, 1) }, (_, k) => words(1, 2, stream, k).w1);
  const data = random(3, samples * inputWords);
  const targets = random(4, samples * targetWords);
  const order = Uint32Array.from({ length: samples }, (_, k) => (7 * k + 3) % samples);

  it.each([batch, batch - 2])("%i rows count", async (count) => {
    const device = await testDevice();
    const first = samples - batch;
    const input = upload(device, "input", new Uint32Array(Math.max(rows * inputWords, 1)).fill(99));
    const target = upload(device, "target", new Uint32Array(rows * targetWords).fill(77));
    const options = { rows, ...shape, targetFeatures: targetWords, targetBytes: undefined };
    const gather = await gatherRowsOf(device, "gather", options);
    run(device, [
      gather.on({
        batch: { buffer: upload(device, "batch", new Uint32Array([first, count, 0, 0])) },
        samples: { buffer: upload(device, "samples", data) },
        targets: { buffer: upload(device, "targets", targets) },
        order: { buffer: upload(device, "order", order) },
        input: { buffer: input },
        target: { buffer: target },
      }),
    ]);
    const wanted = (from: Uint32Array, size: number) =>
      Array.from({ length: rows * size }, (_, k) => {
        const row = Math.floor(k / size);
        return row < count ? from[order[first + row]! * size + (k % size)] : 0;
      });
    if (inputWords > 0)
      expect(Array.from(new Uint32Array(await readWords(device, input)))).toEqual(wanted(data, inputWords));
    expect(Array.from(new Uint32Array(await readWords(device, target)))).toEqual(wanted(targets, targetWords));
  });
});
