/** The adapter without a page: answers with weights after a step and the norm of its gradient. */
import "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { sgd } from "../../src/index.ts";
import { fused } from "../../src/tfjs/index.ts";

await tf.setBackend("webgpu");
const optimizer = await fused(sgd(), { lr: 0.5, monitor: {} });
const figures: number[] = [];
optimizer.on("figures", (f) => void figures.push(f.gradNorm));
const w = tf.variable(tf.tensor1d([1, 2]));
optimizer.applyGradients({ [w.name]: tf.tensor1d([1, 1]) });
await optimizer.flush();
self.postMessage({ weights: [...(await w.data())], figures });
