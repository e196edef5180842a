import { adamw, cosine, createOptimizer, type Optimizer, type ParamSpec } from "../src/index.ts";
import kernels from "./two-layer-net.wgsl?raw";

const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;

/** Trains w1 `[2, hidden]`, b1 `[hidden]`, w2 `[hidden, 3]`, b2 `[3]`; `labels` are 0 to 2, `points` `[count, 2]`. */
export async function train(
  device: GPUDevice,
  { points, labels }: { points: Float32Array<ArrayBuffer>; labels: Uint32Array<ArrayBuffer> },
  params: ParamSpec[],
  steps: number,
  look: (step: number, optimizer: Optimizer, batch: GPUBuffer) => Promise<void>,
): Promise<Optimizer> {
  const lr = cosine(0.05, steps);
  const groups = [{ match: "b*", weightDecay: 0 }];
  const optimizer = await createOptimizer(device, { rule: adamw(), params, lr, groups, clip: { globalNorm: 1 } });
  // A parameter and its gradient are ranges of the optimizer's buffers, ready to be bound: { buffer, offset, size }.
  const [reads, writes] = (["param", "grad"] as const).map((which) => optimizer.tensors.map((t) => t[which]));
  const [samples, hidden] = [labels.length, optimizer.tensor("b1").shape[0]!];

  const inputs = { buffer: device.createBuffer({ size: points.byteLength, usage }) };
  const classes = { buffer: device.createBuffer({ size: labels.byteLength, usage }) };
  const batch = { buffer: device.createBuffer({ size: samples * (hidden + 4) * 4, usage }) };
  device.queue.writeBuffer(inputs.buffer, 0, points);
  device.queue.writeBuffer(classes.buffer, 0, labels);

  const module = device.createShaderModule({ code: kernels });
  // A kernel with what it binds, by group and binding.
  const kernel = async (entryPoint: string, invocations: number, ...groups: (GPUBufferBinding | undefined)[][]) => {
    const compute = { module, entryPoint, constants: { SAMPLES: samples, HIDDEN: hidden } };
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute });
    const bound = groups.map((group, g) => {
      const entries = group.flatMap((resource, binding) => (resource ? [{ binding, resource }] : []));
      return device.createBindGroup({ layout: pipeline.getBindGroupLayout(g), entries });
    });
    return (pass: GPUComputePassEncoder) => {
      pass.setPipeline(pipeline);
      for (const [g, group] of bound.entries()) pass.setBindGroup(g, group);
      pass.dispatchWorkgroups(Math.ceil(invocations / 64));
    };
  };
  const forward = await kernel("forward", samples, reads!, [inputs, classes, batch]);
  const none = undefined;
  const backward = await kernel("backward", hidden + 1, [none, none, reads![2]], [inputs, none, batch], writes!);

  for (let step = 1; step <= steps; step++) {
    // Forward, backward and update in one submission, which nobody waits for.
    optimizer.step((encoder) => {
      const pass = encoder.beginComputePass();
      forward(pass);
      backward(pass);
      pass.end();
    });
    if (step % 20 === 0) await look(step, optimizer, batch.buffer);
  }
  for (const { buffer } of [inputs, classes, batch]) buffer.destroy();
  return optimizer;
}
