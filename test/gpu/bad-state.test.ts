/** State dicts that do not fit: each is refused with a line for every difference, and nothing has been changed. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adam, adamw, createOptimizer, type StateDict, StateDictError } from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { failureOf, Pair, values } from "./refusals.ts";

// biome-ignore lint/suspicious/noExplicitAny: what is wrong with a state has no type.
type Anything = any;

let device: GPUDevice;
let pair: Pair;
/** A state of the pair's subject, as of a moment that has passed. */
let saved: StateDict;

beforeAll(async () => {
  device = await testDevice();
  pair = await Pair.make(device);
  for (let i = 0; i < 5; i++) await pair.expectUnharmed();
  saved = await pair.subject.stateDict();
  await pair.expectUnharmed();
});

afterAll(() => pair.destroy());

/** Sets what lies at the end of a path; undefined deletes it. */
function put(path: string, value: unknown): (state: Anything) => void {
  const keys = path.split("/");
  const last = keys.pop()!;
  return (state) => {
    const at = keys.reduce((object, key) => object[key], state);
    if (value === undefined) delete at[last];
    else at[last] = value;
  };
}

const shown = (value: unknown): string => (typeof value === "string" ? JSON.stringify(value) : String(value));

/** What the one difference must be, and what is done to the state. */
type Row = readonly [difference: string, change: (state: Anything) => void];

const wrong = (path: string, must: string, wrongs: readonly unknown[], name = path): Row[] =>
  wrongs.map((value) => [`${name} must be ${must}, got ${shown(value)}`, put(path, value)]);

const { NaN: NAN, POSITIVE_INFINITY: INF } = Number;
const NO_COUNTS: readonly unknown[] = [undefined, null, -1, 1.5, NAN, INF, 2 ** 31, "5", true, 5n];
const COUNT = "a whole number >= 0";

const floats = (length: number) => new Float32Array(length);
/** Wrong values for an array of `size`, and how messages call them. */
const NO_FLOATS = (size: number): [unknown, string][] => [
  [undefined, "undefined"],
  [null, "object"],
  [floats(size - 1), `${size - 1} elements`],
  [floats(size + 1), `${size + 1} elements`],
  [floats(0), "0 elements"],
  [new Float64Array(size), "object"],
  [Array.from(floats(size)), "object"],
  // What JSON makes of an array of floats.
  [JSON.parse(JSON.stringify(floats(size))), "object"],
  ["0".repeat(size), "string"],
];

const arrays = (tensor: string, path: string, size: number): Row[] =>
  NO_FLOATS(size).map(([value, got]) => [
    `tensors: ${tensor}: ${path.replace("/", ".")} must be a Float32Array of ${size} elements, got ${JSON.stringify(got)}`,
    put(`tensors/${tensor}/${path}`, value),
  ]);

const rows: Row[] = [
  ...wrong("format", "webgpu-optim/state", [undefined, null, "", "torch", 1]),
  ...wrong("version", "1", [undefined, null, 0, 2, 1.5, "1"]),
  ...wrong("rule", "adamw", [undefined, null, "adam", "AdamW", 3]),
  ...wrong("stepsSkipped", COUNT, NO_COUNTS),
  ...wrong("lossScale/scale", "a float32 > 0", [undefined, null, 0, -1, NAN, INF, 1e39, 1e-50, "4"], "lossScale.scale"),
  ...wrong("lossScale/growthTracker", COUNT, NO_COUNTS, "lossScale.growthTracker"),
  ...wrong("groups", "a list", [undefined, null, {}, 3]),
  ...wrong(
    "groups/0/decayDose",
    "a number >= 0 or null",
    [undefined, NAN, INF, -0.1, "0"],
    "groups: default: decayDose",
  ),
  ['groups must be default, *.bias, got "default"', (s) => s.groups.pop()],
  ['groups must be default, *.bias, got "*.bias, default"', (s) => s.groups.reverse()],
  ['groups must be default, *.bias, got "default, *.bias, *.bias"', (s) => s.groups.push(s.groups[1])],
  ['groups must be default, *.bias, got "rest, *.bias"', put("groups/0/name", "rest")],
  ["tensors: a is missing", put("tensors/a", undefined)],
  ["tensors: a is missing", put("tensors/a", null)],
  ["tensors: a is missing", put("tensors/a", 3)],
  ["tensors: v is unknown here", (s) => put("tensors/v", s.tensors.a)(s)],
  ["tensors: toString is unknown here", (s) => put("tensors/toString", s.tensors.a)(s)],
  ...([undefined, null, [], [7, 5], [35], [5, 7, 1], "5,7", [5, "8"]] as const).map(
    (shape): Row => [`tensors: w: shape must be [5,7], got "[${String(shape)}]"`, put("tensors/w/shape", shape)],
  ),
  ...wrong("tensors/w/step", "a whole number of at most stepsApplied", [...NO_COUNTS, 6], "tensors: w: step"),
  ...arrays("w", "param", 35),
  ...arrays("a", "param", 6),
  ...arrays("w", "slots/exp_avg", 35),
  ...arrays("b", "slots/exp_avg_sq", 8),
  ["tensors: w: slots.max_exp_avg_sq is unknown here", put("tensors/w/slots/max_exp_avg_sq", floats(35))],
  ["tensors: w: slots.anchor is unknown here", put("tensors/w/slots/anchor", floats(35))],
  ["tensors: w: slots.momentum_buffer is unknown here", put("tensors/w/slots/momentum_buffer", floats(35))],
];

