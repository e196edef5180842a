import { describe, expect, it } from "vitest";
import { OptionError } from "../../src/errors.ts";
import { resolveLimits } from "../../src/host/limits.ts";
import { createNewtonSchulz, type NewtonSchulzOptions } from "../../src/host/newton-schulz.ts";
import type { Matrices } from "../../src/kernels/newton-schulz-plan.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { newtonSchulz, QUINTIC } from "../reference/newton-schulz.ts";
import { generate, words } from "../reference/prng.ts";
import { uploadArena, worstExcess } from "./nn-matrices.ts";

type Shape = Omit<Matrices, "offset">;
type Options = Partial<Omit<NewtonSchulzOptions, "matrices" | "buffer">>;

const five = Array.from({ length: 5 }, () => QUINTIC);
const keller = { polynomials: five, eps: 1e-7, normalization: "add" } as const;
const torch = { polynomials: five, eps: 1e-7, normalization: "max" } as const;
const matrix = (rows: number, cols: number, more: Partial<Shape> = {}): Shape => ({ rows, cols, ...keller, ...more });
const sizeOf = ({ rows, cols, batch = 1 }: Shape): number => rows * cols * batch;

/** Random matrices, with the distribution and scale of gradients. */
const random = (shape: Shape, stream: number, scale = 0.5): Float32Array =>
  generate({ kind: "normal", scale }, 11, stream, 1, sizeOf(shape));

/** Orthogonalizes `values` in an arena with canaries around every tensor. */
async function orthogonalize(shapes: readonly Shape[], values: readonly Float32Array[], options: Options = {}) {
  const device = await testDevice();
  const arena = uploadArena(device, "updates", values);
  const iteration = await createNewtonSchulz(device, {
    label: "test",
    limits: resolveLimits(device),
    ...options,
    buffer: arena.ranges[0]!.buffer,
    matrices: shapes.map((shape, k) => ({ ...shape, offset: arena.ranges[k]!.offset / 4 })),
  });
  const encode = (): void => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    iteration.encode(pass);
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
  encode();
  const results = await arena.read();
  iteration.destroy();
  return { results, dispatches: iteration.dispatches, scratchBytes: iteration.scratchBytes };
}

/** The matrices of a batch, one by one. */
const matricesOf = (shape: Shape, values: ArrayLike<number>): number[][] =>
  Array.from({ length: shape.batch ?? 1 }, (_, b) => {
    const size = shape.rows * shape.cols;
    return Array.from({ length: size }, (_, i) => values[b * size + i]!);
  });

/**
 * By how much a result leaves its float64 twin beyond what is allowed. No fixed tolerance can be right: (3.4445, ...) multiplies
 * a small singular value, and the rounding beside it, by up to 3.4445^5 = 485, and a middling one, for which the polynomial is
 * flat, by nearly 0. So the measure is what float32 itself makes of the same matrix (a twin that rounds every operation), and how
 * far the result moves when the input does by half a unit in its last place; 4 times that and 8 half units, as for golden data.
 */
function excess(shape: Shape, u: readonly number[], got: readonly number[]): number {
  const want = newtonSchulz(u, shape);
  const largest = (of: ArrayLike<number>) => want.reduce((most, v, i) => Math.max(most, Math.abs(of[i]! - v)), 0);
  const float32 = largest(newtonSchulz(u, shape, Math.fround));
  const moved = [1, 2].map((seed) => {
    const nudged = u.map((v, i) => v * (1 + (words(seed, 0, 0, i).w1 & 1 ? 1 : -1) * 2 ** -24));
    return largest(newtonSchulz(nudged, shape));
  });
  const amplitude = largest(new Float64Array(want.length));
  const allowed = 4 * Math.max(float32, ...moved) + 8 * 2 ** -24 * amplitude;
  return worstExcess(got, want, () => allowed);
}

function expectTwins(
  shapes: readonly Shape[],
  inputs: readonly Float32Array[],
  results: readonly Float32Array[],
): void {
  shapes.forEach((shape, k) => {
    const got = matricesOf(shape, results[k]!);
    matricesOf(shape, inputs[k]!).forEach((u, b) => {
      expect(excess(shape, u, got[b]!), `${shape.rows} x ${shape.cols}, matrix ${b}`).toBeLessThanOrEqual(0);
    });
  });
}

