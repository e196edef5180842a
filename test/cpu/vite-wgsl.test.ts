import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { WgslScanner } from "wgsl_reflect/wgsl_reflect.module.js";
import { stripWgsl } from "../../vite-wgsl.ts";

const code = (source: string) =>
  source
    .split("\n")
    .filter((line) => !line.trim().startsWith("#"))
    .join("\n");
const tokens = (source: string) => new WgslScanner(code(source)).scanTokens().map(({ lexeme }) => lexeme);

describe("stripWgsl", () => {
  test("drops line comments, nested block comments, indentation and empty lines", () => {
    const source = "// title\n\nfn f( x : f32 ) -> f32 { // why\n    /* a /* b */ c */ return x *  2.0;\n}\n";
    expect(stripWgsl(source)).toBe("fn f(x:f32)-> f32{\nreturn x * 2.0;\n}");
  });

  test("keeps preprocessor lines whole and apart", () => {
    expect(stripWgsl("a;\n  #ifdef HAS_MAX ( x )\nb;\n#endif\n")).toBe("a;\n#ifdef HAS_MAX ( x )\nb;\n#endif");
  });

  test("keeps apart what would make another token", () => {
    for (const source of ["a - -b", "var x: array<f32> = y;", "x & &y", "u32/**/x", "a / b * c", "a */* c */b"]) {
      expect(tokens(stripWgsl(source)), source).toEqual(tokens(source));
    }
  });

  const files = readdirSync("shaders", { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".wgsl"));
  test.each(files)("leaves the tokens of %s", (file) => {
    const source = readFileSync(`shaders/${file}`, "utf8");
    const stripped = stripWgsl(source);
    expect(tokens(stripped)).toEqual(tokens(source));
    expect(stripped.length).toBeLessThan(source.length);
  });
});
