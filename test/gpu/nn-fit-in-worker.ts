/** The worker of nn-fit-worker.test.ts: a training away from the page. */
import { fit as train } from "../../src/nn/index.ts";
import { options } from "./nn-fit-data.ts";

/** Two epochs; the same on every thread. */
export async function trainOnce(device: GPUDevice) {
  const training = await train(options(device));
  const losses: number[] = [];
  for await (const event of training) if (event.kind === "steps") losses.push(...event.records.map(({ loss }) => loss));
  const { accuracy } = await training.evaluate();
  const weight = Array.from(await training.optimizer.readParam("fc1.weight"));
  training.destroy();
  return { losses, accuracy, weight };
}

async function inWorker() {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter!.requestDevice();
  const outcome = await trainOnce(device);
  device.destroy();
  return outcome;
}

if (typeof document === "undefined") {
  inWorker().then(postMessage, (error: Error) => postMessage({ error: error.stack ?? error.message }));
}