describe("against the float64 twin", () => {
  const sizes: readonly (readonly [number, number])[] = [
    // Those of the golden data.
    ...([
      [8, 8],
      [12, 5],
      [5, 12],
      [6, 18],
      [7, 7],
      [16, 4],
      [4, 17],
      [1, 6],
      [20, 17],
      [8, 6],
    ] as const),
    // One tile and one more or less; a single row, column and element; long sums; more than one workgroup.
    ...([
      [1, 1],
      [1, 7],
      [9, 1],
      [8, 9],
      [9, 8],
      [16, 16],
      [33, 31],
      [63, 65],
      [4, 1000],
      [700, 3],
      [72, 136],
      [136, 72],
    ] as const),
  ];

  it.each([64, 4])("every size in one call, %i invocations per workgroup", async (workgroup) => {
    const shapes = sizes.map(([rows, cols], k) => matrix(rows, cols, k % 2 ? torch : keller));
    const inputs = shapes.map((shape, k) => random(shape, k, 10 ** ((k % 5) - 2)));
    const { results, dispatches } = await orthogonalize(shapes, inputs, { workgroup });
    expectTwins(shapes, inputs, results);
    expect(dispatches).toBe(sizes.length * (2 + 3 * 5));
  });

  it("any number of steps, each with its own polynomial", async () => {
    const polynomials = [QUINTIC, [2, -1.5, 0.5], [4.0848, -6.8946, 2.927], [1.875, -1.25, 0.375]] as const;
    const shapes = [1, 2, 3, 4].flatMap((steps) =>
      [
        [12, 8],
        [5, 7],
        [8, 12],
        [7, 5],
      ].map(([rows, cols]) => matrix(rows!, cols!, { polynomials: polynomials.slice(0, steps) })),
    );
    const inputs = shapes.map((shape, k) => random(shape, k));
    const { results } = await orthogonalize(shapes, inputs);
    expectTwins(shapes, inputs, results);
  });

  it("equal shapes share their dispatches, and batches are matrices of their own", async () => {
    const shapes = [
      matrix(12, 20),
      matrix(4, 6, { batch: 3 }),
      matrix(5, 3, { batch: 2 }),
      matrix(12, 20),
      matrix(4, 6),
      matrix(5, 3, { batch: 3 }),
      matrix(12, 20, torch),
    ];
    const inputs = shapes.map((shape, k) => random(shape, k));
    const { results, dispatches } = await orthogonalize(shapes, inputs);
    expectTwins(shapes, inputs, results);
    expect(dispatches).toBe(4 * (2 + 3 * 5));
  });
});

// Independent of the twin: on a diagonal the iteration is the polynomial, applied to each element alone.
it.each([
  [40, 24],
  [24, 40],
])("singular values of a diagonal matrix, %i x %i", async (rows, cols) => {
  const shape = matrix(rows, cols);
  const u = new Float32Array(rows * cols);
  for (let i = 0; i < 24; i++) u[i * cols + i] = 2 ** (-i / 2);
  const { results } = await orthogonalize([shape], [u]);
  const norm = Math.hypot(...u);
  const want = Float64Array.from(u, (s) => five.reduce((x, [a, b, c]) => a * x + b * x ** 3 + c * x ** 5, s / norm));
  // Per step three roundings of terms of up to 5, multiplied by at most 3.4445 in each step that follows; nothing is summed.
  const allowed = 5 * 2 ** -24 * (3 * 5) * 3.4445;
  expect(worstExcess(results[0]!, want, (k) => (want[k] === 0 ? 0 : allowed))).toBeLessThanOrEqual(0);
  expect(Math.max(...results[0]!)).toBeLessThan(1.21);
});

describe("normalization", () => {
  it("survives elements whose squares overflow or vanish", async () => {
    const shapes = [1e19, 3e19, 3e37, 1e-8, 1e-20, 1e-30].flatMap((scale) =>
      [matrix(12, 20), matrix(13, 7), matrix(20, 12, torch), matrix(12, 20, { ...torch, eps: 1e-37 })].map((shape) => ({
        shape,
        scale,
      })),
    );
    const inputs = shapes.map(({ shape, scale }, k) => random(shape, k, scale));
    const { results } = await orthogonalize(
      shapes.map(({ shape }) => shape),
      inputs,
    );
    expectTwins(
      shapes.map(({ shape }) => shape),
      inputs,
      results,
    );
  });

  it("a matrix of zeros stays zero, whatever eps is", async () => {
    const shapes = [keller, torch, { ...keller, eps: 0 }, { ...torch, eps: 0 }].map((more) => matrix(9, 12, more));
    const { results } = await orthogonalize(
      shapes,
      shapes.map((shape) => new Float32Array(sizeOf(shape))),
    );
    for (const result of results) expect(result.every((x) => x === 0)).toBe(true);
  });

  it("a matrix with a NaN ends as NaN, and the one beside it does not", async () => {
    const shapes = [matrix(12, 20), matrix(12, 20)];
    const [broken, whole] = shapes.map((shape, k) => random(shape, k)) as [Float32Array, Float32Array];
    const { results } = await orthogonalize(shapes, [broken.with(17, Number.NaN), whole]);
    expect(results[0]!.every(Number.isNaN)).toBe(true);
    expectTwins([shapes[1]!], [whole], [results[1]!]);
  });

  it("sums of many equal addends do not add up their rounding", async () => {
    const shape = matrix(512, 520, { polynomials: [[1, 0, 0]] });
    const { results } = await orthogonalize([shape], [new Float32Array(sizeOf(shape)).fill(0.3)], {
      workgroup: 4, // 1040 quads for each invocation
    });
    expect(Math.abs(results[0]![0]! * Math.sqrt(512 * 520) - 1)).toBeLessThan(1e-6);
  });
});

