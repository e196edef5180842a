/**
 * Bad input to everything that makes something. Each row is refused by a typed error that begins with the option and ends with
 * the value; nothing is made. Bad rules are in bad-rules.test.ts, bad calls of a living
 * optimizer in bad-calls.test.ts, bad schedules in test/cpu.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  adamw,
  createLossScaler,
  createOptimizer,
  DeviceError,
  decayGroups,
  type Optimizer,
  type OptimizerOptions,
  OptionError,
  sgd,
  type Tuning,
} from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import {
  Caller,
  each,
  expectNamed,
  groupRows,
  NO_BOOLEANS,
  NO_COUNTS,
  NO_LISTS,
  NO_MATCHES,
  NO_OBJECTS,
  NO_RATES,
  NO_TEXTS,
  type Row,
} from "./refusals.ts";

const { NaN: NAN, POSITIVE_INFINITY: INF } = Number;

let caller: Caller;
let device: GPUDevice;
let foreign: GPUDevice;

beforeAll(async () => {
  device = await testDevice();
  foreign = await testDevice({ label: "foreign" });
  caller = new Caller(device);
});

afterAll(() => caller.leave());

const buffer = (options?: Partial<GPUBufferDescriptor>) => caller.buffer(options);
const create = (options: Record<string, unknown>, tuning?: unknown): Promise<Optimizer> =>
  createOptimizer(
    device,
    { rule: sgd(), params: [{ name: "w", shape: [4] }], ...options } as unknown as OptimizerOptions,
    tuning as Tuning,
  );

const commonRows: Row[] = [
  ...groupRows("sgd", (options) => create(options)),
  ["sgd: referenceLr", "undefined", () => create({ decayMode: "scheduled", lr: (step: number) => step })],
  ["createOptimizer: betas", "[0.9,0.99]", () => create({ rule: adamw(), betas: [0.9, 0.99] })],
  ["createOptimizer: weigthDecay", "0.1", () => create({ weigthDecay: 0.1 })],
  ["createOptimizer: learningRate", "0.1", () => create({ learningRate: 0.1 })],
  ["createOptimizer: weight_decay", "0.1", () => create({ weight_decay: 0.1 })],
  ["createOptimizer: Params", "[]", () => create({ Params: [] })],
  ["createOptimizer: toward: w", "undefined", () => create({ decayMode: "decoupled", toward: {} })],
  ["createOptimizer: toward: w", "[1,2]", () => create({ decayMode: "decoupled", toward: { w: [1, 2] } })],
  [
    "createOptimizer: toward: w",
    "Float32Array(12 bytes)",
    () => create({ decayMode: "decoupled", toward: { w: new Float32Array(3) } }),
  ],
];

const groupsOf = (...groups: unknown[]) => create({ groups });

const groupsRows: Row[] = [
  ...each("sgd: groups", NO_LISTS, (groups) => create({ groups })),
  ...each("sgd: groups[0]", [null, 3, "w", undefined], (spec) => groupsOf(spec)),
  ...each("sgd: groups[0].match", NO_MATCHES, (match) => groupsOf({ match })),
  ...each("sgd: groups[1].name", ["", ...NO_TEXTS], (name) => groupsOf({ match: "a" }, { match: "w", name })),
  ["sgd: groups[1].name", '"w"', () => groupsOf({ match: "w" }, { match: "w" })],
  ["sgd: groups[0].name", '"default"', () => groupsOf({ match: "*", name: "default" })],
  ["sgd: groups[1].name", '"/w/"', () => groupsOf({ match: /w/ }, { match: /w/ })],
  ...groupRows("sgd: groups[0]", (options) => groupsOf({ match: "w", ...options })),
  ["sgd: groups[0]: weigthDecay", "0.1", () => groupsOf({ match: "w", weigthDecay: 0.1 })],
  ["sgd: groups[0]: momentum", "-1", () => groupsOf({ match: "w", momentum: -1 })],
  ["sgd: groups[0]: betas", "[0.9,0.99]", () => groupsOf({ match: "w", betas: [0.9, 0.99] })],
  ["sgd: groups[0]: nesterov", '{"momentum":0,"dampening":0}', () => groupsOf({ match: "w", nesterov: true })],
  ["adamw: groups[0]: betas[1]", "1", () => create({ rule: adamw(), groups: [{ match: "w", betas: [0.9, 1] }] })],
];

const paramsOf = (...params: unknown[]) => create({ params });
const w = { name: "w", shape: [4] };
const own = () => ({ param: { buffer: buffer() }, grad: { buffer: buffer() } });
const withData = (data: unknown) => paramsOf({ ...w, data });

const paramRows: Row[] = [
  ...each("sgd: params", [...NO_LISTS, [], undefined], (params) => create({ params })),
  ...each("sgd: params[0]", [null, 3, "w", [1], undefined], (param) => paramsOf(param)),
  ...each("sgd: params[0].name", [...NO_TEXTS, "", undefined], (name) => paramsOf({ name, shape: [4] })),
  ["sgd: params[1].name", '"w"', () => paramsOf(w, { name: "w", shape: [5] })],
  ["sgd: params[0].dtype", '"f16"', () => paramsOf({ ...w, dtype: "f16" })],
  ...each(
    "sgd: params[0].shape (w)",
    [undefined, null, 4, "4", [-1], [1.5], ["4"], [4, null], [2 ** 31], [65536, 65536], [2 ** 53]],
    (shape) => paramsOf({ name: "w", shape }),
  ),
  ["sgd: params[0].shape (w)", "[NaN]", () => paramsOf({ name: "w", shape: [NAN] })],
  ["sgd: params[0].shape (w)", "[2,Infinity]", () => paramsOf({ name: "w", shape: [2, INF] })],
  ...each("sgd: params[0].data (w)", [[1, 2, 3, 4], null, 0, "1234"], withData),
  ["sgd: params[0].data (w)", "Float32Array(12 bytes)", () => withData(new Float32Array(3))],
  ["sgd: params[0].data (w)", "Float32Array(20 bytes)", () => withData(new Float32Array(5))],
  ["sgd: params[0].data (w)", "Float64Array(32 bytes)", () => withData(new Float64Array(4))],
  ["sgd: params[0].data (w)", "Float32Array(16 bytes)", () => paramsOf({ ...w, ...own(), data: new Float32Array(4) })],
];

const bufferRows: Row[] = [
  ...(["param", "grad"] as const).flatMap((which): Row[] => {
    const at = `sgd: params[0].${which} (w)`;
    const attached = (slice: unknown) => paramsOf({ ...w, ...own(), [which]: slice });
    return [
      ...each(at, [...NO_OBJECTS, undefined], attached),
      ...each(`${at}.buffer`, [undefined, null, {}, 3, "b"], (b) => attached({ buffer: b })),
      ...each(`${at}.offset`, [-256, 4, 128, 1.5, NAN, INF, "0", null], (offset) =>
        attached({ buffer: buffer(), offset }),
      ),
      ...each(`${at}.size`, [0, 12, -16, NAN, 16.5, "16", null], (size) => attached({ buffer: buffer(), size })),
      [`${at}.ofset`, "256", () => attached({ buffer: buffer(), ofset: 256 })],
      [at, "1024", () => attached({ buffer: buffer(), offset: 1024 })],
      [at, "1024", () => attached({ buffer: buffer(), size: 2048 })],
      [at, "1024", () => attached({ buffer: buffer(), offset: 256, size: 1024 })],
      [at, "8", () => attached({ buffer: buffer({ size: 8 }) })],
      [`${at}.buffer`, "12", () => attached({ buffer: buffer({ usage: 12 /* COPY_SRC, COPY_DST */ }) })],
      [`${at}.buffer`, "64", () => attached({ buffer: buffer({ usage: GPUBufferUsage.UNIFORM }) })],
    ];
  }),
  [
    "sgd: grad of w",
    "0",
    () => {
      const both = { buffer: buffer() };
      return paramsOf({ ...w, param: both, grad: both });
    },
  ],
  [
    "sgd: param of v",
    "256",
    () => {
      const shared = buffer();
      return paramsOf(
        { name: "w", shape: [100], ...own(), param: { buffer: shared } },
        { name: "v", shape: [4], ...own(), param: { buffer: shared, offset: 256 } },
      );
    },
  ],
  [
    "sgd: grad of v",
    "0",
    () => {
      const shared = buffer();
      return paramsOf(
        { name: "w", shape: [100], ...own(), param: { buffer: shared } },
        { name: "v", shape: [4], ...own(), grad: { buffer: shared } },
      );
    },
  ],
];

