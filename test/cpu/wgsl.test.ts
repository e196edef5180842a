/** The linker, and what holds for every shader file as text. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";
import { ShaderError } from "../../src/errors.ts";
import { linkWgsl } from "../../src/kernels/wgsl.ts";
import { stripWgsl } from "../../vite-wgsl.ts";
import { KERNELS, STORAGES } from "../kernel-table.ts";

const filesBelow = (folder: string, end: RegExp) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => end.test(path))
    .map((path) => ({ path, text: readFileSync(`${folder}/${path}`, "utf8") }));

const SHADERS = filesBelow("shaders", /\.wgsl$/);

describe("linkWgsl", () => {
  const file = (path: string, ...lines: string[]) => ({ path, text: lines.join("\n") });

  test("puts a file in the place of its import, and knows every line's origin", () => {
    const top = file("top.wgsl", "// top", "#import rule", "", "fn f() {}");
    const rule = file("rules/r.wgsl", "struct Hyper {}", "const A = 1;");
    const linked = linkWgsl(top, { rule });
    expect(linked.text).toBe("// top\nstruct Hyper {}\nconst A = 1;\n\nfn f() {}");
    expect(linked.origins.map((o) => `${o.path}:${o.line}`)).toEqual([
      "top.wgsl:1",
      "rules/r.wgsl:1",
      "rules/r.wgsl:2",
      "top.wgsl:3",
      "top.wgsl:4",
    ]);
  });

  test("takes in a file once, wherever else it is imported", () => {
    const aliases = {
      a: file("a.wgsl", "#import c", "const A = C;"),
      b: file("b.wgsl", "#import c", "const B = C;"),
      c: file("c.wgsl", "const C = 1;"),
    };
    const { text } = linkWgsl(file("top.wgsl", "#import a", "#import b", "#import a"), aliases);
    expect(text.split("\n")).toEqual(["const C = 1;", "const A = C;", "const B = C;"]);
  });

  test("ends for files that import each other", () => {
    const aliases = { a: file("a.wgsl", "#import b", "A"), b: file("b.wgsl", "#import a", "B") };
    expect(linkWgsl(file("top.wgsl", "#import a"), aliases).text.split("\n")).toEqual(["B", "A"]);
  });

  test("every file of shaders/lib is in the library of a kernel, by its name", () => {
    const libraries = Object.assign({}, ...KERNELS.map((kernel) => kernel.library ?? {})) as Record<string, string>;
    const files = SHADERS.filter((f) => f.path.startsWith("lib/"));
    // The settle shell takes the storage of single elements, whatever the tensors have.
    const { "storage/f32": _, ...ofKernels } = libraries;
    // What a storage format imports comes with it.
    const ofFormats = STORAGES.flatMap((s) => Object.entries(s.files).filter(([name]) => name.startsWith("lib/")));
    const ofLib = { ...ofKernels, ...Object.fromEntries(ofFormats.map(([name, { text }]) => [name, text])) };
    expect(ofLib).toEqual(Object.fromEntries(files.map(({ path, text }) => [path.replace(".wgsl", ""), text])));
  });

  test.each([
    ["no/such", "top.wgsl", 2],
    ["storage", "top.wgsl", 2],
    ["toString", "top.wgsl", 2],
    ["__proto__", "top.wgsl", 2],
  ])("an import of %s, which nothing answers to, is told by file and line", (name, path, line) => {
    const link = () => linkWgsl(file("top.wgsl", "const A = 1;", `#import ${name}`), {});
    expect(link).toThrow(ShaderError);
    expect(link).toThrow(`shaders/${path}:${line}: nothing to import as ${name}`);
  });

  test("an unknown import within an import is told at that file's line", () => {
    const rule = file("rules/mine.wgsl", "", "", "#import lib/nrom");
    expect(() => linkWgsl(file("top.wgsl", "#import rule"), { rule })).toThrow(
      "shaders/rules/mine.wgsl:3: nothing to import as lib/nrom",
    );
  });
});

describe.each(SHADERS)("shaders/$path", ({ path, text }) => {
  const lines = text.split("\n");
  const code = stripWgsl(text);

  test("is named in kebab-case, and opens by saying what it does", () => {
    expect(path).toMatch(/^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*\.wgsl$/);
    expect(lines[0]).toMatch(/^\/\/ .{20}/);
  });

  test("each binding says on its line what it holds", () => {
    const bare = lines.filter((line) => line.includes("@binding(") && !/;\s+\/\/ \S/.test(line));
    // The structures of these are explained where they are declared.
    expect(bare.filter((line) => !/: (Header|Window|Control|LossScale|Figures|Batch);$/.test(line))).toEqual([]);
  });

  test("names: overrides UPPER_SNAKE, workgroup variables wg_, structures PascalCase, functions snake_case", () => {
    const names = (pattern: RegExp) => [...code.matchAll(pattern)].map((match) => match[1]!);
    for (const name of names(/\boverride (\w+)/g)) expect(name).toMatch(/^[A-Z][A-Z0-9_]*$/);
    for (const name of names(/var<workgroup> (\w+)/g)) expect(name).toMatch(/^wg_[a-z0-9_]+$/);
    for (const name of names(/\bstruct (\w+)/g)) expect(name).toMatch(/^[A-Z][A-Za-z0-9]*$/);
    for (const name of names(/\bfn (\w+)/g)) expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
    for (const name of names(/^const (\w+)/gm)) expect(name).toMatch(/^[A-Z][A-Z0-9_]*$/);
  });

  test("no workgroup variable takes more than 1 KiB: they are zeroed, and software adapters compile that slowly", () => {
    // What is declared in another file: the norm of lib, and workgroups, whose size a test of the kernels holds.
    const norm = SHADERS.find((f) => f.path === "lib/norm.wgsl")!.text;
    const size = code.includes("override WORKGROUP_SIZE") ? "" : "override WORKGROUP_SIZE:u32 = 64;";
    for (const [, name, type] of code.matchAll(/var<workgroup> (\w+):([^;]+);/g))
      expect(workgroupBytes(type!, `${code}\n${stripWgsl(norm)}\n${size}`), name).toBeLessThanOrEqual(1024);
  });

  test("needs no feature that a device may lack", () => {
    expect(code).not.toMatch(/^\s*(enable|requires|diagnostic)\b|\bsubgroup|\bf16\b|\bvec[234]h\b/m);
  });

  test("does not ask for NaN by comparison, which compilers answer as they like", () => {
    expect([...code.matchAll(/\b([\w.[\]]+) ?(?:!=|==) ?\1(?![\w.[(])/g)].map((m) => m[0])).toEqual([]);
  });
});

/** Bytes of a type whose length may be the default of an override. */
function workgroupBytes(type: string, code: string): number {
  const bytes: Readonly<Record<string, number>> = { f32: 4, u32: 4, i32: 4, vec2u: 8, vec2f: 8, vec4u: 16, vec4f: 16 };
  const array = /^array<(.+),\s*(\w+?)u?>$/.exec(type.trim());
  if (array) {
    const [, element, length] = array as unknown as [string, string, string];
    const count = Number(length) || Number(new RegExp(`override ${length}:u32 ?= ?(\\d+)`).exec(code)?.[1]);
    return count * workgroupBytes(element, code);
  }
  const struct = new RegExp(`struct ${type} ?\\{[^}]*\\}`).exec(code)?.[0];
  const size = struct ? new WgslReflect(struct).structs[0]?.size : bytes[type.trim()];
  return size ?? Number.POSITIVE_INFINITY;
}

