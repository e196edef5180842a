/** Checkpoint files: their bytes, what they say by name, and that nothing changes on the way. */
import { describe, expect, test } from "vitest";
import {
  CheckpointError,
  readCheckpoint,
  readSafetensors,
  type SafeTensor,
  type StateDict,
  writeCheckpoint,
  writeSafetensors,
} from "../../src/checkpoint/index.ts";
import { generate } from "../reference/prng.ts";

const values = (size: number, stream: number) => generate({ kind: "normal", scale: 1 }, 7, stream, 0, size);

/** Numbers whose bits a careless way would change. */
const SPECIAL = new Float32Array([0, -0, 2 ** -149, 1e-40, 3.4028235e38, Infinity, -Infinity, Number.NaN]);
new Uint32Array(SPECIAL.buffer)[7] = 0xffc12345;

const STATE: StateDict = {
  format: "webgpu-optim/state",
  version: 1,
  rule: "nadam",
  stepsApplied: 2 ** 31 - 1,
  stepsSkipped: 3,
  lossScale: { scale: 65536.5, growthTracker: 12 },
  numbers: { d: 1e-6, toString: 2 },
  groups: [
    {
      name: "default",
      tensors: ["fc.weight", "scale", "1", "__proto__", "adafactor"],
      lr: 0.1 + 0.2,
      weightDecay: 5e-324,
      decayMode: "decoupled",
      hyper: { betas: [0.9, 0.999], eps: 1e-8, momentumDecay: 4e-3, maximize: false },
      decayDose: 1 / 3,
    },
    {
      name: 'odd "näme" \u{1f600}\n',
      tensors: ["constructor"],
      lr: 0,
      weightDecay: 0,
      decayMode: "coupled",
      hyper: { kind: "a.b", flag: true },
      decayDose: null,
      carry: { weight_sum: 0.1 + 0.7 },
    },
  ],
  tensors: Object.fromEntries([
    ["fc.weight", { shape: [2, 4], step: 40, param: SPECIAL, slots: { exp_avg: values(8, 1), exp_avg_sq: SPECIAL } }],
    [
      "scale",
      { shape: [], step: 7, param: values(1, 2), slots: { exp_avg: values(1, 3) }, scalars: { mu_product: 0.1 } },
    ],
    ["adafactor", { shape: [2, 3], step: 1, param: values(6, 7), slots: { exp_avg_sq_row: values(2, 8) } }],
    ["1", { shape: [0, 3], step: 0, param: new Float32Array(0), slots: { exp_avg: new Float32Array(0) } }],
    ["__proto__", { shape: [1], step: 1, param: values(1, 4), slots: { toString: values(1, 5) } }],
    ["constructor", { shape: [3], step: 1, param: values(3, 6), slots: {}, numbers: { exp_avg_sq: 1 / 3 } }],
  ]),
};

/** Everything in a state, arrays by their bits. */
function bits(state: StateDict): unknown {
  const words = (data: Float32Array) => [...new Uint32Array(data.slice().buffer)];
  const tensors = Object.entries(state.tensors).map(([name, { param, slots, ...rest }]) => [
    name,
    { ...rest, param: words(param), slots: Object.entries(slots).map(([slot, data]) => [slot, words(data)]) },
  ]);
  return { ...state, tensors };
}

const header = (file: Uint8Array): string =>
  new TextDecoder().decode(file.subarray(8, 8 + Number(new DataView(file.buffer).getBigUint64(0, true))));

/** A file of this header and so many bytes of data. */
function fileOf(text: string | Uint8Array, data = 0): Uint8Array {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const file = new Uint8Array(8 + bytes.length + data);
  new DataView(file.buffer).setBigUint64(0, BigInt(bytes.length), true);
  file.set(bytes, 8);
  return file;
}