const NO_POSITIVES: readonly unknown[] = [0, NAN, -1, INF, "1", null];
const clipped = (clip: unknown) => create({ clip });
const scaled = (lossScale: unknown) => create({ lossScale });
const accumulated = (accumulate: unknown) => create({ accumulate });
const monitored = (monitor: unknown) => create({ monitor });
const notCalled = adamw.bind(null);
const plain = { rule: sgd(), params: [w] };

const optionRows: Row[] = [
  ...each("createOptimizer: options", NO_OBJECTS, (options) => createOptimizer(device, options)),
  ...each("createOptimizer: device", [undefined, null, 3, {}], (d) => createOptimizer(d, plain)),
  ["createOptimizer: device", "Promise", () => createOptimizer(Promise.resolve(device) as never, plain)],
  ["createOptimizer: device", "GPUQueue", () => createOptimizer(device.queue as never, plain)],
  ...each("createOptimizer: rule", [undefined, null, "adamw", {}, 3, notCalled], (rule) => create({ rule })),
  ...each("sgd: clip", NO_OBJECTS, clipped),
  ...each("sgd: clip.globalNorm", NO_POSITIVES, (globalNorm) => clipped({ globalNorm })),
  ...each("sgd: clip.tensorNorm", NO_POSITIVES, (tensorNorm) => clipped({ tensorNorm })),
  ...each("sgd: clip.normType", [0, 0.5, 13, NAN, -2, -INF, "2", null], (normType) => clipped({ normType })),
  ...each("sgd: clip.value", [NAN, -1, INF, "1", null], (value) => clipped({ value })),
  ["sgd: clip.maxNorm", "1", () => clipped({ maxNorm: 1 })],
  ["sgd: clip.normType", "2", () => clipped({ normType: 2 })],
  ["sgd: clip.normType", "Infinity", () => clipped({ normType: INF, value: 1 })],
  ["sgd: clip.eps", "0.001", () => clipped({ eps: 1e-3, adaptive: { factor: 0.01 } })],
  ...(["lookahead", "ema", "swa", "storage"] as const).flatMap((option) =>
    each(`sgd: ${option}`, NO_OBJECTS, (given) => create({ [option]: given })),
  ),
  ...each("sgd: ema", [null], (ema) => create({ ema, swa: undefined })),
  ...each("sgd: skipNonFinite", NO_BOOLEANS, (skipNonFinite) => create({ skipNonFinite })),
  ...each("sgd: lossScale", [0, -1, 1e38, 1e39, NAN, INF], scaled),
  ...each("sgd: lossScale", [null, "dynamic", "", true, false], scaled),
  ...each("lossScale: options", [[], [65536]], scaled),
  ...each("lossScale: initial", [1e39, ...NO_POSITIVES], (initial) => scaled({ initial })),
  ...each("lossScale: growthFactor", [0.5, 1, ...NO_POSITIVES], (growthFactor) => scaled({ growthFactor })),
  ...each("lossScale: backoffFactor", [1, 2, ...NO_POSITIVES], (backoffFactor) => scaled({ backoffFactor })),
  ...each("lossScale: growthInterval", [1.5, ...NO_POSITIVES], (growthInterval) => scaled({ growthInterval })),
  ["lossScale: init", "4", () => scaled({ init: 4 })],
  ...each("sgd: accumulate", [null, "2", true, [2]], accumulated),
  ...each("sgd: accumulate.microBatches", [0, -1, 1.5, NAN, INF, 2 ** 25], accumulated),
  ...each("sgd: accumulate.microBatches", [...NO_COUNTS, null, undefined], (n) => accumulated({ microBatches: n })),
  ...each("sgd: accumulate.reduce", ["avg", null, 1], (reduce) => accumulated({ microBatches: 2, reduce })),
  ["sgd: accumulate.steps", "2", () => accumulated({ microBatches: 2, steps: 2 })],
  ...each("sgd: monitor", NO_OBJECTS, monitored),
  ...each("sgd: monitor.every", [...NO_COUNTS, null], (every) => monitored({ every })),
  ["sgd: monitor.interval", "2", () => monitored({ interval: 2 })],
  ...each("sgd: monitor.timing", [1, "yes", null], (timing) => monitored({ timing })),
  ...each("sgd: label", NO_TEXTS, (label) => create({ label })),
  ...each("createOptimizer: tuning", NO_OBJECTS, (tuning) => create({}, tuning)),
  ...each("createOptimizer: tuning.chunk", [0, -64, 63, 100, NAN, INF, "64", null], (chunk) => create({}, { chunk })),
  ["createOptimizer: tuning.chunks", "64", () => create({}, { chunks: 64 })],
  ...each("createLossScaler: device", [undefined, null, 3, {}], (d) => createLossScaler(d)),
  ...each("lossScale: options", NO_OBJECTS, (options) => createLossScaler(device, options)),
  ...each("lossScale: initial", NO_POSITIVES, (initial) => createLossScaler(device, { initial })),
  ...each("decayGroups: weightDecay", [undefined, ...NO_RATES], (weightDecay) => decayGroups([], { weightDecay })),
  ...each("decayGroups: params", NO_LISTS, (params) => decayGroups(params, { weightDecay: 0.1 })),
  ...each("decayGroups: params[0]", [null, 3, {}, { name: "w" }, { shape: [] }], (param) =>
    decayGroups([param], { weightDecay: 0.1 }),
  ),
  ...each("decayGroups: options", [undefined, ...NO_OBJECTS], (options) => decayGroups([], options)),
  ["decayGroups: wd", "0.1", () => decayGroups([], { wd: 0.1 } as never)],
];

