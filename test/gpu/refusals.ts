/** What tests of bad input share: rows that say what must be refused and how, and an optimizer that must not notice. */
import { expect } from "vitest";
import {
  adamw,
  createOptimizer,
  OptimError,
  type Optimizer,
  type OptimizerOptions,
  OptionError,
  type ParamSpec,
} from "../../src/index.ts";
import { type CallCounter, countCalls } from "../browser/count-calls.ts";
import { bitsOf } from "./twin-run.ts";

/** What the message must begin with (where and which option), the value it must end with, and the call. */
export type Row = readonly [option: string, value: string, call: () => unknown];

/** What is no number at all. */
export const NO_NUMBERS: readonly unknown[] = ["0.1", null, true, [1], {}, 1n];
/** What no number >= 0 is, or none that float32 has. */
export const NO_RATES: readonly unknown[] = [Number.NaN, Infinity, -Infinity, 1e39, -1e-9, ...NO_NUMBERS];
export const NO_BOOLEANS: readonly unknown[] = [0, 1, "true", null, Number.NaN, []];
export const NO_TEXTS: readonly unknown[] = [3, null, {}, [], true];
export const NO_OBJECTS: readonly unknown[] = [null, 3, "x", true, [1]];
export const NO_LISTS: readonly unknown[] = [null, {}, "w", 3];
export const NO_COUNTS: readonly unknown[] = [0, -1, 1.5, Number.NaN, Infinity, "2", {}];
export const NO_MATCHES: readonly unknown[] = [undefined, null, 3, {}, [], [3], [null], ["w", 3], "", [""]];

/** A value as messages show it. */
export function shown(value: unknown): string {
  if (typeof value === "function") return `function ${value.name}`;
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "string" || (typeof value === "object" && value !== null)
    ? JSON.stringify(value)
    : String(value);
}

/** One row for each bad value of an option. */
export function each(option: string, values: readonly unknown[], call: (value: never) => unknown): Row[] {
  return values.map((value) => [option, shown(value), () => call(value as never)]);
}

/** The error that a call throws, or that its promise is rejected with. */
export async function failureOf(call: () => unknown): Promise<OptimError> {
  let returned: unknown;
  try {
    returned = await call();
  } catch (error) {
    expect(error).toBeInstanceOf(OptimError);
    return error as OptimError;
  }
  (returned as { destroy?: () => void } | undefined)?.destroy?.();
  throw new Error(`nothing was refused: the call returned ${String(returned)}`);
}

/** A promise's outcome; a failure if it does not settle. */
export async function settled<T>(what: string, promise: Promise<T>): Promise<PromiseSettledResult<T>> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`${what} has not settled after 10 s`)), 10_000);
  });
  // A rejection of `late` means that `what` hangs, and must not pass for one of `what`.
  const outcome = Promise.allSettled([promise]).then(([result]) => result!);
  return Promise.race([outcome, late]);
}

/** Whether a message names the option first and ends with the value. */
export function expectNamed({ message }: Error, option: string, value: string): void {
  expect(message.startsWith(`${option} `), `"${message}" begins with "${option}"`).toBe(true);
  expect(message.endsWith(`, got ${value}`), `"${message}" ends with "got ${value}"`).toBe(true);
}

/** Options of groups, whichever way they come: `at` is how messages begin, `give` hands them over. */
export function groupRows(at: string, give: (options: Record<string, unknown>) => unknown): Row[] {
  const results = { NaN: () => Number.NaN, "-1": () => -1, '"0.1"': () => "0.1", undefined: () => undefined };
  const rates = ["lr", "weightDecay", "l1"];
  return [
    ...[...rates, "lrScale"].flatMap((option) => each(`${at}: ${option}`, NO_RATES, (v) => give({ [option]: v }))),
    ...rates.flatMap((option) =>
      Object.entries(results).map(
        ([value, schedule]): Row => [`${at}: ${option} at step 0`, value, () => give({ [option]: schedule })],
      ),
    ),
    ...each(`${at}: clipValue`, [Number.NaN, -1, -Infinity, "1", null], (clipValue) => give({ clipValue })),
    ...each(`${at}: referenceLr`, [0, Number.NaN, Infinity, -1, "1", null], (referenceLr) => give({ referenceLr })),
    ...each(`${at}: decayMode`, ["l2", "Decoupled", "", null, 1, []], (decayMode) => give({ decayMode })),
    ...each(`${at}: cautious`, NO_BOOLEANS, (cautious) => give({ decayMode: "decoupled", cautious })),
    ...each(`${at}: toward`, ["start", null, 3, true], (toward) => give({ toward })),
    ...each(`${at}: frozen`, NO_BOOLEANS, (frozen) => give({ frozen })),
    [`${at}: cautious`, "true", () => give({ decayMode: "coupled", cautious: true })],
  ];
}

