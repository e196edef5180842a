/** A small training problem, as the engine and as its float64 twins see it, and how the two are compared. */

import { expect } from "vitest";
import {
  createOptimizer,
  type GroupOptions,
  type Optimizer,
  type OptimizerOptions,
  type ParamSpec,
  type StateDict,
  type Tuning,
} from "../../src/index.ts";
import { Comparison, HARDWARE, SOFTWARE } from "../conformance/compare.ts";
import { elementCount, generate, gradient, initialValues, type ValueSpec, words } from "../reference/prng.ts";
import { Twin, type TwinGroup, type TwinOptions, type TwinReport } from "../reference/twin.ts";
import type { Random, RowOptions, RuleRow } from "../rules-table.ts";

/** Options of a group that engine and twin share. */
export type SharedGroup = Pick<
  GroupOptions,
  "lr" | "lrScale" | "referenceLr" | "weightDecay" | "decayMode" | "cautious" | "toward" | "l1" | "clipValue" | "frozen"
> &
  RowOptions;

export interface Problem {
  readonly row: Pick<RuleRow, "rule" | "twin" | "options">;
  readonly seed?: number;
  readonly shapes: readonly (readonly number[])[];
  /** Without groups all tensors are in `default`. */
  readonly groups?: readonly SharedGroup[];
  /** Group of each tensor; by default tensor k is in group k modulo their number. */
  readonly split?: readonly number[];
  readonly options?: Partial<Omit<OptimizerOptions, "rule" | "params" | "groups">>;
  /** Values of the gradients by tensor; default normal. */
  readonly gradient?: (tensor: number) => ValueSpec;
  readonly tuning?: Tuning;
  /** Tensors in the caller's buffers; default the arena. */
  readonly params?: readonly ParamSpec[];
}

const SEED = 20_250_131;
const NORMAL: ValueSpec = { kind: "normal", scale: 1 };

/** Tensor sizes on both sides of every limit of the kernels, for chunks of 64 elements. */
export const CHUNK = 64;
export const SIZES = [0, 1, 3, 4, 5, CHUNK - 4, 63, CHUNK, 65, CHUNK + 4, 255, 256, 257];

export const nameOf = (tensor: number) => `t${tensor}`;
const groupOf = ({ groups, split }: Problem, tensor: number) => split?.[tensor] ?? tensor % (groups?.length ?? 1);

/** A reproducible sequence of numbers in [0, 1). */
export function randomFrom(seed: number): Random {
  let i = 0;
  return () => words(seed, 0x5000, 0, i++).w1 / 2 ** 32;
}

export function initialData({ seed = SEED, shapes }: Problem): Float32Array[] {
  return shapes.map((shape, k) => initialValues(NORMAL, seed, k, elementCount(shape)));
}

/** Gradients of a step, counted from 1. */
export function gradientsAt({ seed = SEED, shapes, gradient: spec = () => NORMAL }: Problem, step: number) {
  return shapes.map((shape, k) => gradient(spec(k), seed, k, step, elementCount(shape)));
}

/** The problem's optimizer. It is not destroyed by itself. */
export function start(device: GPUDevice, problem: Problem): Promise<Optimizer> {
  const { row, shapes, groups = [], options = {}, tuning } = problem;
  const data = initialData(problem);
  const params = problem.params ?? shapes.map((shape, k) => ({ name: nameOf(k), shape, data: data[k]! }));
  const specs = groups.map((group, g) => ({
    ...group,
    name: `g${g}`,
    match: ({ name }: { name: string }) => groupOf(problem, Number(name.slice(1))) === g,
  }));
  return createOptimizer(device, { ...options, rule: row.rule, params, groups: specs }, tuning);
}

/** Writes gradients and steps; `null` stands for a tensor without a gradient. */
export function stepWith(optimizer: Optimizer, grads: readonly (Float32Array | null)[]): void {
  grads.forEach((grad, k) => {
    if (grad) optimizer.writeGrad(nameOf(k), grad);
    else optimizer.withoutGrad(nameOf(k));
  });
  optimizer.step();
}