it("gives equal bits on every run, however the work is split", async () => {
  const shapes = [matrix(72, 136), matrix(136, 72), matrix(33, 31), matrix(33, 31), matrix(9, 12, { batch: 5 })];
  const inputs = shapes.map((shape, k) => random(shape, k));
  const once = await orthogonalize(shapes, inputs);
  expect((await orthogonalize(shapes, inputs)).results).toEqual(once.results);
  const limits = { ...resolveLimits(await testDevice()), maxComputeWorkgroupsPerDimension: 2 };
  const few = await orthogonalize(shapes, inputs, { limits });
  expect(few.results).toEqual(once.results);
  const little = await orthogonalize(shapes, inputs, { maxScratchBytes: 2 * 12 * 12 * 4 });
  expect(little.results).toEqual(once.results);
  // Five matrices of 9 x 12 in three batches, one of 33 x 31 at a time.
  expect([once, few, little].map(({ dispatches }) => dispatches / 17)).toEqual([4, 6, 7]);
  expect(little.scratchBytes).toBeLessThan(once.scratchBytes);
});

it("counts offsets from the beginning of what is bound", async () => {
  const device = await testDevice();
  const shape = matrix(9, 12);
  const input = random(shape, 1);
  const [{ results }, arena] = [await orthogonalize([shape], [input]), uploadArena(device, "updates", [input, input])];
  const { buffer, offset, size } = arena.ranges[1]!;
  const range = { offset: offset - 256, size: size + 256 };
  const matrices = [{ ...shape, offset: 64 }];
  const options = { label: "test", limits: resolveLimits(device), buffer, range };
  const iteration = await createNewtonSchulz(device, { ...options, matrices });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  iteration.encode(pass);
  pass.end();
  device.queue.submit([encoder.finish()]);
  expect(await arena.read()).toEqual([input, results[0]]);
  iteration.destroy();
  const beyond = createNewtonSchulz(device, { ...options, matrices: [{ ...shape, offset: 128 }] });
  await expect(beyond).rejects.toThrow(OptionError);
});

it("makes and writes nothing when it encodes", async () => {
  const device = await testDevice();
  const arena = uploadArena(device, "updates", [random(matrix(8, 12), 1)]);
  const iteration = await createNewtonSchulz(device, {
    label: "test",
    limits: resolveLimits(device),
    buffer: arena.ranges[0]!.buffer,
    matrices: [{ ...matrix(8, 12), offset: arena.ranges[0]!.offset / 4 }],
  });
  const counter = countCalls(device);
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  iteration.encode(pass);
  pass.end();
  device.queue.submit([encoder.finish()]);
  const { createBuffer, createBindGroup, writeBuffer, dispatches } = counter.read();
  counter.stop();
  iteration.destroy();
  expect({ createBuffer, createBindGroup, writeBuffer, dispatches }).toEqual({
    createBuffer: 0,
    createBindGroup: 0,
    writeBuffer: 0,
    dispatches: iteration.dispatches,
  });
});

it.each([
  [{ rows: 0 }, "matrices[0].rows must be a whole number from 1, got 0"],
  [{ cols: 2.5 }, "matrices[0].cols must be a whole number from 1, got 2.5"],
  [{ batch: 0 }, "matrices[0].batch must be a whole number from 1, got 0"],
  [{ offset: 32 }, "matrices[0].offset must be a multiple of 64, got 32"],
  [{ offset: 1 << 20 }, "matrices[0].offset must be at most"],
  [{ polynomials: [] }, "matrices[0].polynomials must have one for each of the steps, got []"],
])("refuses %o", async (wrong, message) => {
  const device = await testDevice();
  const arena = uploadArena(device, "updates", [random(matrix(8, 12), 1)]);
  const refused = createNewtonSchulz(device, {
    label: "test",
    limits: resolveLimits(device),
    buffer: arena.ranges[0]!.buffer,
    matrices: [{ ...matrix(8, 12), offset: 64, ...wrong }],
  });
  await expect(refused).rejects.toThrow(OptionError);
  await expect(refused).rejects.toThrow(message);
});