describe("a checkpoint file", () => {
  test("comes back as it was, bit for bit, whatever tensors are called", () => {
    const { state, buffers } = readCheckpoint(writeCheckpoint(STATE));
    expect(bits(state)).toEqual(bits(STATE));
    expect(Object.keys(state.tensors).sort()).toEqual(Object.keys(STATE.tensors).sort());
    expect(Object.getPrototypeOf(state.tensors)).toBe(Object.prototype);
    expect(buffers.size).toBe(0);
    // And once more, from an odd address, where nothing is aligned.
    const file = writeCheckpoint(state);
    const shifted = new Uint8Array(file.length + 3).subarray(3);
    shifted.set(file);
    expect(bits(readCheckpoint(shifted).state)).toEqual(bits(STATE));
  });

  test("says everything by name", () => {
    const text = header(writeCheckpoint(STATE));
    const { __metadata__: metadata, ...tensors } = JSON.parse(text);
    expect(tensors["model.fc.weight"]).toEqual({ dtype: "F32", shape: [2, 4], data_offsets: expect.any(Array) });
    expect(tensors["optimizer.fc.weight.exp_avg_sq"].shape).toEqual([2, 4]);
    expect(tensors["optimizer.scale.mu_product"]).toEqual({ dtype: "F64", shape: [], data_offsets: [0, 8] });
    expect(metadata).toMatchObject({
      format: "webgpu-optim/state",
      version: "1",
      rule: "nadam",
      stepsApplied: "2147483647",
    });
    expect(JSON.parse(metadata.groups)[0]).toMatchObject({
      name: "default",
      lr: 0.1 + 0.2,
      hyper: { betas: [0.9, 0.999] },
    });
    expect(JSON.parse(metadata.groups)[0].tensors["fc.weight"]).toBe(40);
    // As the format has it: a brace first, spaces last, data at a multiple of 8.
    expect(
      new TextEncoder().encode(text).length % 8 === 0 && text.startsWith("{") && text.trimEnd().endsWith("}"),
    ).toBe(true);
  });

  test("holds further metadata, under names that are free", () => {
    const { metadata } = readCheckpoint(writeCheckpoint(STATE, { metadata: new Map([["run", "7"]]) }));
    expect(metadata.get("run")).toBe("7");
    expect(() => writeCheckpoint(STATE, { metadata: new Map([["rule", "sgd"]]) })).toThrow(CheckpointError);
  });

  test("holds the model's buffers too", () => {
    const counter: SafeTensor = { dtype: "I64", shape: [], bytes: Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0) };
    const { state, buffers } = readCheckpoint(writeCheckpoint(STATE, { buffers: new Map([["bn.batches", counter]]) }));
    expect(buffers.get("bn.batches")).toEqual(counter);
    expect(bits(state)).toEqual(bits(STATE));
  });

  test("widens what PyTorch has in half precision, exactly", () => {
    const tensors = new Map(readSafetensors(writeCheckpoint(STATE)).tensors);
    const { metadata } = readSafetensors(writeCheckpoint(STATE));
    const half = Uint16Array.of(0x0000, 0x8001, 0x03ff, 0x0400, 0x3c00, 0x7bff, 0xfc00, 0x3555);
    tensors.set("model.fc.weight", { dtype: "F16", shape: [2, 4], bytes: new Uint8Array(half.buffer) });
    const brain = Uint16Array.of(0x3f80, 0xbf81, 0x7f80);
    tensors.set("model.constructor", { dtype: "BF16", shape: [3], bytes: new Uint8Array(brain.buffer) });
    const { state } = readCheckpoint(writeSafetensors(tensors, metadata));
    const expected = [0, -(2 ** -24), 1023 * 2 ** -24, 2 ** -14, 1, 65504, -Infinity, 0.333251953125];
    expect([...state.tensors["fc.weight"]!.param]).toEqual(expected);
    expect([...Object.entries(state.tensors).at(-1)![1].param]).toEqual([1, -1.0078125, Infinity]);
  });

  test.each<[string, (state: StateDict) => StateDict]>([
    [
      "a slot's name with a dot",
      (s) => ({ ...s, tensors: { ...s.tensors, scale: { ...s.tensors.scale!, slots: { "a.b": values(1, 1) } } } }),
    ],
    ["a tensor in no group", (s) => ({ ...s, groups: s.groups.slice(0, 1) })],
    ["a tensor in two groups", (s) => ({ ...s, groups: [...s.groups, s.groups[0]!] })],
    ["a group's tensor that is missing", ({ tensors: { scale: _, ...tensors }, ...s }) => ({ ...s, tensors })],
    ["half a surrogate pair", (s) => ({ ...s, rule: "\ud800" })],
    ["an infinite rate", (s) => ({ ...s, groups: [{ ...s.groups[0]!, lr: Infinity }, s.groups[1]!] })],
    [
      "a shape that does not fit",
      (s) => ({ ...s, tensors: { ...s.tensors, scale: { ...s.tensors.scale!, shape: [2] } } }),
    ],
  ])("is not written with %s", (_, change) => {
    expect(() => writeCheckpoint(change(STATE))).toThrow(CheckpointError);
  });
});

