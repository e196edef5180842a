/** Bad calls of a living optimizer: each is refused by a typed error, and the optimizer goes on as if nothing had been said. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adamw, createOptimizer, DeviceError, type Optimizer, OptionError } from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import {
  each,
  expectNamed,
  failureOf,
  groupRows,
  NO_BOOLEANS,
  NO_LISTS,
  NO_MATCHES,
  NO_OBJECTS,
  NO_RATES,
  NO_TEXTS,
  Pair,
  type Row,
  USAGE,
  values,
} from "./refusals.ts";
import { bitsOf } from "./twin-run.ts";

const { NaN: NAN, POSITIVE_INFINITY: INF } = Number;

let device: GPUDevice;
let foreign: GPUDevice;
let pair: Pair;
const made: GPUBuffer[] = [];

beforeAll(async () => {
  device = await testDevice();
  foreign = await testDevice({ label: "foreign" });
  pair = await Pair.make(device);
});

afterAll(() => {
  pair.destroy();
  for (const buffer of made) buffer.destroy();
});

type Method = {
  [K in keyof Optimizer]: Optimizer[K] extends (...args: never[]) => unknown ? K : never;
}[keyof Optimizer];

/** Any method of the living optimizer, with any arguments. */
const call = (method: Method, ...args: unknown[]): unknown =>
  (pair.subject[method] as (...args: unknown[]) => unknown).apply(pair.subject, args);

const buffer = (options: Partial<GPUBufferDescriptor> = {}, on = device): GPUBuffer => {
  const one = on.createBuffer({ size: 1024, usage: USAGE, ...options });
  made.push(one);
  return one;
};

const NO_TENSORS: readonly unknown[] = ["nope", "", "W", "toString", undefined, null, 3, {}];
const matching = (method: "withoutGrad" | "freeze" | "unfreeze"): Row[] => [
  ...each(`${method}: match`, ["nope", "*.nope", "W"], (match) => call(method, match)),
  [`${method}: match`, "/nope/", () => call(method, /nope/)],
  [`${method}: match`, "function none", () => call(method, function none() {})],
  [`${method}: match`, '["nope","w.bais"]', () => call(method, ["nope", "w.bais"])],
  ...each(`${method}: match`, NO_MATCHES, (match) => call(method, match)),
];

const nameRows: Row[] = [
  ...each("tensor: name", NO_TENSORS, (name) => call("tensor", name)),
  ...each("readParam: name", NO_TENSORS, (name) => call("readParam", name)),
  ...each("readState: name", NO_TENSORS, (name) => call("readState", name)),
  ...matching("withoutGrad"),
  ...matching("freeze"),
  ...matching("unfreeze"),
];

const dataRows: Row[] = (["writeParam", "writeGrad"] as const).flatMap((method): Row[] => [
  ...each(`${method}: name`, NO_TENSORS, (name) => call(method, name, values(35, 0))),
  ...each(`${method}: data (a)`, [undefined, null, 6, [1, 2, 3, 4, 5, 6], "123456"], (data) => call(method, "a", data)),
  [`${method}: data (a)`, "Float32Array(20 bytes)", () => call(method, "a", new Float32Array(5))],
  [`${method}: data (a)`, "Float32Array(28 bytes)", () => call(method, "a", new Float32Array(7))],
  [`${method}: data (a)`, "Float64Array(48 bytes)", () => call(method, "a", new Float64Array(6))],
  [`${method}: data (w)`, "Float32Array(0 bytes)", () => call(method, "w", new Float32Array())],
]);

// What would need kernel code or state that this optimizer was not made with.
const LATE: readonly Record<string, unknown>[] = [
  { amsgrad: true },
  { cautious: true },
  { l1: 0.1 },
  { clipValue: 1 },
  { decayMode: "coupled" },
  { toward: "initial" },
  { lr: 1, clipValue: 0.5 },
];
const late = (give: (changes: Record<string, unknown>) => unknown): Row[] =>
  LATE.map((changes) => [`adamw: ${Object.keys(changes).join(", ")}`, JSON.stringify(changes), () => give(changes)]);

const hyper = (give: (changes: Record<string, unknown>) => unknown): Row[] => [
  ...each("adamw: betas", [0.9, [0.9], null, "0.9"], (betas) => give({ betas })),
  ...each("adamw: betas[1]", [1, NAN, -1, "0.9"], (beta) => give({ betas: [0.9, beta] })),
  ...each("adamw: eps", NO_RATES, (eps) => give({ eps })),
  ...each("adamw: maximize", NO_BOOLEANS, (maximize) => give({ maximize })),
  ["adamw: momentum", "0.9", () => give({ momentum: 0.9 })],
  ["adamw: match", '"w"', () => give({ match: "w" })],
  ["adamw: weigthDecay", "0.1", () => give({ weigthDecay: 0.1 })],
];