/** Whoever calls, with buffers of their own: those must be all that is left of a call that failed. */
export class Caller {
  readonly #device: GPUDevice;
  readonly #counter: CallCounter;
  readonly #buffers: GPUBuffer[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#counter = countCalls(device);
  }

  /** A buffer for the next call; default 1024 bytes for storage. */
  buffer(options: Partial<GPUBufferDescriptor> = {}): GPUBuffer {
    const made = this.#device.createBuffer({ size: 1024, usage: GPUBufferUsage.STORAGE, ...options });
    this.#buffers.push(made);
    return made;
  }

  /** The error of a call that must leave nothing behind, and must not even have made anything where an option is wrong. */
  async refusal(call: () => unknown): Promise<Error> {
    const before = this.#counter.read();
    try {
      const error = await failureOf(call);
      const made = this.#counter.read().createBuffer - before.createBuffer;
      if (error instanceof OptionError) expect(made, "buffers made").toBe(this.#buffers.length);
      return error;
    } finally {
      for (const buffer of this.#buffers.splice(0)) buffer.destroy();
      const { liveBuffers, liveBytes } = this.#counter.read();
      expect.soft([liveBuffers, liveBytes], "buffers left").toEqual([before.liveBuffers, before.liveBytes]);
    }
  }

  leave(): void {
    this.#counter.stop();
  }
}

export const USAGE = 0x80 | 0x4 | 0x8; // STORAGE, COPY_SRC, COPY_DST

/** Values that are not zero anywhere. */
export const values = (size: number, seed: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(1 + seed + 7 * i));

/** Everything that makes GPU objects. */
export const ample = {
  label: "mine",
  rule: adamw({ amsgrad: true }),
  params: [
    { name: "w", shape: [5, 7], data: values(35, 0) },
    { name: "b", shape: [9] },
  ],
  clip: { globalNorm: 1, value: 1 },
  lossScale: {},
  accumulate: 2,
  monitor: { every: 1 },
  decayMode: "decoupled",
  cautious: true,
  toward: "initial",
} satisfies OptimizerOptions;

/** Two equal optimizers, one of which is told bad things between its steps. */
export class Pair {
  readonly subject: Optimizer;
  readonly #twin: Optimizer;
  readonly #sizes: Readonly<Record<string, number>> = { w: 35, "w.bias": 9, a: 6, b: 8 };
  #steps = 0;

  private constructor(subject: Optimizer, twin: Optimizer) {
    this.subject = subject;
    this.#twin = twin;
  }

  static async make(device: GPUDevice): Promise<Pair> {
    const make = (): Promise<Optimizer> => {
      const slice = () => ({ buffer: device.createBuffer({ size: 32, usage: USAGE }) });
      const params: ParamSpec[] = [
        { name: "w", shape: [5, 7], data: values(35, 0) },
        { name: "w.bias", shape: [9], data: values(9, 1) },
        { name: "a", shape: [6], param: slice(), grad: slice() },
        { name: "b", shape: [2, 4], param: slice(), grad: slice() },
      ];
      return createOptimizer(device, {
        rule: adamw({ betas: [0.8, 0.95] }),
        params,
        lr: (step) => 0.01 / (1 + step),
        weightDecay: 0.1,
        groups: [{ match: "*.bias", weightDecay: 0 }],
        clip: { globalNorm: 1 },
        lossScale: { initial: 4, growthInterval: 3 },
        monitor: { every: 2 },
      });
    };
    const pair = new Pair(await make(), await make());
    for (const optimizer of [pair.subject, pair.#twin]) {
      optimizer.writeParam("a", values(6, 2));
      optimizer.writeParam("b", values(8, 3));
    }
    return pair;
  }

  /** Steps both, and compares everything they have, bit for bit. */
  async expectUnharmed(): Promise<void> {
    const state = async (optimizer: Optimizer) => bitsOf(await optimizer.stateDict());
    expect(await state(this.subject)).toEqual(await state(this.#twin));
    this.#steps += 1;
    for (const optimizer of [this.subject, this.#twin]) {
      for (const [name, size] of Object.entries(this.#sizes)) optimizer.writeGrad(name, values(size, this.#steps));
      optimizer.step();
    }
    const [got, expected] = [await state(this.subject), await state(this.#twin)];
    expect(got).toEqual(expected);
    expect(got.stepsApplied).toBe(this.#steps);
    expect(this.subject.table()).toBe(this.#twin.table());
  }

  destroy(): void {
    for (const optimizer of [this.subject, this.#twin]) {
      optimizer.destroy();
      for (const { param, grad } of optimizer.tensors) for (const { buffer } of [param, grad]) buffer.destroy();
    }
  }
}
