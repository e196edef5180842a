/**
 * Every variant of every shader through Tint, the WGSL compiler of Chrome, which npm `webgpu` brings along: its null backend
 * checks modules and pipelines without a GPU or a driver.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { create } from "webgpu";
import { ShaderError } from "../../src/errors.ts";
import { compileKernel } from "../../src/host/pipelines.ts";
import { defineRule } from "../../src/index.ts";
import type { Kernel } from "../../src/kernels/kernel.ts";
import { MEASURE } from "../../src/kernels/measure.ts";
import { UPDATE_FIGURES } from "../../src/kernels/norm-figures.ts";
import { PLAIN_DECAY, UPDATE } from "../../src/kernels/update.ts";
import type { WgslFile } from "../../src/kernels/wgsl.ts";
import { linearForward, linearInputGradient, linearWeightGradient } from "../../src/nn/linear.ts";
import { stripWgsl } from "../../vite-wgsl.ts";
import { KERNELS, linksOf } from "../kernel-table.ts";
import { OFFERED } from "../rules-table.ts";

const SHADERS: Readonly<Record<string, string>> = import.meta.glob("../../shaders/**/*.wgsl", {
  query: "?raw",
  import: "default",
  eager: true,
});
const RULES: readonly WgslFile[] = Object.keys(SHADERS)
  .filter((path) => path.includes("/rules/"))
  .map((path) => ({ path: path.replace("../../shaders/", ""), text: SHADERS[path]! }));
const [anyRule] = RULES as [WgslFile];

/** Values to try for overrides that are no yes or no. */
const NUMBERS: Readonly<Record<string, readonly number[]>> = {
  WORKGROUP_SIZE: [64],
  NORM_P: [0, 1, 2, 2.5, 12],
  LOSS_SCALE: [0, 1, 2],
  RULE: [0, 3],
  DECAY_FROM: [1, 2],
  LOOKAHEAD_SLOT: [0, 3],
  AVERAGE_SLOT: [0, 4],
  ANCHOR_SLOT: [0, 3],
  QUANTIZED: [0, 7],
  SIGNED: [0, 1],
  SLOTS: [1, 6],
  LATER_SLOTS: [0, 8],
  MASTER_SLOT: [0, 2],
};

// Kept: when it is collected as garbage, so is what its devices stand on.
const gpu = create(["backend=null"]);
let device: GPUDevice;
const uncaptured: string[] = [];

beforeAll(async () => {
  const adapter = await gpu.requestAdapter();
  device = await adapter!.requestDevice();
  device.addEventListener("uncapturederror", ({ error }) => uncaptured.push(error.message));
});

afterAll(() => {
  expect(uncaptured).toEqual([]);
  device.destroy();
});

/** What the overrides of a text can be: all at their first value, all at their last, and each at each of its values by itself. */
function variants(text: string): Record<string, number>[] {
  const overrides = [...text.matchAll(/^override (\w+): (\w+)/gm)].map(([, name, type]) => {
    const values = type === "bool" ? [0, 1] : NUMBERS[name!];
    if (!values) throw new Error(`which values should be tried for the override ${name}?`);
    return [name!, values] as const;
  });
  const all = (at: 0 | -1) => Object.fromEntries(overrides.map(([name, values]) => [name, values.at(at)!]));
  return [all(0), all(-1), ...overrides.flatMap(([name, values]) => values.map((v) => ({ ...all(0), [name]: v })))];
}

const compile = (kernel: Kernel, aliases: Record<string, WgslFile>, constants: Record<string, number>) =>
  compileKernel(device, `optim.${kernel.name}`, kernel, aliases, constants);