/**
 * The twin in float64, and four more of it for the error to be expected: their parameters and state are rounded to float32
 * after every step, and what iterations in between give; for three of them every input is off by half a unit in the last place.
 */
export class Twins {
  readonly truth: Twin;
  readonly #initial: readonly Float32Array[];
  readonly #rounded: { readonly twin: Twin; readonly off: (x: ArrayLike<number>) => Float64Array }[];

  constructor(problem: Problem, more: Partial<TwinOptions> = {}, runs = 4) {
    const data = initialData(problem);
    this.#initial = data;
    this.truth = makeTwin(problem, data, more);
    this.#rounded = Array.from({ length: runs }, (_, run) => {
      const random = randomFrom(run);
      const off = (x: ArrayLike<number>) =>
        Float64Array.from(x, (v) => (run === 0 ? v : v * (1 + (random() < 0.5 ? 1 : -1) * 2 ** -24)));
      return { twin: makeTwin(problem, data.map(off), { ...more, round: Math.fround }), off };
    });
  }

  step(grads: readonly (ArrayLike<number> | null)[]): TwinReport {
    for (const { twin, off } of this.#rounded) {
      twin.step(grads.map((grad) => grad && off(grad)));
      grads.forEach((_, k) => {
        for (const values of [twin.param(k), ...Object.values(twin.state(k).slots)]) {
          values.forEach((x, i) => {
            values[i] = Math.fround(x);
          });
        }
      });
    }
    return this.truth.step(grads);
  }

  setGroup(index: number, options: TwinGroup & RowOptions): void {
    this.forEach((twin) => {
      twin.setGroup(index, options);
    });
  }

  /** The truth and the others. */
  forEach(visit: (twin: Twin) => void): void {
    for (const twin of [this.truth, ...this.#rounded.map((r) => r.twin)]) visit(twin);
  }

  /** Compares parameter, count and every slot of every tensor. */
  compare(comparison: Comparison, state: StateDict, at: string): void {
    Object.values(state.tensors).forEach(({ param, slots, step, numbers = {}, scalars = {} }, k) => {
      const expected = this.truth.state(k);
      comparison.remember(nameOf(k), this.#initial[k]!);
      comparison.equal(`${at} ${nameOf(k)}.step`, step, expected.step);
      comparison.tensor(
        { key: nameOf(k), name: "param", at },
        param,
        this.#checked((twin) => twin.param(k)),
      );
      for (const [name, values] of Object.entries(slots)) {
        if (name === "anchor") continue;
        // A twin's slots appear with the first gradient.
        const own = (twin: Twin) => twin.state(k).slots[name] ?? new Float64Array(values.length);
        comparison.tensor({ key: `${nameOf(k)}.${name}`, name, at }, values, this.#checked(own));
      }
      for (const [name, value] of Object.entries(numbers)) {
        if (expected.slots[name] === undefined) continue;
        const own = (twin: Twin) => twin.state(k).slots[name] ?? new Float64Array(1);
        comparison.tensor({ key: `${nameOf(k)}.${name}`, name, at }, [value], this.#checked(own));
      }
      for (const [name, value] of Object.entries(scalars)) {
        const own = expected.slots[name]?.[0];
        if (step > 0 && own !== undefined) comparison.number(`${at} ${nameOf(k)}.${name}`, value, own);
      }
      const missing = Object.keys(expected.slots).filter((name) => !(name in { ...slots, ...numbers, ...scalars }));
      if (missing.length > 0) comparison.fail(`${at} ${nameOf(k)} must have the slots ${missing}`);
    });
  }

  #checked(valuesOf: (twin: Twin) => Float64Array) {
    const values = valuesOf(this.truth);
    const deviation = { abs: 0, rel: 0, norm: 0, sens: 0 };
    this.#rounded.forEach(({ twin }, run) => {
      const key = run === 0 ? "abs" : "sens";
      valuesOf(twin).forEach((x, i) => {
        if (!Number.isFinite(values[i])) return;
        const error = Math.abs(x - values[i]!);
        deviation[key] = Math.max(deviation[key], error);
        if (values[i] !== 0) deviation.rel = Math.max(deviation.rel, error / Math.abs(values[i]!));
      });
    });
    return { values: values.slice(), deviation, shape: undefined };
  }
}

function makeTwin(problem: Problem, data: readonly ArrayLike<number>[], more: Partial<TwinOptions>): Twin {
  const { row, options = {} } = problem;
  const { clip, skipNonFinite, lossScale, accumulate, monitor, label, ...common } = options;
  const groups = (problem.groups ?? [{}]).map((own) => ({ ...row.options, ...common, ...own }) as SharedGroup);
  const anchorOf = (k: number) => {
    const { toward } = groups[groupOf(problem, k)]!;
    return toward === "initial" ? data[k]! : toward?.[nameOf(k)];
  };
  return new Twin({
    rule: row.twin,
    tensors: data.map((values, k) => {
      const anchor = anchorOf(k);
      return { data: values, shape: problem.shapes[k]!, group: groupOf(problem, k), ...(anchor && { anchor }) };
    }),
    groups: groups.map(({ toward: _, lrScale = 1, lr = 1e-3, ...group }) => ({
      ...group,
      lr: typeof lr === "function" ? (t: number) => lr(t) * lrScale : lr * lrScale,
    })) as TwinGroup[],
    ...(clip && { clip }),
    ...(skipNonFinite !== undefined && { skipNonFinite }),
    ...((typeof lossScale === "number" || (lossScale && !("binding" in lossScale))) && { lossScale }),
    ...more,
  });
}

/**
 * What golden data are judged by: 4 times the error that float32 storage makes, and 8 half-ulps of the largest value so far for
 * the arithmetic in between, which these twins do in float64; see `test/conformance/compare.ts`.
 */
export function criterionFor({ adapterInfo }: GPUDevice): Comparison {
  const { architecture, description } = adapterInfo;
  const roundsCorrectly = /swiftshader|llvmpipe/i.test(`${architecture} ${description}`);
  return new Comparison({ ...(roundsCorrectly ? SOFTWARE : HARDWARE), cumulative: true });
}

/** Fails with what was off, and by how much. */
export function expectPassed(comparison: Comparison): void {
  expect(comparison.messages).toEqual([]);
  expect(comparison.passed).toBe(true);
}

/** Runs `steps` steps of engine and twin, `null` for a missing gradient, and compares at every fifth and the last one. */
export async function expectTwinRun(
  device: GPUDevice,
  problem: Problem,
  steps: number,
  edit: (grads: Float32Array[], step: number) => (Float32Array | null)[] = (grads) => grads,
  runs?: number,
): Promise<void> {
  const optimizer = await start(device, problem);
  const twins = new Twins(problem, {}, runs);
  const comparison = criterionFor(device);
  for (let step = 1; step <= steps; step++) {
    const grads = edit(gradientsAt(problem, step), step);
    stepWith(optimizer, grads);
    twins.step(grads);
    if (step % 5 === 0 || step === steps) twins.compare(comparison, await optimizer.stateDict(), `step ${step}`);
  }
  optimizer.destroy();
  expectPassed(comparison);
}

/** Everything that a run has left, floats as bits: what "bit for bit" compares. Skipped steps do not count. */
export function bitsOf({ stepsApplied, lossScale, numbers, groups, tensors }: StateDict) {
  const bits = (x: Float32Array) => new Uint32Array(x.slice().buffer);
  return {
    stepsApplied,
    lossScale,
    numbers,
    pasts: groups.map((g) => [g.decayDose, g.carry]),
    tensors: Object.fromEntries(
      Object.entries(tensors).map(([name, { step, param, slots, numbers: own }]) => [
        name,
        {
          step,
          numbers: own,
          param: bits(param),
          slots: Object.fromEntries(Object.entries(slots).map(([s, x]) => [s, bits(x)])),
        },
      ]),
    ),
  };
}

/** Values for anything else a test needs. */
export function someValues(stream: number, size: number, spec: ValueSpec = NORMAL): Float32Array {
  return generate(spec, SEED, 0x6000 + stream, 0, size);
}
