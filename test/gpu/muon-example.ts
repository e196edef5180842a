import { createOptimizer, muonWithAuxAdam } from "../../src/index.ts";

const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
const optimizer = await createOptimizer(device, {
  rules: muonWithAuxAdam({
    muon: { lr: 0.02, convention: "keller-jordan", weightDecay: 0.01 },
    adamw: { lr: 3e-4, betas: [0.9, 0.95], weightDecay: 0.01 },
  }),
  params: [
    { name: "embed.weight", shape: [64, 32] }, // AdamW, by its name
    { name: "conv.weight", shape: [16, 3, 3, 3] }, // Muon, as a matrix of 16 x 27
    { name: "fc.weight", shape: [128, 32] }, // Muon
    { name: "fc.bias", shape: [128] }, // AdamW
    { name: "head.weight", shape: [10, 128] }, // AdamW, by its name
  ],
});
console.log(optimizer.table()); // who follows what
optimizer.step((encoder) => encoder.insertDebugMarker("your forward and backward passes go here"));

export { device, optimizer };
