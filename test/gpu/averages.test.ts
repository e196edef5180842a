/** Averages of the parameters, and putting parameters to evaluate in the place of those that are trained. */
import { describe, expect, test } from "vitest";
import {
  createOptimizer,
  LifecycleError,
  type OptimizerOptions,
  OptionError,
  scheduleFreeSgd,
  sgd,
} from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { someValues } from "./twin-run.ts";

const SIZE = 37;
const initial = someValues(1, SIZE);
const gradient = (step: number) => someValues(10 + step, SIZE);

async function make(options: Partial<OptimizerOptions>) {
  const device = await testDevice();
  return createOptimizer(device, {
    rule: sgd(),
    lr: 0.1,
    params: [{ name: "w", shape: [SIZE], data: initial }],
    ...options,
  });
}

/** The parameters of plain SGD after each step, in float32 as the device has them. */
async function trajectory(steps: number): Promise<Float32Array[]> {
  const optimizer = await make({});
  const seen: Float32Array[] = [];
  for (let step = 1; step <= steps; step++) {
    optimizer.writeGrad("w", gradient(step));
    optimizer.step();
    seen.push(await optimizer.readParam("w"));
  }
  optimizer.destroy();
  return seen;
}

/** The largest difference, in half units in the last place of the largest value. */
const off = (x: Float32Array, y: ArrayLike<number>) =>
  Math.max(...x.map((v, i) => Math.abs(v - y[i]!))) / (2 ** -24 * Math.max(...Array.from(y, Math.abs)));

describe("an average", () => {
  test.each([
    ["of all steps", { swa: {} }, (n: number) => 1 / (n + 1), 1, 1],
    ["of every second step from the third on", { swa: { start: 3, every: 2 } }, (n: number) => 1 / (n + 1), 3, 2],
    ["exponential", { ema: { decay: 0.75 } }, (n: number) => (n === 0 ? 1 : 0.25), 1, 1],
  ] as const)(
    "%s is put in place by eval and taken back by train, bit for bit",
    async (_, options, weight, start, every) => {
      const steps = await trajectory(9);
      const optimizer = await make(options);
      let average = Float64Array.from(initial);
      let taken = 0;
      for (let step = 1; step <= 9; step++) {
        optimizer.writeGrad("w", gradient(step));
        optimizer.step();
        const theta = steps[step - 1]!;
        if (step >= start && (step - start) % every === 0) {
          const w = weight(taken++);
          average = average.map((a, i) => a + w * (theta[i]! - a));
        }
        optimizer.eval();
        // One rounding for each of the averages.
        expect(off(await optimizer.readParam("w"), average)).toBeLessThanOrEqual(8);
        optimizer.train();
        expect(await optimizer.readParam("w")).toEqual(theta);
      }
      optimizer.destroy();
    },
  );

  test("goes on where a tensor has no gradient, and stands still in a skipped step", async () => {
    const optimizer = await make({ ema: { decay: 0.5 }, skipNonFinite: true });
    const evaluated = async () => {
      optimizer.eval();
      const values = await optimizer.readParam("w");
      optimizer.train();
      return values;
    };
    optimizer.writeGrad("w", gradient(1));
    optimizer.step();
    optimizer.writeParam(
      "w",
      initial.map((x) => 2 * x),
    );
    const before = await evaluated();
    optimizer.writeGrad("w", new Float32Array(SIZE).fill(Number.NaN));
    optimizer.step();
    expect(await evaluated()).toEqual(before);
    optimizer.withoutGrad("w");
    optimizer.step();
    expect(
      off(
        await evaluated(),
        before.map((a, i) => (a + 2 * initial[i]!) / 2),
      ),
    ).toBeLessThanOrEqual(2);
    optimizer.destroy();
  });

  test("is saved and loaded", async () => {
    const optimizer = await make({ ema: { decay: 0.5 } });
    optimizer.writeGrad("w", gradient(1));
    optimizer.step();
    optimizer.step();
    const saved = await optimizer.stateDict();
    const other = await make({ ema: { decay: 0.5 } });
    await other.loadStateDict(saved);
    other.eval();
    optimizer.eval();
    expect(await other.readParam("w")).toEqual(await optimizer.readParam("w"));
    optimizer.destroy();
    other.destroy();
  });
});

test("while other parameters are in place, nothing steps or is saved", async () => {
  const optimizer = await make({ rule: scheduleFreeSgd() });
  optimizer.writeGrad("w", gradient(1));
  optimizer.step();
  optimizer.eval();
  optimizer.eval();
  expect(() => optimizer.step()).toThrow(LifecycleError);
  await expect(optimizer.stateDict()).rejects.toThrow("call train() first");
  optimizer.train();
  optimizer.train();
  optimizer.step();
  optimizer.destroy();
});