describe("kernels", () => {
  const rows = KERNELS.flatMap((kernel) =>
    (kernel.file.text.includes("#import rule\n") ? RULES : RULES.slice(0, 1)).flatMap((rule) =>
      linksOf(kernel, rule).map((links) => ({ kernel, links })),
    ),
  );

  test.each(rows)(
    "$kernel.name with $links.storage.path, $links.rule.path, $links.decay.path",
    async ({ kernel, links }) => {
      const used = Object.entries(links).filter(([role]) => kernel.file.text.includes(`#import ${role}\n`));
      const library = Object.entries(kernel.library ?? {}).flatMap(([name, file]) =>
        kernel.file.text.includes(`#import ${name}\n`) ? [file] : [],
      );
      const text = [kernel.file.text, ...library, ...used.map(([, file]) => file.text)].join("\n");
      const all = variants(text);
      for (const constants of all) {
        const { pipeline } = await compile(kernel, links, constants);
        expect(pipeline.label).toBe(`optim.${kernel.name}`);
      }
      expect(all.length).toBeGreaterThan(2 * [...text.matchAll(/^override \w+: bool/gm)].length);
    },
  );

  test.each(KERNELS)("$name as the build strips it", async (kernel) => {
    const library = Object.fromEntries(
      Object.entries(kernel.library ?? {}).map(([name, text]) => [name, stripWgsl(text)]),
    );
    const strip = ({ path, text }: WgslFile): WgslFile => ({ path, text: stripWgsl(text) });
    const [links] = RULES.flatMap((rule) => linksOf(kernel, rule)) as [Record<string, WgslFile>];
    const stripped = Object.fromEntries(Object.entries(links).map(([role, file]) => [role, strip(file)]));
    await compile({ ...kernel, library, file: strip(kernel.file) }, stripped, {});
  });

  test("the rules of the table are the files of shaders/rules", () => {
    const files = OFFERED.map(({ rule: { definition } }) => definition.path ?? `rules/${definition.name}.wgsl`);
    expect(RULES.map((r) => r.path).sort()).toEqual([...new Set(files)].sort());
  });

  test("a rule with the least that a rule must have", async () => {
    const sign = defineRule({
      name: "sign",
      defaults: {},
      slots: [],
      hyper: () => ({ unused: 0 }),
      wgsl: `
        struct Hyper { unused: f32 }
        struct StepRow { unused: f32 }
        fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane { return lr * sign(g); }`,
    });
    const rule = { path: "rules/sign.wgsl", text: sign().definition.wgsl };
    for (const links of linksOf(UPDATE, rule)) await compile(UPDATE, links, {});
  });
});

describe("training kit", () => {
  // Widths that are a multiple of 4 and that are not: the two ways in which weights are stored. Inputs that are floats or bytes.
  const floats = [
    { rows: 8, inFeatures: 12, outFeatures: 10 },
    { rows: 64, inFeatures: 7, outFeatures: 3 },
  ];
  const shapes = [...floats, ...floats.map((s) => ({ ...s, bytes: { scale: 2, shift: -1 } }))];
  const both = [false, true];
  const calls: Readonly<Record<string, () => Promise<unknown>[]>> = {
    "linear-forward": () =>
      shapes.flatMap((s) => both.map((on) => linearForward(device, "l", s, { relu: on, bias: on }))),
    "linear-input-gradient": () =>
      floats.flatMap((s) => both.map((inputRelu) => linearInputGradient(device, "l", s, { inputRelu }))),
    "linear-weight-gradient": () =>
      shapes.flatMap((s) => both.map((on) => linearWeightGradient(device, "l", s, { accumulate: on, bias: on }))),
  };

  test("every kernel of shaders/nn is in this table", () => {
    const kernels = Object.keys(SHADERS).map((path) => /shaders\/nn\/([\w-]+)\.wgsl$/.exec(path)?.[1]);
    expect(kernels.filter((name) => name !== undefined).sort()).toEqual(Object.keys(calls).sort());
  });

  test.each(Object.entries(calls))("%s", async (_, call) => {
    for (const operation of await Promise.all(call())) expect(operation).toBeDefined();
  });
});