describe("like", () => {
  const zeros = (size: number) => new Float32Array(size);
  const like: StateDict = {
    ...STATE,
    stepsApplied: 0,
    groups: [
      { ...STATE.groups[0]!, tensors: [] },
      { ...STATE.groups[1]!, name: "all", tensors: ["w", "b"], decayDose: 0 },
    ],
    tensors: {
      w: { shape: [2], step: 0, param: zeros(2), slots: { exp_avg: zeros(2), anchor: values(2, 1) } },
      b: { shape: [1], step: 0, param: zeros(1), slots: { exp_avg: zeros(1) } },
    },
  };
  const written: StateDict = {
    ...STATE,
    groups: [{ ...STATE.groups[0]!, name: "theirs", tensors: ["b", "w"], lr: 0.25 }],
    tensors: {
      b: { shape: [1], step: 0, param: values(1, 2), slots: {} },
      w: { shape: [2], step: 9, param: values(2, 3), slots: { exp_avg: values(2, 4) } },
    },
  };

  test("gives groups, anchors, and zeros for what has never been updated", () => {
    const { state } = readCheckpoint(writeCheckpoint(written), { like });
    expect(state.groups).toMatchObject([
      { name: "default", tensors: [] },
      { name: "all", tensors: ["w", "b"], lr: 0.25, decayDose: 0 },
    ]);
    expect(state.tensors.w).toEqual({ ...written.tensors.w, slots: { exp_avg: values(2, 4), anchor: values(2, 1) } });
    expect(state.tensors.b).toEqual({ ...written.tensors.b, slots: { exp_avg: zeros(1) } });
  });

  test.each<[string, StateDict]>([
    ["rule must be nadam, got adam", { ...written, rule: "adam" }],
    [
      "b is missing",
      { ...written, groups: [{ ...written.groups[0]!, tensors: ["w"] }], tensors: { w: written.tensors.w! } },
    ],
    ["w: exp_avg is missing", { ...written, tensors: { ...written.tensors, w: { ...written.tensors.w!, slots: {} } } }],
    [
      "b: shape must be [1], got []",
      { ...written, tensors: { ...written.tensors, b: { ...written.tensors.b!, shape: [] } } },
    ],
    [
      "b: sum is unknown here",
      { ...written, tensors: { ...written.tensors, b: { ...written.tensors.b!, slots: { sum: zeros(1) } } } },
    ],
  ])("refuses: %s", (message, state) => {
    expect(() => readCheckpoint(writeCheckpoint(state), { like })).toThrow(message);
  });
});

