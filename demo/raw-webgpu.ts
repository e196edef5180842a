/** Forward and backward are kernels of this folder; the optimizer owns parameters and gradients, and shares the submission. */
import { openDevice } from "./device.ts";
import { examplePage } from "./example-page.ts";
import { uniform } from "./mnist/random.ts";
import { train } from "./raw-webgpu-training.ts";
import { meanOfLastColumn } from "./read-floats.ts";
import { accuracy, CLASSES, drawPlane, spirals } from "./spirals.ts";

const HIDDEN = 64;

await examplePage(400, async ({ canvas, say, show, loss }, steps) => {
  const { device, name } = await openDevice();
  const data = spirals(100);
  const params = [
    { name: "w1", shape: [2, HIDDEN], data: uniform(2, 0, 2 * HIDDEN, 2) },
    { name: "b1", shape: [HIDDEN], data: uniform(2, 1, HIDDEN, 1) },
    { name: "w2", shape: [HIDDEN, CLASSES], data: uniform(2, 2, HIDDEN * CLASSES, 0.3) },
    { name: "b2", shape: [CLASSES] },
  ];
  say(`Running on ${name}.`);
  let first = Number.NaN;
  let last = Number.NaN;
  let right = 0;
  const optimizer = await train(device, data, params, steps, async (step, optimizer, batch) => {
    last = await meanOfLastColumn(device, batch, HIDDEN + CLASSES + 1);
    if (Number.isNaN(first)) first = last;
    const [w1, b1, w2, b2] = await Promise.all(["w1", "b1", "w2", "b2"].map((tensor) => optimizer.readParam(tensor)));
    const layers = [
      { weight: w1!, bias: b1! },
      { weight: w2!, bias: b2! },
    ];
    right = accuracy(layers, data);
    show("Step", `${step} of ${steps}`);
    show("Loss", last.toFixed(4));
    show("Accuracy", `${(100 * right).toFixed(1)} %`);
    drawPlane(canvas, layers, data);
    await loss(step, last);
  });
  optimizer.destroy();
  return { first, last, accuracy: right };
});