describe("what is wrong is told by file and line", () => {
  /** `text` with one more line; its number is counted from 1. */
  function plant(text: string, after: RegExp, line: string): { text: string; line: number } {
    const lines = text.split("\n");
    const at = lines.findIndex((l) => after.test(l)) + 1;
    expect(at).toBeGreaterThan(0);
    lines.splice(at, 0, line);
    return { text: lines.join("\n"), line: at + 1 };
  }
  const failure = async (...args: Parameters<typeof compile>): Promise<Error> => {
    const error: unknown = await compile(...args).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ShaderError);
    return error as Error;
  };
  const [aliases] = linksOf(UPDATE, anyRule) as [Record<string, WgslFile>];
  // The line that opens the body of an entry point.
  const ENTRY = /\blane: u32\) \{$|^fn update_loss_scale\(\) \{$/;

  test.each(KERNELS)("in the kernel's own file: $name", async (kernel) => {
    const { text, line } = plant(kernel.file.text, ENTRY, "  let planted = no_such_name + 1u;");
    const broken = { ...kernel, file: { ...kernel.file, text } };
    const [links] = RULES.flatMap((rule) => linksOf(kernel, rule)) as [Record<string, WgslFile>];
    const { message } = await failure(broken, links, {});
    expect(message).toMatch(
      new RegExp(`^optim.${kernel.name}: shaders/${kernel.file.path}:${line}:17: .*no_such_name`),
    );
  });

  test.each(["lib/records", "lib/norm", "lib/reduce", "lib/lane-norm", "lib/group-record"])("in %s", async (name) => {
    const { text, line } = plant(SHADERS[`../../shaders/${name}.wgsl`]!, /^}/, "const PLANTED: f32 = true;");
    const file = { path: `${name}.wgsl`, text };
    const [links] = linksOf(UPDATE_FIGURES, anyRule);
    const { message } = await failure(UPDATE_FIGURES, { ...links, [name]: file }, {});
    expect(message).toMatch(new RegExp(`^optim.update-figures: shaders/${name}.wgsl:${line}:\\d+: `));
  });

  test.each(RULES)("in $path", async ({ path, text }) => {
    const planted = plant(text, /^fn update_rule/, "  missing();");
    const { message } = await failure(UPDATE, { ...aliases, rule: { path, text: planted.text } }, {});
    expect(message).toMatch(new RegExp(`^optim.update: shaders/${path}:${planted.line}:3: .*missing`));
  });

  test("a rule without update_rule is told at the call in decay/plain.wgsl", async () => {
    const text = anyRule.text.replace("fn update_rule", "fn rule_update");
    const { message } = await failure(UPDATE, { ...aliases, rule: { ...anyRule, text } }, {});
    const [, line] = /^optim.update: shaders\/decay\/plain.wgsl:(\d+):\d+: .*update_rule/.exec(message) ?? [];
    expect(PLAIN_DECAY.text.split("\n")[Number(line) - 1]).toContain("update_rule(");
  });

  test("a syntax error", async () => {
    const { text, line } = plant(MEASURE.file.text, ENTRY, "  let = 3;");
    const broken = { ...MEASURE, file: { path: "measure.wgsl", text } };
    expect((await failure(broken, aliases, {})).message).toContain(`shaders/measure.wgsl:${line}:`);
  });

  test("an override that the shader does not have", async () => {
    expect((await failure(MEASURE, aliases, { NO_SUCH: 1 })).message).toMatch(/^optim.measure: .*NO_SUCH/s);
  });

  test("a value of an override that no device allows: pipelines are checked too", async () => {
    const { message } = await failure(MEASURE, aliases, { WORKGROUP_SIZE: 100_000 });
    expect(message).toMatch(/^optim.measure: .*100000/s);
  });

  test("a table of bindings that is not the shader's", async () => {
    const bindings = MEASURE.bindings.map(([name]) => [name, "read"] as const);
    const { message } = await failure({ ...MEASURE, bindings }, aliases, {});
    expect(message).toMatch(/^optim.measure: /);
  });

  test("an entry point that is not the shader's", async () => {
    const { message } = await failure({ ...MEASURE, entryPoint: "mesure" }, aliases, {});
    expect(message).toMatch(/^optim.measure: .*mesure/s);
  });
});
