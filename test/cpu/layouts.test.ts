/** The structures, bindings and constants of the shaders, as a WGSL parser sees them, against their twins in TypeScript. */
import { describe, expect, test } from "vitest";
import { type StructInfo, WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";
import { type HyperOptions, hyperNames, type RuleDefinition } from "../../src/engine/rule.ts";
import { CONTROL_STAGE } from "../../src/kernels/control.ts";
import { type Kernel, libraryOf } from "../../src/kernels/kernel.ts";
import {
  CONTROL,
  FIGURES,
  GROUP_RECORD,
  HEADER,
  type Layout,
  LOSS_SCALE,
  MODIFIER,
  TENSOR_CONTROL,
  TENSOR_FIGURES,
  WINDOW,
  Words,
} from "../../src/kernels/layouts.ts";
import { UPDATE_LOSS_SCALE } from "../../src/kernels/loss-scale.ts";
import { F32 } from "../../src/kernels/storage.ts";
import { SUMMARIZE } from "../../src/kernels/summarize.ts";
import { UPDATE } from "../../src/kernels/update.ts";
import { linkWgsl, type WgslFile } from "../../src/kernels/wgsl.ts";
import { BATCH_BYTES, OUTCOME_BYTES, RECORD_BYTES } from "../../src/nn/batch.ts";
import { stripWgsl } from "../../vite-wgsl.ts";
import { KERNELS, linksOf, STORAGES } from "../kernel-table.ts";
import { OFFERED } from "../rules-table.ts";

/** Every option of a rule that changes how its numbers are computed. */
const RULES: readonly { rule: RuleDefinition; options: readonly HyperOptions[] }[] = OFFERED.map((row) => ({
  rule: row.rule.definition,
  options: [row.rule.definition.defaults, row.rule.options, { ...row.rule.options, ...row.change } as HyperOptions],
}));

const SHADERS: Readonly<Record<string, string>> = import.meta.glob("../../shaders/**/*.wgsl", {
  query: "?raw",
  import: "default",
  eager: true,
});

/**
 * Declarations of WGSL. Bodies of functions are left out: wgsl_reflect 1.6.0 takes the `<` of some loops for the begin of a
 * template list, and no body declares a structure or a binding.
 */
function reflect(text: string): WgslReflect {
  const code = stripWgsl(text);
  let declarations = "";
  for (let at = 0; at < code.length; ) {
    const begin = code.slice(at).search(/\bfn \w+\(/);
    const body = begin < 0 ? -1 : code.indexOf("{", at + begin);
    if (body < 0) return new WgslReflect(declarations + code.slice(at));
    let end = body + 1;
    for (let depth = 1; depth > 0; end++) depth += code[end] === "{" ? 1 : code[end] === "}" ? -1 : 0;
    declarations += `${code.slice(at, body)}{}\n`;
    at = end;
  }
  return new WgslReflect(declarations);
}

/** The rules that have the same WGSL. */
const sameFile = ({ wgsl }: RuleDefinition) => RULES.flatMap(({ rule }) => (rule.wgsl === wgsl ? [rule] : []));

const ruleFile = (rule: RuleDefinition): WgslFile => ({
  path: rule.path ?? `rules/${rule.name}.wgsl`,
  text: rule.wgsl,
});

/** The kernel in every way it can be linked. */
function allLinked(kernel: Kernel, rule = RULES[0]!.rule): WgslReflect[] {
  return linksOf(kernel, ruleFile(rule)).map((links) =>
    reflect(linkWgsl(kernel.file, { ...libraryOf(kernel), ...links }).text),
  );
}

/** `name type@offset` of each field. */
const fieldsOf = (struct: StructInfo | undefined): string[] =>
  (struct?.members ?? []).map((m) => `${m.name} ${m.type.getTypeName()}@${m.offset}`);
const twinOf = (layout: Layout): string[] => layout.map(([name, type], i) => `${name} ${type}@${i * 4}`);
const upperSnake = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase();

// The twins, and the field after them: an array of rows, or the rule's own structure.
const STRUCTS: Readonly<Record<string, { layout: Layout; rest?: string }>> = {
  Header: { layout: HEADER },
  Window: { layout: WINDOW },
  TensorControl: { layout: TENSOR_CONTROL },
  Control: { layout: CONTROL, rest: "tensors array<TensorControl, 0>" },
  GroupRecord: { layout: GROUP_RECORD, rest: "hyper Hyper" },
  LossScale: { layout: LOSS_SCALE },
  Figures: { layout: FIGURES, rest: "tensors array<TensorFigures, 0>" },
  TensorFigures: { layout: TENSOR_FIGURES },
};
// By the rule's table; see below.
const OF_RULES = ["Hyper", "StepRow"];
// Never leave the GPU.
const INTERNAL = [
  "Change",
  "Columns",
  "Factored",
  "Kernels",
  "Line",
  "Lines",
  "Maximum",
  "Norm",
  "Opened",
  "Partial",
  "Place",
  "Prepared",
  "Reached",
  "Settling",
  "Squares",
  "Sums",
  "Taken",
  "Tile",
  "Windows",
];
// By newton-schulz.test.ts.
const OF_NEWTON_SCHULZ = ["Matrices", "Product"];
const OF_THE_TRAINING_KIT: Readonly<Record<string, number>> = {
  Batch: BATCH_BYTES,
  RowOutcome: OUTCOME_BYTES,
  Record: RECORD_BYTES,
  // What Plan.select writes.
  Random: 8,
};

describe("structures", () => {
  test("every structure of the shaders is known here", () => {
    const declared = Object.values(SHADERS).flatMap((text) =>
      [...stripWgsl(text).matchAll(/struct (\w+)/g)].map((match) => match[1]!),
    );
    const known = [
      ...Object.keys(STRUCTS),
      ...OF_RULES,
      ...INTERNAL,
      ...OF_NEWTON_SCHULZ,
      ...Object.keys(OF_THE_TRAINING_KIT),
    ];
    expect([...new Set(declared)].sort()).toEqual(known.sort());
  });

  const seen = new Map<string, Set<string>>();
  for (const kernel of KERNELS)
    for (const { name, members, size } of allLinked(kernel).flatMap((reflection) => reflection.structs))
      if (name in STRUCTS) {
        const variants = seen.get(name) ?? new Set();
        seen.set(name, variants.add(JSON.stringify({ size, fields: fieldsOf({ members } as StructInfo) })));
      }

  test.each(Object.entries(STRUCTS))("%s", (name, { layout, rest }) => {
    const variants = [...(seen.get(name) ?? [])].map((text) => JSON.parse(text) as { size: number; fields: string[] });
    expect(variants).toHaveLength(1);
    const expected = rest === undefined ? twinOf(layout) : [...twinOf(layout), `${rest}@${layout.length * 4}`];
    expect(variants[0]!.fields).toEqual(expected);
    if (rest === undefined) expect(variants[0]!.size).toBe(layout.length * 4);
  });

  test.each([
    ["Control", "TensorControl", TENSOR_CONTROL],
    ["Figures", "TensorFigures", TENSOR_FIGURES],
  ] as const)("rows of %s are %s without padding", (struct, row, layout) => {
    const [reflection] = allLinked(SUMMARIZE) as [WgslReflect];
    const array = reflection.structs.find((s) => s.name === struct)?.members.at(-1)?.type;
    expect(array).toMatchObject({ name: "array", stride: layout.length * 4, format: { name: row } });
  });

  test.each(Object.entries(OF_THE_TRAINING_KIT))("%s has %i bytes", (name, bytes) => {
    const text = Object.values(SHADERS).find((source) => source.includes(`struct ${name} {`))!;
    const struct = new RegExp(`struct ${name} \\{[^}]*\\}`).exec(text)![0];
    expect(reflect(struct).structs[0]).toMatchObject({ name, size: bytes });
  });

  test("Words writes and reads a structure at the offsets that the shader has", () => {
    const words = new Words(20);
    words.write(TENSOR_CONTROL, 3, { skipped: 0xfffffffe, factor: 0.1, bad_steps: 7 });
    const bytes = new DataView(words.u32.buffer);
    const { members } = allLinked(CONTROL_STAGE)[0]!.structs.find((s) => s.name === "TensorControl")!;
    const offset = (name: string) => 12 + members.find((m) => m.name === name)!.offset;
    expect(bytes.getUint32(offset("skipped"), true)).toBe(0xfffffffe);
    expect(bytes.getFloat32(offset("factor"), true)).toBe(Math.fround(0.1));
    expect(bytes.getUint32(offset("bad_steps"), true)).toBe(7);
    expect(words.read(TENSOR_CONTROL, 3)).toMatchObject({
      skipped: 0xfffffffe,
      factor: Math.fround(0.1),
      grad_norm: 0,
      max_grad: 0,
      non_finite: 0,
      bad_steps: 7,
    });
  });
});

describe.each(RULES)("rule $rule.name", ({ rule, options }) => {
  const [reflection] = allLinked(UPDATE, rule) as [WgslReflect];
  const struct = (name: string) => fieldsOf(reflection.structs.find((s) => s.name === name));
  const carried = (o: HyperOptions) =>
    Object.keys(rule.recursion?.next(o, rule.recursion.start, { lr: 0.1, update: 3 }).hyper ?? {});
  const floats = (names: readonly string[]) => names.map((name, i) => `${name} f32@${i * 4}`);

  test("Hyper has the fields of the table, whatever the options", () => {
    for (const o of options) expect(struct("Hyper")).toEqual(floats([...Object.keys(rule.hyper(o)), ...carried(o)]));
  });

  test("StepRow has the fields of the table, whatever the options and the count", () => {
    for (const o of options)
      for (const t of [1, 2, 1000])
        expect(struct("StepRow")).toEqual(floats(Object.keys(rule.stepRow?.(o, t) ?? { unused: 0 })));
  });

  test("a group record is its fields and the rule's, without padding", () => {
    const record = reflection.structs.find((s) => s.name === "GroupRecord")!;
    expect(record.size).toBe((GROUP_RECORD.length + hyperNames(rule).length) * 4);
  });

  test("slot constants are the places in the table", () => {
    const constants = slotConstants(rule.wgsl);
    expect(constants).toMatchObject(Object.fromEntries(rule.slots.map((slot, i) => [slot.toUpperCase(), i])));
    // A file that several rules share may know more slots than one of them has.
    expect(Object.keys(constants).length).toBe(Math.max(...sameFile(rule).map(({ slots }) => slots.length)));
  });

  test("the table gives a value for each of its overrides", () => {
    const declared = reflect(stubRule(rule.wgsl)).overrides.map((o) => o.name);
    expect(Object.keys(rule.overrides?.(options) ?? {}).sort()).toEqual(declared.sort());
  });
});

/** Unsigned constants that a text declares. */
function slotConstants(text: string): Record<string, number> {
  const constants = stripWgsl(text).matchAll(/^const (\w+)\s*=\s*(\d+)u;$/gm);
  return Object.fromEntries([...constants].map((match) => [match[1]!, Number(match[2])]));
}

/** A rule's file alone: `Lane` comes from the storage format. */
function stubRule(wgsl: string): string {
  return `${F32.files.storage.text}\n${wgsl}`;
}

describe.each(KERNELS)("kernel $name", (kernel) => {
  const kinds = { uniform: "uniform", read: "storage read", write: "storage read_write" } as const;

  test("bindings, whatever is linked in", () => {
    for (const reflection of RULES.flatMap(({ rule }) => allLinked(kernel, rule))) {
      const { uniforms, storage: buffers, textures, samplers } = reflection;
      expect([...textures, ...samplers]).toEqual([]);
      const declared = [
        ...uniforms.map((u) => ({ at: u.binding, group: u.group, text: `${u.name}: uniform` })),
        ...buffers.map((s) => ({ at: s.binding, group: s.group, text: `${s.name}: storage ${s.access}` })),
      ].sort((a, b) => a.at - b.at);
      expect(declared.map((d) => [d.group, d.at])).toEqual(kernel.bindings.map((_, i) => [0, i]));
      expect(declared.map((d) => d.text)).toEqual(
        kernel.bindings.map(([name, kind]) => `${name}: ${kinds[kind === "header" ? "uniform" : kind]}`),
      );
    }
  });

  test("at most 8 storage buffers: what every device allows", () => {
    expect(kernel.bindings.filter(([, kind]) => kind === "read" || kind === "write").length).toBeLessThanOrEqual(8);
  });

  test("one entry point, of the name in the table", () => {
    for (const { entry } of allLinked(kernel)) expect(entry.compute.map((e) => e.name)).toEqual([kernel.entryPoint]);
  });

  test("WORKGROUP_SIZE is at most 64: partials of a workgroup fit 1 KiB", () => {
    const declared = /override WORKGROUP_SIZE: u32 = (\d+);/.exec(kernel.file.text)?.[1];
    // One invocation does all of update-loss-scale.
    if (kernel === UPDATE_LOSS_SCALE) expect(declared).toBeUndefined();
    else expect(Number(declared)).toBe(64);
  });
});

test("bits of the modifiers", () => {
  const constants = slotConstants(SHADERS["../../shaders/lib/group-record.wgsl"]!);
  expect(constants).toEqual(Object.fromEntries(Object.entries(MODIFIER).map(([name, bit]) => [upperSnake(name), bit])));
});

test("lanes of the storage formats", () => {
  const lane = (text: string) => /alias Lane = (\w+);/.exec(text)?.[1];
  expect(STORAGES.map(({ files, lanes }) => [lane(files.storage.text), lanes])).toEqual([
    ["vec4f", 4],
    ["f32", 1],
    ["vec4f", 4],
    ["vec4f", 4],
    ["vec4f", 4],
  ]);
});
