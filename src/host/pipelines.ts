/** Compiles kernels: once, asynchronously, with errors told in terms of `.wgsl` files and lines. */
import { ShaderError } from "../errors.ts";
import { type BindingKind, type Kernel, libraryOf } from "../kernels/kernel.ts";
import { linkWgsl, type WgslFile } from "../kernels/wgsl.ts";

/** A compiled kernel. */
export interface Compiled {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

// GPUShaderStage is no global outside browsers' windows and workers; importing this module must work anywhere.
const COMPUTE_STAGE = 4;
const BUFFER_TYPE: Record<BindingKind, GPUBufferBindingLayout> = {
  header: { type: "uniform", hasDynamicOffset: true },
  uniform: { type: "uniform" },
  read: { type: "read-only-storage" },
  write: { type: "storage" },
};

/**
 * Compiles `kernel`. The bind group layout is explicit: `layout: "auto"` drops bindings that a variant does not use.
 *
 * @throws {ShaderError} with file and line, if the device refuses the shader or the pipeline.
 */
export async function compileKernel(
  device: GPUDevice,
  label: string,
  kernel: Kernel,
  aliases: Readonly<Record<string, WgslFile>>,
  constants: Readonly<Record<string, number>>,
): Promise<Compiled> {
  const linked = linkWgsl(kernel.file, { ...libraryOf(kernel), ...aliases });
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ label, code: linked.text });
  const layout = device.createBindGroupLayout({
    label,
    entries: kernel.bindings.map(([, kind], binding) => ({
      binding,
      visibility: COMPUTE_STAGE,
      buffer: BUFFER_TYPE[kind],
    })),
  });
  const pipelineLayout = device.createPipelineLayout({ label, bindGroupLayouts: [layout] });
  const invalid = device.popErrorScope();
  const pipeline = device.createComputePipelineAsync({
    label,
    layout: pipelineLayout,
    compute: { module, entryPoint: kernel.entryPoint, constants },
  });
  // Both are awaited in any case, so that neither rejects unheard.
  const [scope, created] = await Promise.allSettled([invalid, pipeline]);
  const messages = (await module.getCompilationInfo()).messages.filter((m) => m.type === "error");
  if (messages.length > 0) {
    const lines = messages.map((m) => {
      const origin = linked.origins[m.lineNum - 1];
      return `shaders/${origin?.path ?? kernel.file.path}:${origin?.line ?? m.lineNum}:${m.linePos}: ${m.message}`;
    });
    throw new ShaderError(`${label}: ${lines.join("\n")}`);
  }
  if (scope.status === "fulfilled" && scope.value) throw new ShaderError(`${label}: ${scope.value.message}`);
  if (created.status === "rejected")
    throw new ShaderError(`${label}: ${String(created.reason?.message ?? created.reason)}`, { cause: created.reason });
  return { pipeline: created.value, layout };
}
