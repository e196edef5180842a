import * as ort from "onnxruntime-web/webgpu";
import { adamw, cosine, createOptimizer, type Optimizer } from "../src/index.ts";
import kernels from "./softmax-head.wgsl?raw";

/** Trains a linear head for 10 classes on features `[samples, features]` that a frozen model has left on the GPU. */
export async function train(
  batches: { features: ort.Tensor; labels: Uint32Array<ArrayBuffer> }[],
  steps: number,
  look: (step: number, optimizer: Optimizer, batch: GPUBuffer) => Promise<void>,
): Promise<Optimizer> {
  // onnxruntime-web makes the device, and we are its guest.
  const device = await ort.env.webgpu.device;
  const [samples, size] = batches[0]!.features.dims as [number, number];
  const optimizer = await createOptimizer(device, {
    rule: adamw(),
    params: ["weight", "bias"].map((name) => ({ name, shape: name === "bias" ? [10] : [size, 10] })),
    lr: cosine(0.01, steps),
    groups: [{ match: "weight", weightDecay: 0.1 }],
  });
  const weight = optimizer.tensor("weight");
  const bias = optimizer.tensor("bias");

  const types = [...Array(4).fill("read-only-storage"), ...Array(3).fill("storage")] as GPUBufferBindingType[];
  const layout = device.createBindGroupLayout({
    entries: types.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } })),
  });
  const module = device.createShaderModule({ code: kernels });
  const compile = (entryPoint: string) => {
    const compute = { module, entryPoint, constants: { SAMPLES: samples, FEATURES: size } };
    return device.createComputePipelineAsync({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute,
    });
  };
  const [forward, backward] = await Promise.all([compile("forward"), compile("backward")]);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const between = { buffer: device.createBuffer({ size: samples * 11 * 4, usage }) };
  const groups = batches.map(({ features, labels }) => {
    const classes = { buffer: device.createBuffer({ size: labels.byteLength, usage }) };
    device.queue.writeBuffer(classes.buffer, 0, labels);
    // The tensor's own buffer: features are not copied, and never leave the GPU.
    const x = { buffer: features.gpuBuffer as GPUBuffer };
    const resources = [weight.param, bias.param, x, classes, between, weight.grad, bias.grad];
    return device.createBindGroup({ layout, entries: resources.map((resource, binding) => ({ binding, resource })) });
  });

  for (let step = 1; step <= steps; step++) {
    optimizer.step((encoder) => {
      const pass = encoder.beginComputePass();
      pass.setBindGroup(0, groups[step % groups.length]!);
      pass.setPipeline(forward);
      pass.dispatchWorkgroups(Math.ceil(samples / 64));
      pass.setPipeline(backward);
      pass.dispatchWorkgroups(Math.ceil((size + 1) / 64));
      pass.end();
    });
    if (step % 30 === 0) await look(step, optimizer, between.buffer);
  }
  return optimizer;
}
