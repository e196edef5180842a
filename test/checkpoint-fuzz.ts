/**
 * Reads broken checkpoint files, and tells what came of it and what it allocated. In a process of its own, so that nothing else
 * allocates: `node --expose-gc --import tsx test/checkpoint-fuzz.ts COUNT`.
 */
import { CheckpointError, readCheckpoint, type StateDict, writeCheckpoint } from "../src/checkpoint/index.ts";
import { mutations, partsOf } from "./checkpoint-mutations.ts";
import { generate } from "./reference/prng.ts";

export interface FuzzReport {
  /** By kind, how many files were read and how many refused. */
  readonly kinds: Record<string, { read: number; refused: number }>;
  /** What went wrong. */
  readonly faults: string[];
  /** The most that a file made the reader allocate, garbage included, less the file's own size; in bytes. */
  readonly mostBeyondSize: number;
  readonly mostFrom: string;
  /** The least that was measured: below 0 the garbage collector has spoilt a measurement. */
  readonly least: number;
}

const tensor = (shape: number[], stream: number, step: number) => {
  const values = (slot: number) =>
    generate(
      { kind: "normal", scale: 1 },
      9,
      8 * stream + slot,
      0,
      shape.reduce((a, b) => a * b, 1),
    );
  return { shape, step, param: values(0), slots: { exp_avg: values(1), exp_avg_sq: values(2) } };
};

/** What all the files are made from. */
export const BASE: StateDict = {
  format: "webgpu-optim/state",
  version: 1,
  rule: "adamw",
  stepsApplied: 40,
  stepsSkipped: 2,
  lossScale: { scale: 65536, growthTracker: 17 },
  groups: ["weights", "biases"].map((name, g) => ({
    name,
    tensors: g === 0 ? ["fc1.weight", "fc2.weight", "scale"] : ["fc1.bias", "fc2.bias"],
    lr: 3e-4,
    weightDecay: 0.1 * g,
    decayMode: "decoupled",
    hyper: { betas: [0.9, 0.999], eps: 1e-8, amsgrad: false, maximize: false },
    decayDose: 1e-3,
  })),
  tensors: {
    "fc1.weight": tensor([16, 24], 1, 40),
    "fc1.bias": tensor([16], 2, 40),
    "fc2.weight": tensor([10, 16], 3, 38),
    "fc2.bias": tensor([10], 4, 0),
    scale: { ...tensor([], 5, 1), scalars: { mu_product: 0.25 } },
  },
};

const words = (data: ArrayBufferView): string =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength).reduce((text, x) => text + String.fromCharCode(x), "");

/** Everything in a state, arrays by their bits. */
function bitsOf({ tensors, ...rest }: StateDict): string {
  const all = Object.entries(tensors).map(([name, { param, slots, ...more }]) => [
    name,
    {
      ...more,
      param: words(param),
      slots: Object.entries(slots)
        .map(([slot, data]) => [slot, words(data)])
        .sort(),
    },
  ]);
  return JSON.stringify([rest, all.sort()]);
}

/** What is wrong with a state by what JSON.parse finds in the file, which has been read already. */
function disagreement(state: StateDict, file: Uint8Array): string | undefined {
  const { header, data } = partsOf(file);
  const { __metadata__: metadata, ...entries } = JSON.parse(header);
  const groups = JSON.parse(metadata.groups);
  const steps: Record<string, number> = Object.assign({}, ...groups.map((group: { tensors: object }) => group.tensors));
  const seen = new Set<string>();
  const same = (key: string, shape: readonly number[], values: Float32Array | undefined): boolean => {
    const { shape: own, data_offsets: offsets } = entries[key] ?? { data_offsets: [] };
    seen.add(key);
    return (
      values !== undefined && `${own}` === `${shape}` && words(values) === words(data.slice(offsets[0], offsets[1]))
    );
  };
  for (const [name, { step, shape, param, slots, scalars }] of Object.entries(state.tensors)) {
    if (step !== steps[name]) return `${name}: step`;
    if (!same(`model.${name}`, shape, param)) return `${name}: param`;
    for (const [slot, values] of Object.entries(slots))
      if (!same(`optimizer.${name}.${slot}`, shape, values)) return `${name}: ${slot}`;
    for (const key of Object.keys(scalars ?? {})) seen.add(`optimizer.${name}.${key}`);
  }
  if (Object.keys(steps).length !== Object.keys(state.tensors).length) return "names";
  if (Object.keys(entries).some((key) => !seen.has(key) && !key.startsWith("model."))) return "lost tensors";
  const plain = groups.map((group: { tensors: object }) => ({ ...group, tensors: Object.keys(group.tensors) }));
  const sorted = (value: unknown) => JSON.stringify(value, (_, v) => (isObject(v) ? Object.entries(v).sort() : v));
  if (sorted(plain) !== sorted(state.groups)) return "groups";
  if (state.rule !== metadata.rule || String(state.stepsApplied) !== metadata.stepsApplied) return "rule or steps";
  return undefined;
}

const isObject = (v: unknown): v is object => typeof v === "object" && v !== null && !Array.isArray(v);

function run(count: number, collect: () => void): FuzzReport {
  const base = writeCheckpoint(BASE);
  const expected = bitsOf(readCheckpoint(base).state);
  const report = { kinds: {}, faults: [], mostBeyondSize: -Infinity, mostFrom: "", least: Infinity } as {
    -readonly [K in keyof FuzzReport]: FuzzReport[K];
  };
  const used = (): number => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  let n = 0;
  for (const { kind, file, must } of mutations(base, count)) {
    // Before the collector comes by itself, in the middle of the count.
    if (n++ % 16 === 0 || file.length > 2 ** 17) collect();
    let state: StateDict | undefined;
    let failure: unknown;
    const before = used();
    try {
      state = readCheckpoint(file).state;
    } catch (error) {
      failure = error;
    }
    const allocated = used() - before;
    report.kinds[kind] ??= { read: 0, refused: 0 };
    report.kinds[kind][state ? "read" : "refused"]++;
    report.least = Math.min(report.least, allocated);
    if (allocated - file.length > report.mostBeyondSize) {
      report.mostBeyondSize = allocated - file.length;
      report.mostFrom = `${kind}, ${file.length} bytes`;
    }
    const fault = (what: string) => report.faults.push(`${n - 1} ${kind}: ${what}`);
    if (!state && !(failure instanceof CheckpointError)) fault(String(failure));
    if (!state && must === "read") fault(`refused: ${String(failure)}`);
    if (state && must === "fail") fault("was read");
    if (state && must !== "agree" && must !== "fail" && bitsOf(state) !== expected) fault("was read as something else");
    const wrong = state && must === "agree" && disagreement(state, file);
    if (wrong) fault(wrong);
  }
  return report;
}

const { gc } = globalThis as { gc?: () => void };
if (gc) console.log(JSON.stringify(run(Number(process.argv[2]), gc)));
