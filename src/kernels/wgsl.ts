/**
 * Links WGSL files: `#import lib/norm` is replaced by that file, once. The line of every file is kept, so that a compiler's
 * message can be told in terms of the files people edit.
 */

import { ShaderError } from "../errors.ts";

/** A `.wgsl` file: its path below `shaders/`, and its text. */
export interface WgslFile {
  readonly path: string;
  readonly text: string;
}

/** Linked WGSL, and where each of its lines comes from. */
export interface LinkedWgsl {
  readonly text: string;
  /** Line `i` (counted from 0) of the text is line `line` of file `path`. */
  readonly origins: readonly { readonly path: string; readonly line: number }[];
}

/**
 * Links `file` with what it imports.
 *
 * @param imports files by the name they are imported by: `lib/norm`, or a role such as `rule` and `storage`.
 * @throws {ShaderError} for an import that nothing answers to.
 */
export function linkWgsl(file: WgslFile, imports: Readonly<Record<string, WgslFile>>): LinkedWgsl {
  const lines: string[] = [];
  const origins: { path: string; line: number }[] = [];
  const seen = new Set<string>();
  const add = (current: WgslFile): void => {
    current.text.split("\n").forEach((text, i) => {
      const name = /^#import\s+(\S+)\s*$/.exec(text)?.[1];
      if (name === undefined) {
        lines.push(text);
        origins.push({ path: current.path, line: i + 1 });
        return;
      }
      const imported = Object.hasOwn(imports, name) && imports[name];
      if (!imported) throw new ShaderError(`shaders/${current.path}:${i + 1}: nothing to import as ${name}`);
      if (seen.has(imported.path)) return;
      seen.add(imported.path);
      add(imported);
    });
  };
  add(file);
  return { text: lines.join("\n"), origins };
}
