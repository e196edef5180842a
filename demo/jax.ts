/** A network of jax-js learns spirals; the optimizer works in place on its arrays. */
import { defaultDevice, init, type Array as JaxArray, nn, numpy as np, tree } from "@jax-js/jax";
import { examplePage } from "./example-page.ts";
import { type Params, train } from "./jax-training.ts";
import { uniform } from "./mnist/random.ts";
import { accuracy, CLASSES, type DenseLayer, drawPlane, spirals } from "./spirals.ts";

const SIZES = [2, 32, 32, CLASSES];

const array = (values: Float32Array<ArrayBuffer>, shape: number[]) => np.array(values, { shape });

async function onCpu(params: Params): Promise<DenseLayer[]> {
  const values = async (a: JaxArray) => (await a.ref.data()) as Float32Array;
  return Promise.all(params.map(async ({ w, b }) => ({ weight: await values(w), bias: await values(b) })));
}

await examplePage(300, async ({ canvas, say, show, loss }, steps) => {
  if (!(await init("webgpu")).includes("webgpu")) throw new Error("This browser has no WebGPU that jax-js could use.");
  defaultDevice("webgpu");
  const data = spirals(100);
  const x = array(data.points, [data.count, 2]);
  const y = nn.oneHot(np.array(Int32Array.from(data.labels)), CLASSES);
  const initial = SIZES.slice(1).map((outputs, l) => {
    const inputs = SIZES[l]!;
    return {
      w: array(uniform(2, l, inputs * outputs, Math.sqrt(6 / (inputs + outputs))), [inputs, outputs]),
      b: np.zeros([outputs]),
    };
  });
  say("Compiling ...");
  let first = Number.NaN;
  let last = Number.NaN;
  const trained = await train(initial, x, y, steps, async (step, value, params) => {
    if (Number.isNaN(first)) first = value;
    last = value;
    const layers = await onCpu(params);
    say("An update of the six arrays is one compute pass in one submission.");
    show("Step", `${step} of ${steps}`);
    show("Loss", value.toFixed(4));
    show("Accuracy", `${(100 * accuracy(layers, data)).toFixed(1)} %`);
    drawPlane(canvas, layers, data);
    await loss(step, value);
  });
  const result = { first, last, accuracy: accuracy(await onCpu(trained), data) };
  tree.dispose(trained);
  tree.dispose([x, y]);
  return result;
});
