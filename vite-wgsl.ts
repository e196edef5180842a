import { readFile } from "node:fs/promises";
import type { Plugin } from "vite";

/**
 * WGSL without comments and needless white space. Line ends stay, since a preprocessor line (`#ifdef ...`) ends with one;
 * spaces between operators stay too: `a - -b` and `array<f32> = x` are other tokens without them.
 */
export function stripWgsl(source: string): string {
  return withoutComments(source)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => (line.startsWith("#") ? line : line.replace(/\s+/g, " ").replace(/ ?([{}();:,]) ?/g, "$1")))
    .join("\n");
}

/** Line comments end at the line end, block comments nest. */
function withoutComments(source: string): string {
  let depth = 0;
  let code = "";
  for (let i = 0; i < source.length; ) {
    const two = source.slice(i, i + 2);
    if (depth === 0 && two === "//") {
      const end = source.indexOf("\n", i);
      i = end < 0 ? source.length : end;
    } else if (two === "/*") {
      depth += 1;
      i += 2;
    } else if (depth > 0 && two === "*/") {
      depth -= 1;
      i += 2;
      // What the comment separated stays separate.
      code += " ";
    } else {
      if (depth === 0) code += source[i];
      i += 1;
    }
  }
  return code;
}

/** Strips `*.wgsl?raw` imports in the library build. Tests and pages get the files as they are, so lines are right there. */
export function wgslPlugin(): Plugin {
  const suffix = ".wgsl?raw";
  return {
    name: "wgsl-strip",
    apply: "build",
    enforce: "pre",
    async load(id) {
      if (!id.endsWith(suffix)) return null;
      const text = stripWgsl(await readFile(id.slice(0, -"?raw".length), "utf8"));
      return { code: `export default ${JSON.stringify(text)};`, moduleType: "js", map: { mappings: "" } };
    },
  };
}
