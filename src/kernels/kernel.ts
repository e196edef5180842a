/** What a dispatch is, as data: its shader, entry point and bindings. No GPU object is touched here; one file per kernel beside this. */
import type { WgslFile } from "./wgsl.ts";

/** How a binding is declared; `header` is the uniform with a dynamic offset. */
export type BindingKind = "header" | "uniform" | "read" | "write";

/** One kernel. */
export interface Kernel {
  readonly name: string;
  readonly file: WgslFile;
  /** Texts of the library files that it imports, by name; default none. */
  readonly library?: Readonly<Record<string, string>>;
  readonly entryPoint: string;
  /** By binding number. */
  readonly bindings: readonly (readonly [name: string, kind: BindingKind])[];
}

/** The library files of a kernel, as files to import. */
export function libraryOf({ library = {} }: Kernel): Record<string, WgslFile> {
  return Object.fromEntries(Object.entries(library).map(([name, text]) => [name, { path: `${name}.wgsl`, text }]));
}