const TABLES = { commonRows, groupsRows, paramRows, bufferRows, optionRows };

describe.each(Object.entries(TABLES))("%s", (_, rows) => {
  test.each(rows)("%s, %s", async (option, value, call) => {
    const error = await caller.refusal(call);
    expect(error).toBeInstanceOf(OptionError);
    expectNamed(error, option, value);
  });
});

/** What only the device can tell. */
const deviceRows: [RegExp, () => unknown][] = [
  [
    /^createOptimizer: the device refused a buffer .*destroyed/,
    () => {
      const dead = buffer();
      dead.destroy();
      return paramsOf({ ...w, ...own(), param: { buffer: dead } });
    },
  ],
  [
    /^createOptimizer: the device refused a buffer .*another device/,
    () => {
      const theirs = foreign.createBuffer({ label: "theirs", size: 1024, usage: GPUBufferUsage.STORAGE });
      return paramsOf({ ...w, ...own(), grad: { buffer: theirs } });
    },
  ],
  [
    /^createOptimizer: the device refused a buffer .*mapped/,
    () => paramsOf({ ...w, ...own(), grad: { buffer: buffer({ mappedAtCreation: true }) } }),
  ],
  [
    /^createOptimizer: the device refused a buffer .*another device/,
    async () => {
      const scaler = await createLossScaler(foreign);
      return create({ lossScale: scaler }).finally(() => scaler.destroy());
    },
  ],
  [
    /^createOptimizer: the device refused a buffer .*destroyed/,
    async () => {
      const scaler = await createLossScaler(device);
      scaler.destroy();
      return create({ lossScale: scaler });
    },
  ],
];

test.each(deviceRows)("%s", async (message, call) => {
  const error = await caller.refusal(call);
  expect(error).toBeInstanceOf(DeviceError);
  expect(error.message).toMatch(message);
});

test("there are at least 500 rows", () => {
  expect(Object.values(TABLES).flat().length + deviceRows.length).toBeGreaterThanOrEqual(500);
});
