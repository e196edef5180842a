import { adamw, cosine, createOptimizer, warmup } from "../../src/index.ts";

const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
const optimizer = await createOptimizer(device, {
  rule: adamw({ betas: [0.9, 0.95] }),
  params: [
    { name: "fc.weight", shape: [10, 784] },
    { name: "fc.bias", shape: [10] },
  ],
  lr: warmup(200, cosine(3e-4, 10_000)),
  weightDecay: 0.1,
  groups: [{ match: "*.bias", weightDecay: 0 }],
  clip: { globalNorm: 1 },
  monitor: { every: 10 },
});
optimizer.on("figures", (f) => console.log(f.step, f.gradNorm, f.tensors["fc.weight"]?.updateRatio));
const { param, grad } = optimizer.tensor("fc.weight"); // { buffer, offset, size }: bind them in your own kernels
optimizer.step((encoder) => encoder.insertDebugMarker("your forward and backward passes go here"));

export { device, grad, optimizer, param };
