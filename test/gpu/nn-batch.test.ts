import { describe, expect, it } from "vitest";
import { rowsOf } from "../../src/nn/activation.ts";
import { batchGather } from "../../src/nn/batch.ts";
import { testDevice } from "../browser/device.ts";
import { words } from "../reference/prng.ts";
import { readActivation, readWords, run, upload, uploadActivation, values, worstExcess } from "./nn-matrices.ts";

describe.each([
  { samples: 40, batch: 16, features: 784 },
  { samples: 20, batch: 7, features: 13 }, // bytes behind a sample's last feature are not taken for features
  { samples: 9, batch: 9, features: 260 }, // across workgroups
])("$batch of $samples samples with $features features", ({ samples, batch, features }) => {
  const rows = rowsOf(batch);
  const stride = Math.ceil(features / 4) * 4;
  const bytes = Uint8Array.from({ length: samples * stride }, (_, k) => words(1, 2, 3, k).w1 & 255);
  const classes = Uint32Array.from({ length: samples }, (_, k) => k + 1000);
  const order = Uint32Array.from({ length: samples }, (_, k) => (7 * k + 3) % samples);

  it.each([batch, batch - 2])("%i rows count", async (count) => {
    const device = await testDevice();
    const first = samples - batch;
    const input = uploadActivation(device, "input", values(9, batch * features), batch, features);
    const labels = upload(device, "labels", new Uint32Array(rows).fill(77));
    const normalize = { scale: 1 / 0.3081, shift: -0.1307 / 0.3081 };
    const gather = await batchGather(device, "gather", { rows, features }, normalize);
    run(device, [
      gather.on({
        batch: { buffer: upload(device, "batch", new Uint32Array([first, count, 0, 0])) },
        samples: { buffer: upload(device, "samples", new Uint32Array(bytes.buffer)) },
        classes: { buffer: upload(device, "classes", classes) },
        order: { buffer: upload(device, "order", order) },
        input: { buffer: input },
        labels: { buffer: labels },
      }),
    ]);
    const want = Array.from({ length: rows * features }, (_, k) => {
      const row = Math.floor(k / features);
      if (row >= count) return 0;
      return (bytes[order[first + row]! * stride + (k % features)]! / 255) * normalize.scale + normalize.shift;
    });
    // unpack4x8unorm, the product and the sum are each good to an ulp of at most 3.25.
    const bound = 4 * 3.25 * 2 ** -23;
    expect(worstExcess(await readActivation(device, input, rows, features), want, () => bound)).toBeLessThanOrEqual(0);
    const wantLabels = Array.from({ length: rows }, (_, r) => (r < count ? classes[order[first + r]!]! : 0));
    expect(Array.from(new Uint32Array(await readWords(device, labels)))).toEqual(wantLabels);
  });
});