test("a workgroup variable that is too large or of unknown size is found", () => {
  expect(workgroupBytes("array<vec4u,WORKGROUP_SIZE>", "override WORKGROUP_SIZE:u32 = 65;")).toBe(1040);
  expect(workgroupBytes("array<Sum,4u>", "struct Sum{a:f32,b:vec4f}")).toBe(128);
  expect(workgroupBytes("array<mat4x4f,2>", "")).toBe(Number.POSITIVE_INFINITY);
});

describe("TypeScript", () => {
  test("holds no WGSL: it stands in shaders/ alone", () => {
    const wgsl =
      /@compute\b|@group\(|@binding\(|@workgroup_size|var<(storage|uniform|workgroup)|\bfn \w+\([^)]*\) *(->|\{)/;
    const offending = filesBelow("src", /\.ts$/).flatMap(({ path, text }) =>
      withoutComments(text)
        .split("\n")
        .filter((line) => wgsl.test(line))
        .map((line) => `${path}: ${line}`),
    );
    expect(offending).toEqual([]);
    expect("const code = `@compute @workgroup_size(1) fn f() {}`").toMatch(wgsl);
  });

  test("imports every shader that there is; those of one kernel only once", () => {
    const imported = filesBelow("src", /\.ts$/).flatMap(({ text }) =>
      [...text.matchAll(/shaders\/([\w/-]+\.wgsl)\?raw/g)].map((match) => match[1]!),
    );
    expect([...new Set(imported)].sort()).toEqual(SHADERS.map((f) => f.path).sort());
    const shared = /^(lib|nn\/lib|nn\/bias-gradient|storage)\//;
    const own = imported.filter((path) => !shared.test(path));
    expect(own.length).toBe(new Set(own).size);
  });
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}