test("a tensor that has never been updated is evaluated as it is, another as when it was frozen", async () => {
  const params = ["late", "frozen", "begun"].map((name) => ({ name, shape: [SIZE], data: initial }));
  const optimizer = await make({ rule: scheduleFreeSgd(), params });
  const evaluated = async (name: string) => {
    optimizer.eval();
    const values = await optimizer.readParam(name);
    optimizer.train();
    return values;
  };
  optimizer.freeze("frozen");
  let begun: Float32Array | undefined;
  for (let step = 1; step <= 3; step++) {
    for (const { name } of params) optimizer.writeGrad(name, gradient(step));
    optimizer.withoutGrad("late");
    optimizer.step();
    for (const name of ["late", "frozen"]) expect(await evaluated(name)).toEqual(initial);
    begun ??= await evaluated("begun");
    expect(begun).not.toEqual(initial);
    expect(await evaluated("begun")).toEqual(begun);
    optimizer.freeze("begun");
  }
  optimizer.destroy();
});

test("slow weights that are made later are made by each tensor at the end of the first round in which it takes part", async () => {
  const lookahead = { k: 2, alpha: 0.25, init: "first-sync" } as const;
  const optimizer = await make({
    lookahead,
    params: ["a", "b"].map((name) => ({ name, shape: [SIZE], data: initial })),
  });
  const theta = [Float64Array.from(initial), Float64Array.from(initial)];
  const slow: (Float64Array | undefined)[] = [undefined, undefined];
  const add = async (name: string) => {
    await optimizer.addParams([{ name, shape: [SIZE], data: initial }]);
    theta.push(Float64Array.from(initial));
    slow.push(undefined);
  };
  for (let step = 1; step <= 8; step++) {
    if (step === 6) await add("c");
    // b has no gradient where the first round ends, nor c where its own would.
    const absent = step === 2 ? "b" : step === 6 ? "c" : undefined;
    if (absent) optimizer.withoutGrad(absent);
    for (const [k, name] of ["a", "b", "c"].slice(0, theta.length).entries()) {
      optimizer.writeGrad(name, gradient(step));
      if (name === absent) continue;
      let now = theta[k]!.map((x, i) => x - 0.1 * gradient(step)[i]!);
      if (step % lookahead.k === 0) {
        const before = slow[k];
        now = before ? before.map((s, i) => s + lookahead.alpha * (now[i]! - s)) : now;
        slow[k] = now;
      }
      theta[k] = now;
    }
    optimizer.step();
    for (const [k, name] of ["a", "b", "c"].slice(0, theta.length).entries()) {
      const { param, slots } = await optimizer.readState(name);
      // Two roundings a step.
      expect(off(param, theta[k]!)).toBeLessThanOrEqual(4 * step);
      if (slow[k]) expect(off(slots.lookahead_slow_buff!, slow[k]!)).toBeLessThanOrEqual(4 * step);
      else expect([...slots.lookahead_slow_buff!].every(Number.isNaN)).toBe(true);
    }
  }
  optimizer.destroy();
});

test("without averages eval does nothing", async () => {
  const optimizer = await make({});
  optimizer.eval();
  expect(await optimizer.readParam("w")).toEqual(initial);
  optimizer.step();
  optimizer.destroy();
});

test("only rules that estimate can estimate", async () => {
  const optimizer = await make({});
  expect(() => optimizer.estimate()).toThrow(OptionError);
  optimizer.destroy();
});

describe("refused", () => {
  test.each<[Partial<OptimizerOptions>, string]>([
    [{ ema: {} }, "sgd: ema.decay must be in [0, 1), got undefined"],
    [{ ema: { decay: 1 } }, "sgd: ema.decay must be in [0, 1), got 1"],
    [{ ema: { decay: 0.5, start: 0 } }, "sgd: ema.start must be a whole number in [1, 2147483648], got 0"],
    [{ swa: { every: 1.5 } }, "sgd: swa.every must be a whole number in [1, 2147483648], got 1.5"],
    [{ swa: { decay: 0.5 } as object }, "sgd: swa.decay is no option"],
    [{ ema: { decay: 0.5 }, swa: {} }, "sgd: swa must not be given beside ema"],
    [{ lookahead: { k: 0 } }, "sgd: lookahead.k must be a whole number in [1, 2147483648], got 0"],
    [{ lookahead: { alpha: 1.5 } }, "sgd: lookahead.alpha must be in [1.1754943508222875e-38, 1], got 1.5"],
    [{ lookahead: { init: "zero" as "initial" } }, 'sgd: lookahead.init must be "initial" or "first-sync", got "zero"'],
    [{ clip: { globalNorm: 1, eps: -1 } }, "sgd: clip.eps must be a finite number >= 0, got -1"],
    [{ cautiousUpdate: true as never }, 'sgd: cautiousUpdate must be false, "timm", "c-optim"'],
    [
      { cautiousUpdate: { convention: "lucidrains", factor: 2 } },
      "sgd: cautiousUpdate.factor must be in [0, 1], got 2",
    ],
    [{ decayMode: "rule" }, 'sgd: decayMode may be rule only for rules whose default it is, got "rule"'],
  ])("%o", async (options, message) => {
    await expect(make(options)).rejects.toThrow(message);
  });
});
