/** Kernels of users' own layers. */
import { checkKeys } from "../engine/checks.ts";
import { OptionError } from "../errors.ts";
import { BATCH_IMPORTS } from "./batch.ts";
import { Operation } from "./dispatch.ts";

/** How a binding is declared: `var<uniform>`, `var<storage, read>`, `var<storage, read_write>`. */
export type WgslBinding = "uniform" | "read" | "write";

/** A kernel in WGSL. */
export interface WgslKernel<Name extends string> {
  /** `#import nn/lib/batch` on a line of its own brings `struct Batch`. */
  readonly wgsl: string;
  /** Default `main`. */
  readonly entryPoint?: string;
  /** All of group 0, by binding number. */
  readonly bindings: Readonly<Record<Name, WgslBinding>>;
  /** Values of `override`s. */
  readonly constants?: Readonly<Record<string, number>>;
  readonly workgroups: readonly [x: number, y: number];
}

/**
 * Compiles a kernel for `site.kernel`.
 *
 * @throws {OptionError} for a bad option. @throws {ShaderError} if the device refuses the kernel.
 */
export function wgslKernel<Name extends string>(
  device: GPUDevice,
  label: string,
  kernel: WgslKernel<Name>,
): Promise<Operation<Name>> {
  const where = "wgslKernel";
  checkKeys(where, "", kernel, ["wgsl", "entryPoint", "bindings", "constants", "workgroups"]);
  const { wgsl, entryPoint = "main", bindings, constants = {}, workgroups } = kernel as unknown as WgslKernel<Name>;
  if (typeof wgsl !== "string") throw new OptionError(where, "wgsl", "must be a text", wgsl);
  const entries = Object.entries(bindings) as [Name, WgslBinding][];
  for (const [name, kind] of entries) {
    if (!["uniform", "read", "write"].includes(kind))
      throw new OptionError(where, `bindings.${name}`, 'must be "uniform", "read" or "write"', kind);
  }
  const described = { name: label, file: { path: `${label}.wgsl`, text: wgsl }, entryPoint, bindings: entries };
  return Operation.compile<Name>(device, label, described as never, BATCH_IMPORTS, constants, workgroups);
}
