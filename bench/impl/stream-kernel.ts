/** The stream kernel (stream.wgsl) on one run of parameters, gradients and state. */
import streamSource from "../stream.wgsl?raw";

/** What is done with a slot of the state in every step. */
export type SlotUse = "both" | "loaded" | "stored";

/** Of stream.wgsl. */
const SLOT_BITS: Readonly<Record<SlotUse, number>> = { loaded: 1, stored: 2, both: 3 };
export const MOST_SLOTS = 4;

/** How the work is cut up: invocations per workgroup, and workgroups, each with a contiguous range. */
export interface StreamShape {
  readonly workgroup: number;
  readonly grid: number;
}

export interface StreamBuffers {
  readonly param: GPUBuffer;
  readonly grad: GPUBuffer;
  /** Slot after slot, each as large as `param`; at least one vec4. */
  readonly state: GPUBuffer;
}

/** One submission per call of what is returned, for each of the shapes. */
export async function streamRuns(
  device: GPUDevice,
  { param, grad, state }: StreamBuffers,
  slots: readonly SlotUse[],
  shapes: readonly StreamShape[],
): Promise<(() => void)[]> {
  if (slots.length > MOST_SLOTS) throw new Error(`stream.wgsl has ${MOST_SLOTS} slots, not ${slots.length}`);
  const storage: GPUBufferBindingLayout = { type: "storage" };
  const layout = device.createBindGroupLayout({
    label: "bench.stream",
    entries: [storage, { type: "read-only-storage" } as const, storage].map((buffer, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer,
    })),
  });
  const bindGroup = device.createBindGroup({
    label: "bench.stream",
    layout,
    entries: [param, grad, state].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const module = device.createShaderModule({ label: "bench.stream", code: streamSource });
  const pipelineLayout = device.createPipelineLayout({ label: "bench.stream", bindGroupLayouts: [layout] });
  const slotBits = Object.fromEntries(slots.map((use, slot) => [`SLOT_${slot}`, SLOT_BITS[use]]));
  const workgroups = [...new Set(shapes.map(({ workgroup }) => workgroup))];
  const pipelines = new Map(
    await Promise.all(
      workgroups.map(async (WORKGROUP_SIZE) => {
        const pipeline = await device.createComputePipelineAsync({
          label: `bench.stream ${WORKGROUP_SIZE}`,
          layout: pipelineLayout,
          compute: { module, entryPoint: "main", constants: { WORKGROUP_SIZE, ...slotBits } },
        });
        return [WORKGROUP_SIZE, pipeline] as const;
      }),
    ),
  );
  return shapes.map(({ workgroup, grid }) => () => {
    const encoder = device.createCommandEncoder({ label: "bench.stream" });
    const pass = encoder.beginComputePass({ label: "bench.stream" });
    pass.setPipeline(pipelines.get(workgroup)!);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(grid);
    pass.end();
    device.queue.submit([encoder.finish()]);
  });
}
