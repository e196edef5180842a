/** One dispatch of a static plan: all that a step needs is made beforehand, so that recording it allocates nothing. */
import type { BufferSlice } from "../engine/options.ts";
import { type Compiled, compileKernel } from "../host/pipelines.ts";
import type { BindingKind, Kernel } from "../kernels/kernel.ts";
import type { WgslFile } from "../kernels/wgsl.ts";

/** A compiled kernel with its buffers and its grid. */
export interface Dispatch {
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [x: number, y: number];
}

/** A kernel whose bindings have the names that the operation `O` wants buffers for. */
export interface KernelOf<O> extends Kernel {
  readonly bindings: readonly (readonly [name: O extends Operation<infer Name> ? Name : never, kind: BindingKind])[];
}

/** A kernel of the training kit, compiled for fixed sizes, that can be bound to several sets of buffers. */
export class Operation<Name extends string> {
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #compiled: Compiled;
  readonly #bindings: readonly (readonly [name: string, kind: BindingKind])[];
  readonly #workgroups: readonly [number, number];

  private constructor(
    device: GPUDevice,
    label: string,
    compiled: Compiled,
    bindings: readonly (readonly [name: string, kind: BindingKind])[],
    workgroups: readonly [number, number],
  ) {
    this.#device = device;
    this.#label = label;
    this.#compiled = compiled;
    this.#bindings = bindings;
    this.#workgroups = workgroups;
  }

  /**
   * Compiles `kernel` with `constants` for its `override`s.
   *
   * @throws {ShaderError} if the device refuses it.
   */
  static async compile<Name extends string>(
    device: GPUDevice,
    label: string,
    kernel: KernelOf<Operation<Name>>,
    imports: Readonly<Record<string, WgslFile>>,
    constants: Readonly<Record<string, number>>,
    workgroups: readonly [number, number],
  ): Promise<Operation<Name>> {
    const compiled = await compileKernel(device, label, kernel, imports, constants);
    return new Operation<Name>(device, label, compiled, kernel.bindings, workgroups);
  }

  /** How a binding is used; undefined if the kernel has none of this name. */
  kindOf(name: string): BindingKind | undefined {
    return this.#bindings.find(([own]) => own === name)?.[1];
  }

  /** The operation on these buffers. */
  on(buffers: Readonly<Record<Name, BufferSlice>>): Dispatch {
    const entries = this.#bindings.map(([name], binding) => {
      const { buffer, offset, size } = buffers[name as Name];
      // An explicit `size: undefined` is refused by some browsers.
      const resource = size === undefined ? { buffer, offset: offset ?? 0 } : { buffer, offset: offset ?? 0, size };
      return { binding, resource };
    });
    const bindGroup = this.#device.createBindGroup({ label: this.#label, layout: this.#compiled.layout, entries });
    return { label: this.#label, pipeline: this.#compiled.pipeline, bindGroup, workgroups: this.#workgroups };
  }
}

/** Records lists of dispatches in their order, in one pass; each sees what the ones before it have written. */
export function encodeDispatches(
  encoder: GPUCommandEncoder,
  label: string,
  ...lists: readonly (readonly Dispatch[])[]
): void {
  const pass = encoder.beginComputePass({ label });
  for (const dispatches of lists) {
    for (const { pipeline, bindGroup, workgroups } of dispatches) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(workgroups[0], workgroups[1]);
    }
  }
  pass.end();
}