describe("refused", () => {
  test.each(rows)("%s", async (difference, change) => {
    const state = structuredClone(saved) as Anything;
    change(state);
    const error = (await failureOf(() => pair.subject.loadStateDict(state))) as StateDictError;
    expect(error).toBeInstanceOf(StateDictError);
    expect(error.differences).toEqual([difference]);
    expect(error.message).toContain(difference);
    await pair.expectUnharmed();
  });

  // Where it is no number, the counts of tensors are not at most it either.
  test.each(NO_COUNTS)("stepsApplied %s", async (value) => {
    const state = structuredClone(saved) as Anything;
    put("stepsApplied", value)(state);
    const error = (await failureOf(() => pair.subject.loadStateDict(state))) as StateDictError;
    expect(error.differences[0]).toBe(`stepsApplied must be ${COUNT}, got ${shown(value)}`);
    await pair.expectUnharmed();
  });

  test.each([undefined, null, 3, "state", true])("%s", async (state) => {
    const error = await failureOf(() => pair.subject.loadStateDict(state as Anything));
    expect(error).toBeInstanceOf(StateDictError);
    expect(error.message).toMatch(/must be a state dict, got (null|undefined|number|string|boolean)/);
    await pair.expectUnharmed();
  });

  test.each([[[]], [{}], [new Map()], [new ArrayBuffer(8)]])("%s", async (state) => {
    expect((await failureOf(() => pair.subject.loadStateDict(state as Anything))).message).toContain("format must be");
    await pair.expectUnharmed();
  });

  test("all that is wrong is told at once", async () => {
    const state = structuredClone(saved) as Anything;
    for (const change of [
      put("rule", "sgd"),
      put("tensors/w/step", -1),
      put("tensors/b", undefined),
      put("tensors/a/param", null),
      put("lossScale", undefined),
    ])
      change(state);
    const { differences } = (await failureOf(() => pair.subject.loadStateDict(state))) as StateDictError;
    expect(differences.map((line) => line.replace(/ (must|is) .*/, ""))).toEqual([
      "rule",
      "lossScale.scale",
      "lossScale.growthTracker",
      "tensors: w: step",
      "tensors: a: param",
      "tensors: b",
    ]);
    await pair.expectUnharmed();
  });

  test("the state of another optimizer", async () => {
    const params = [{ name: "w", shape: [4], data: values(4, 0) }];
    const other = await createOptimizer(device, { rule: adam({ amsgrad: true }), params });
    const theirs = await other.stateDict();
    expect(await failureOf(() => pair.subject.loadStateDict(theirs))).toBeInstanceOf(StateDictError);
    const error = await failureOf(() => other.loadStateDict(saved));
    expect(error.message).toContain("lossScale: this optimizer has no dynamic loss scale");
    await pair.expectUnharmed();
    other.destroy();
  });

  test("anchors are missed, and are not forgotten", async () => {
    const make = (toward?: "initial") =>
      createOptimizer(device, {
        rule: adamw(),
        params: [{ name: "w", shape: [4], data: values(4, 0) }],
        ...(toward ? { toward } : {}),
      });
    const [plain, anchored] = [await make(), await make("initial")];
    const miss = await failureOf(async () => anchored.loadStateDict(await plain.stateDict()));
    expect((miss as StateDictError).differences).toEqual([
      'tensors: w: slots.anchor must be a Float32Array of 4 elements, got "undefined"',
    ]);
    const extra = await failureOf(async () => plain.loadStateDict(await anchored.stateDict()));
    expect((extra as StateDictError).differences).toEqual(["tensors: w: slots.anchor is unknown here"]);
    plain.destroy();
    anchored.destroy();
  });

  test("and the state that was saved still loads", async () => {
    const own = await pair.subject.stateDict();
    await pair.subject.loadStateDict(structuredClone(own));
    await pair.expectUnharmed();
  });
});

test("there are at least 100 rows", () => {
  expect(rows.length).toBeGreaterThanOrEqual(100);
});
