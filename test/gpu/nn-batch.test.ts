import { describe, expect, it } from "vitest";
import { rowsOf } from "../../src/nn/activation.ts";
import { batchGather } from "../../src/nn/batch.ts";
import { testDevice } from "../browser/device.ts";
import { words } from "../reference/prng.ts";
import { readWords, run, upload } from "./nn-matrices.ts";

describe.each([
  { samples: 40, batch: 16, features: 784 },
  { samples: 20, batch: 7, features: 13 },
  { samples: 9, batch: 9, features: 260 }, // across workgroups
])("$batch of $samples samples with $features features", ({ samples, batch, features }) => {
  const rows = rowsOf(batch);
  const quads = Math.ceil(features / 4);
  const data = Uint32Array.from({ length: samples * quads }, (_, k) => words(1, 2, 3, k).w1);
  const classes = Uint32Array.from({ length: samples }, (_, k) => k + 1000);
  const order = Uint32Array.from({ length: samples }, (_, k) => (7 * k + 3) % samples);

  it.each([batch, batch - 2])("%i rows count", async (count) => {
    const device = await testDevice();
    const first = samples - batch;
    const input = upload(device, "input", new Uint32Array(rows * quads).fill(99));
    const labels = upload(device, "labels", new Uint32Array(rows).fill(77));
    const gather = await batchGather(device, "gather", { rows, features });
    run(device, [
      gather.on({
        batch: { buffer: upload(device, "batch", new Uint32Array([first, count, 0, 0])) },
        samples: { buffer: upload(device, "samples", data) },
        classes: { buffer: upload(device, "classes", classes) },
        order: { buffer: upload(device, "order", order) },
        input: { buffer: input },
        labels: { buffer: labels },
      }),
    ]);
    const want = Array.from({ length: rows * quads }, (_, k) => {
      const row = Math.floor(k / quads);
      return row < count ? data[order[first + row]! * quads + (k % quads)] : 0;
    });
    expect(Array.from(new Uint32Array(await readWords(device, input)))).toEqual(want);
    const wantLabels = Array.from({ length: rows }, (_, r) => (r < count ? classes[order[first + r]!]! : 0));
    expect(Array.from(new Uint32Array(await readWords(device, labels)))).toEqual(wantLabels);
  });
});