const setGroup = (changes: unknown) => call("setGroup", "*.bias", changes);
const set = (changes: unknown) => call("set", changes);
const changeRows: Row[] = [
  ...each("setGroup: group", ["nope", "", -1, 2, 0.5, NAN, null, undefined, {}, true], (group) =>
    call("setGroup", group, { lr: 0.1 }),
  ),
  ...[setGroup, set].flatMap((give): Row[] => [
    ...groupRows("adamw", give),
    ...hyper(give),
    ...late(give),
    ...each("adamw: options", [undefined, ...NO_OBJECTS], give),
  ]),
  // One good change beside a bad one is not made either.
  ["adamw: eps", "-1", () => set({ lr: 3, weightDecay: 2, eps: -1 })],
];

const attach = (buffers: unknown) => call("attach", "a", buffers);
const attachRows: Row[] = [
  ...each("attach: name", NO_TENSORS, (name) => call("attach", name, { param: { buffer: buffer() } })),
  ["attach: name", '"w"', () => call("attach", "w", { param: { buffer: buffer() } })],
  ...each("attach: a", [undefined, ...NO_OBJECTS], attach),
  ["attach: a.parm", "3", () => attach({ parm: 3 })],
  ...(["param", "grad"] as const).flatMap((which): Row[] => {
    const at = `attach: ${which} (a)`;
    const give = (slice: unknown) => attach({ [which]: slice });
    return [
      ...each(at, NO_OBJECTS, give),
      ...each(`${at}.buffer`, [undefined, null, {}, 3], (b) => give({ buffer: b })),
      ...each(`${at}.offset`, [-256, 4, 1.5, NAN, INF, "0", null], (offset) => give({ buffer: buffer(), offset })),
      ...each(`${at}.size`, [0, 20, -24, NAN, "24"], (size) => give({ buffer: buffer(), size })),
      [at, "1024", () => give({ buffer: buffer(), offset: 1024 })],
      [at, "16", () => give({ buffer: buffer({ size: 16 }) })],
      [`${at}.buffer`, "12", () => give({ buffer: buffer({ usage: 12 }) })],
      [`${at}.bufer`, "3", () => give({ bufer: 3 })],
    ];
  }),
  [
    "attach: grad of a",
    "0",
    () => {
      const both = { buffer: buffer() };
      return attach({ param: both, grad: both });
    },
  ],
  ["attach: grad of a", "0", () => attach({ grad: pair.subject.tensor("a").param })],
];

const v = { name: "v", shape: [3] };
const add = (params: unknown, groups?: unknown) => call("addParams", params, groups);
const addRows: Row[] = [
  ...each("addParams: params", [undefined, [], ...NO_LISTS], (params) => add(params)),
  ...each("addParams: params[0]", [null, 3, "v"], (param) => add([param])),
  ...each("addParams: params[0].name", [...NO_TEXTS, ""], (name) => add([{ name, shape: [3] }])),
  ["addParams: params[0].name", '"w"', () => add([{ name: "w", shape: [3] }])],
  ["addParams: params[1].name", '"v"', () => add([v, v])],
  ...each("addParams: params[0].shape (v)", [undefined, 3, [-1], [2 ** 31]], (shape) => add([{ name: "v", shape }])),
  ["addParams: params[0].data (v)", "Float32Array(8 bytes)", () => add([{ ...v, data: new Float32Array(2) }])],
  ["addParams: params[0].grad (v)", "undefined", () => add([{ ...v, param: { buffer: buffer() } }])],
  ...each("adamw: groups", NO_LISTS, (groups) => add([v], groups)),
  ...each("adamw: groups[0].match", NO_MATCHES, (match) => add([v], [{ match }])),
  ...groupRows("adamw: groups[0]", (options) => add([v], [{ match: "v", ...options }])),
  ["addParams: groups: name", '"*.bias"', () => add([v], [{ match: "*.bias" }])],
  ["adamw: groups[0].name", '"default"', () => add([v], [{ match: "v", name: "default" }])],
  ...LATE.map((changes): Row => {
    const groups = [{ match: "v", ...changes }];
    return ["addParams: groups", JSON.stringify(groups), () => add([v], groups)];
  }),
];

const otherRows: Row[] = [
  ...each("on: event", ["figure", "", undefined, null, 3], (event) => call("on", event, () => {})),
  ...each("on: listener", [undefined, null, "x", {}], (listener) => call("on", "figures", listener)),
  ...each("step: record", [null, 3, "x", {}], (record) => call("step", record)),
  ...each("encode: encoder", [undefined, null, 3, {}], (encoder) => call("encode", encoder)),
];

const TABLES = { nameRows, dataRows, changeRows, attachRows, addRows, otherRows };

describe.each(Object.entries(TABLES))("%s", (_, rows) => {
  test.each(rows)("%s, %s", async (option, value, bad) => {
    const error = await failureOf(bad);
    expect(error).toBeInstanceOf(OptionError);
    expectNamed(error, option, value);
  });

  test("and nothing has changed", () => pair.expectUnharmed());
});