describe("refused, with the place:", () => {
  const one = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
  const with_ = (from: string, to: string) => fileOf(one.replace(from, to), 4);
  const deep = "[".repeat(100_000);

  test.each<[string, Uint8Array]>([
    ["the file has 3 bytes", new Uint8Array(3)],
    ["the header's 100 bytes do not fit", fileOf(`{${" ".repeat(99)}`).subarray(0, 60)],
    ["the header's 18446744073709552000 bytes do not fit", new Uint8Array(32).fill(255)],
    ["{ expected first", fileOf("")],
    ["{ expected first", fileOf(` ${one}`, 4)],
    ["something follows the end", fileOf(`${one}}`, 4)],
    ["a string does not end", fileOf('{"a')],
    ["a string has a control character", fileOf('{"a\u0000":1}')],
    ["a string has a bad escape", fileOf('{"a\\x":1}')],
    ["a string has half a surrogate pair", fileOf('{"\\ud800":1}')],
    ["no valid UTF-8", fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22))],
    ['"a" stands twice', fileOf(`${one.slice(0, -1)},${one.slice(1)}`, 4)],
    [
      '"\\u0061" stands twice'.replace("\\u0061", "a"),
      fileOf(`${one.slice(0, -1)},${one.slice(1).replace("a", "\\u0061")}`, 4),
    ],
    ['"a": dtype stands twice', with_('"shape"', '"dtype":"F32","shape"')],
    ["a key must be one of dtype, shape, data_offsets", with_('"shape"', '"__proto__":1,"shape"')],
    ["must have dtype, shape and data_offsets", with_('"dtype":"F32",', "")],
    ["data_offsets must be two numbers", with_("[0,4]", "[0]")],
    ["dtype must be one of", with_("F32", "F33")],
    ["dtype must be one of", with_("F32", "toString")],
    ["dtype must be one of", with_('"F32"', "3")],
    ["shape must be a whole number", with_("[1]", "[-1]")],
    ["shape must be a whole number", with_("[1]", "[01]")],
    ["shape must be a whole number", with_("[1]", `[${deep}`)],
    ["shape must be a whole number", with_("[1]", '["1"]')],
    ["shape must be a whole number", with_("[1]", "[9007199254740993]")],
    [", expected", with_("[1]", "[1.0]")],
    [", expected", with_("[1]", "[1e0]")],
    ["shape has more than 64 numbers", with_("[1]", `[${Array(100).fill(1)}]`)],
    ["has more than 2^53 bytes", with_("[1]", "[9007199254740991,9007199254740991]")],
    ["data_offsets must be two numbers", with_("[0,4]", "[0,4,4]")],
    ["data_offsets must be a whole number", with_("[0,4]", "[-4,0]")],
    ["F32 [1] takes 4 bytes, data_offsets are [4,0]", with_("[0,4]", "[4,0]")],
    ["F64 [1] takes 8 bytes, data_offsets are [0,4]", with_("F32", "F64")],
    ["data_offsets must be two numbers", with_("[0,4]", "[]")],
    ["data_offsets stands twice", with_("]}", '],"data_offsets":[0,4]}')],
    ['"a" ends at byte 8 of the data, the file has 4', with_("[0,4]", "[4,8]")],
    ['"a" begins at byte 4 of the data, must at 0', fileOf(one.replace("[0,4]", "[4,8]"), 8)],
    ["the tensors take 4 bytes of data, the file has 5", fileOf(one, 5)],
    ['"a" ends at byte 4 of the data, the file has 3', fileOf(one, 3)],
    [
      '"b" begins at byte 0 of the data, must at 4',
      fileOf(`${one.slice(0, -1)},${one.slice(1).replace('"a"', '"b"')}`, 4),
    ],
    ["__metadata__ stands twice", fileOf('{"__metadata__":{},"__metadata__":{}}')],
    ['__metadata__: "a" stands twice', fileOf('{"__metadata__":{"a":"","a":""}}')],
    ['" expected', fileOf('{"__metadata__":{"a":1}}')],
    ['" expected', fileOf(`{"__metadata__":{"a":${deep}`)],
    ["{ expected", fileOf(`{"a":${deep}`)],
    ["a key must be one of dtype, shape, data_offsets", fileOf('{"a":{{"dtype":')],
    ["dtype must be one of", fileOf(`{"a":${'{"dtype":'.repeat(100_000)}`)],
  ])("%s", (message, file) => {
    expect(() => readSafetensors(file)).toThrow(CheckpointError);
    expect(() => readSafetensors(file)).toThrow(message);
  });

  test.each([null, undefined, 3, "file", {}, [1, 2], new Float32Array(4), new DataView(new ArrayBuffer(9))])(
    "%s",
    (file) => {
      expect(() => readSafetensors(file as never)).toThrow("a file must be an ArrayBuffer or a Uint8Array");
      expect(() => readCheckpoint(file as never)).toThrow(CheckpointError);
    },
  );

  const metadata = (changes: Record<string, string | undefined>) => {
    const { tensors, metadata } = readSafetensors(writeCheckpoint(STATE));
    const all = { ...Object.fromEntries(metadata), ...changes };
    return writeSafetensors(
      tensors,
      Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined),
    );
  };
  const groups = (from: string, to: string) => {
    const text = readSafetensors(writeCheckpoint(STATE)).metadata.get("groups")!;
    expect(text).toContain(from);
    return metadata({ groups: text.replace(from, to) });
  };

  test.each<[string, Uint8Array]>([
    ["the metadata have no format", fileOf("{}")],
    ["format must be webgpu-optim/state", metadata({ format: "pt" })],
    ['version must be 1, got "2"', metadata({ version: "2" })],
    ["the metadata have no rule", metadata({ rule: undefined })],
    ["stepsApplied must be a whole number", metadata({ stepsApplied: "-1" })],
    ["something follows the end", metadata({ stepsApplied: "1.5" })],
    ["lossScale must be a finite number", metadata({ lossScale: "1e999" })],
    ["the metadata have no growthTracker", metadata({ growthTracker: undefined })],
    ["[ expected", metadata({ groups: "{}" })],
    ["{ expected", metadata({ groups: deep })],
    ["a group has no lr", groups("[{", '[{"name":""},{')],
    ["lr stands twice", groups('"lr":', '"lr":0,"lr":')],
    ["a key must be one of name", groups('"lr":', '"Lr":0,"lr":')],
    ['"scale" stands twice', groups('"scale":', '"scale":1,"scale":')],
    ['"model.lost" is missing', groups('"scale":', '"lost":1,"scale":')],
    ['"optimizer.scale.mu_product" belongs to no parameter', groups('"scale":7,', "")],
    ['"betas" has more than 16 numbers', groups("[0.9,", `[${Array(16).fill(1)},`)],
    ['"eps" must be a finite number', groups("1e-8", "NaN")],
  ])("%s", (message, file) => {
    expect(() => readCheckpoint(file)).toThrow(CheckpointError);
    expect(() => readCheckpoint(file)).toThrow(message);
  });

  test("tensors of no parameter, of other shapes and types", () => {
    const { tensors, metadata } = readSafetensors(writeCheckpoint(STATE));
    const put = (name: string, tensor: Partial<SafeTensor>) =>
      writeSafetensors(new Map([...tensors, [name, { ...tensors.get("model.scale")!, ...tensor }]]), metadata);
    expect(() => readCheckpoint(put("optimizer.no.exp_avg", {}))).toThrow("belongs to no parameter");
    expect(() => readCheckpoint(put("elsewhere", {}))).toThrow('"elsewhere" belongs to no parameter');
    expect(() => readCheckpoint(put("optimizer.scale.exp_avg", { shape: [1] }))).toThrow("must have shape [], got [1]");
    expect(() => readCheckpoint(put("model.scale", { dtype: "I32" }))).toThrow("must be F32, BF16 or F16, got I32");
  });
});