describe("a schedule that fails at step 7", () => {
  const bad = [Number.NaN, Number.POSITIVE_INFINITY, 1e39, -1, "0.1", undefined];

  test.each(["lr", "weightDecay", "l1"].flatMap((option) => bad.map((value) => [option, value] as const)))(
    "%s gives %s",
    async (option, value) => {
      const schedule = (step: number) => (step === 7 ? (value as number) : 0.01);
      const make = (options: Record<string, unknown>) =>
        createOptimizer(device, {
          rule: adamw(),
          params: ["v", "w"].map((name) => ({ name, shape: [20], data: values(20, 0) })),
          groups: [{ match: "w", l1: 0.01, ...options }],
          clip: { globalNorm: 1 },
        });
      const subject = await make({ [option]: schedule });
      const twin = await make({ [option]: 0.01 });
      const bits = async (optimizer: Optimizer) => bitsOf(await optimizer.stateDict());
      const step = (optimizer: Optimizer, i: number) => {
        optimizer.writeGrad("v", values(20, i));
        optimizer.writeGrad("w", values(20, 100 + i));
        // What is said of a step holds for the step, however often it must be tried.
        if (i === 7) optimizer.withoutGrad("v");
        optimizer.step();
      };
      for (let i = 0; i < 7; i++) {
        step(subject, i);
        step(twin, i);
      }
      const before = await bits(subject);
      expect(before).toEqual(await bits(twin));
      const error = await failureOf(() => step(subject, 7));
      expect(error).toBeInstanceOf(OptionError);
      expectNamed(error, `adamw: ${option} at step 7 (group w)`, typeof value === "string" ? `"${value}"` : `${value}`);
      await expect(failureOf(() => subject.step())).resolves.toHaveProperty("message", error.message);
      expect(await bits(subject)).toEqual(before);

      subject.setGroup("w", { [option]: 0.01 });
      subject.step();
      step(twin, 7);
      step(subject, 8);
      step(twin, 8);
      expect(await bits(subject)).toEqual(await bits(twin));
      subject.destroy();
      twin.destroy();
    },
  );
});

test("an error of the function that records before a step is its own, and the step is not taken", async () => {
  const own = new Error("mine");
  const record = () => {
    throw own;
  };
  expect(() => pair.subject.step(record)).toThrow(own);
  await pair.expectUnharmed();
});

describe("what only the device can refuse", () => {
  const own = () => ({ param: { buffer: buffer() }, grad: { buffer: buffer() } });
  const rows: [RegExp, () => unknown][] = [
    [
      /^addParams: .*destroyed/,
      () => {
        const dead = buffer();
        dead.destroy();
        return add([{ ...v, ...own(), param: { buffer: dead } }], [{ match: "v", lr: 1 }]);
      },
    ],
    [/^addParams: .*another device/, () => add([{ ...v, ...own(), grad: { buffer: buffer({}, foreign) } }])],
    [/^addParams: .*has 4294967296 bytes, a buffer .*at most/, () => add([v, { name: "u", shape: [2 ** 30] }])],
  ];

  test.each(rows)("%s", async (message, bad) => {
    const counter = countCalls(device);
    made.splice(0);
    const error = await failureOf(bad);
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.message).toMatch(message);
    for (const one of made.splice(0)) one.destroy();
    expect(counter.stop()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
    expect(pair.subject.tensors.map((t) => t.name)).not.toContain("v");
    await pair.expectUnharmed();
  });
});

describe("a buffer of the caller's that cannot be copied", () => {
  const attached = (usage: number) =>
    createOptimizer(device, {
      rule: adamw(),
      params: [{ name: "w", shape: [4], param: { buffer: buffer({ usage }) }, grad: { buffer: buffer() } }],
    });

  test("without COPY_SRC it is not read: nobody gets zeros", async () => {
    const optimizer = await attached(0x80 | 0x8);
    optimizer.writeParam("w", values(4, 0));
    for (const read of [() => optimizer.readParam("w"), () => optimizer.stateDict(), () => optimizer.readState("w")]) {
      const error = await failureOf(read);
      expect(error).toBeInstanceOf(DeviceError);
      expect(error.message).toMatch(/COPY_SRC|CopySrc/);
    }
    optimizer.step();
    optimizer.destroy();
  });

  test("without COPY_DST it is not written", async () => {
    const optimizer = await attached(0x80 | 0x4);
    const state = await optimizer.stateDict();
    expect(await failureOf(() => optimizer.writeParam("w", values(4, 0)))).toBeInstanceOf(OptionError);
    expect((await failureOf(() => optimizer.loadStateDict(state))).message).toContain("COPY_DST");
    expect([...(await optimizer.readParam("w"))]).toEqual([0, 0, 0, 0]);
    optimizer.destroy();
  });

  test("destroyed, it is not read: nobody gets zeros", async () => {
    const optimizer = await attached(USAGE);
    optimizer.tensor("w").param.buffer.destroy();
    for (const read of [() => optimizer.readParam("w"), () => optimizer.stateDict()])
      expect(await failureOf(read)).toBeInstanceOf(DeviceError);
    optimizer.destroy();
  });
});

test("there are at least 500 rows", () => {
  expect(Object.values(TABLES).flat().length).toBeGreaterThanOrEqual(500);
});
