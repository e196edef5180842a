/** The float64 twins, against the golden data and by hand. */

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseGolden } from "../conformance/golden/parse.ts";
import { gradientAt, initialParameters, type TrajectoryCase } from "../conformance/golden/trajectory.ts";
import { estimatesAt, planOfCase, whyUnsupportedCase } from "../conformance/kinds/trajectory.ts";
import { slotOf } from "../conformance/optimizers.ts";
import { twinGroup, twinRule } from "../conformance/twin-subject.ts";
import { adamw } from "../reference/adam.ts";
import { applyUpdate, coupleDecay, type Decay } from "../reference/decay.ts";
import { sgd } from "../reference/sgd.ts";
import { Twin } from "../reference/twin.ts";

interface Taken {
  readonly params: Float64Array[];
  readonly evaluated: Float64Array[];
  readonly state: ReturnType<Twin["state"]>[];
  readonly numbers: ReturnType<Twin["numbers"]>[];
}

/** A trajectory of a twin, in float64 throughout: what it has at every snapshot. */
function trajectory(one: TrajectoryCase): Taken[] {
  const { groups, rule, ...whole } = planOfCase(one);
  const twin = new Twin({
    ...whole,
    rule: twinRule(rule),
    tensors: initialParameters(one).map((data, k) => ({
      data,
      shape: one.params[k]!.shape,
      group: one.groups.findIndex(({ params }) => params.includes(k)),
    })),
    groups: groups.map(twinGroup),
  });
  const taken = [];
  for (let step = 1; step <= one.steps; step++) {
    const change = one.lrChanges?.find((entry) => entry.step === step);
    if (change) {
      planOfCase(one, change.lr).groups.forEach((options, g) => {
        twin.setGroup(g, twinGroup(options));
      });
    }
    const estimates = estimatesAt(one, step);
    if (estimates) twin.observe(estimates);
    twin.step(one.params.map((parameter, k) => gradientAt(parameter, one.seed, k, step)));
    if (!one.snapshots.some((snapshot) => snapshot.step === step)) continue;
    taken.push({
      params: one.params.map((_, k) => twin.param(k).slice()),
      evaluated: one.params.map((_, k) => twin.evaluated(k).slice()),
      state: one.params.map((_, k) => structuredClone(twin.state(k))),
      numbers: one.groups.map((_, g) => ({ ...twin.numbers(g) })),
    });
  }
  return taken;
}

describe("twins in float64 follow their references in float64", () => {
  const golden = new URL("../golden/", import.meta.url);
  for (const name of readdirSync(golden).filter((file) => file.endsWith(".json"))) {
    const file = parseGolden(readFileSync(new URL(name, golden), "utf8"));
    if (file.kind !== "trajectory") continue;
    for (const one of file.cases) {
      if (whyUnsupportedCase(one) !== undefined) continue;
      it(one.id, () => {
        let compared = 0;
        const close = (where: string, actual: Float64Array | undefined, expected: Float64Array) => {
          expect(actual?.length, where).toBe(expected.length);
          const largest = expected.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
          expected.forEach((v, i) => {
            // Ten digits are stored, which is 5e-10 of the value; the rest is rounding of up to 500 steps in float64.
            const tolerance = 5.1e-10 * Math.abs(v) + 1e-14 * largest;
            if (!(Math.abs(actual![i]! - v) <= tolerance)) expect.fail(`${where}[${i}]: ${actual![i]} instead of ${v}`);
            compared++;
          });
        };
        const { groups } = planOfCase(one);
        trajectory(one).forEach(({ params, evaluated, state, numbers }, s) => {
          const snapshot = one.snapshots[s]!;
          snapshot.groupState?.forEach((expected, g) => {
            for (const [name, value] of Object.entries(expected))
              if (name in numbers[g]!)
                close(
                  `step ${snapshot.step} g${g}.${name}`,
                  Float64Array.of(numbers[g]![name]!),
                  Float64Array.of(value),
                );
          });
          snapshot.params.forEach((expected, k) => {
            const where = `step ${snapshot.step} p${k}`;
            if (expected) close(where, params[k], expected.values);
            const toEvaluate = snapshot.evalParams?.[k];
            if (toEvaluate) close(`${where} evaluated`, evaluated[k], toEvaluate.values);
            const options = groups[one.groups.findIndex((group) => group.params.includes(k))]!;
            for (const [name, value] of Object.entries(snapshot.state[k]!)) {
              const { step, slots } = state[k]!;
              if (name === "step") expect(step, `${where}.${name}`).toBe(value);
              else {
                const expected = typeof value === "number" ? Float64Array.of(value) : value.values;
                // PyTorch's Adagrad has state before the first gradient.
                const own = step === 0 ? expected.map(() => 0) : slots[name]!;
                close(`${where}.${name}`, Float64Array.from(slotOf(one, name, own, options, step)), expected);
              }
            }
          });
        });
        expect(compared).toBeGreaterThan(0);
      });
    }
  }
});

const alwaysZero = new Float64Array(4);
const decay: Decay = { mode: "decoupled", lambda: 0.1, l1: 0, cautious: false, lr: 0.5, referenceLr: 0.25 };

/** theta = (4, -4, 4, -4) after an update of (1, 1, -1, -1). */
function decayed(options: Partial<Decay>, anchor = alwaysZero): number[] {
  const theta = Float64Array.of(4, -4, 4, -4);
  applyUpdate(theta, Float64Array.of(1, 1, -1, -1), anchor, { ...decay, ...options });
  return [...theta].map((x) => Number(x.toFixed(12)));
}

describe("decay, by hand", () => {
  it("decoupled: lr lambda = 0.05 of theta", () => {
    expect(decayed({})).toEqual([2.8, -4.8, 4.8, -2.8]);
  });
  it("scheduled: (lr / lr_0) lambda = 0.2 of theta", () => {
    expect(decayed({ mode: "scheduled" })).toEqual([2.2, -4.2, 4.2, -2.2]);
  });
  it("independent: lambda = 0.1 of theta", () => {
    expect(decayed({ mode: "independent" })).toEqual([2.6, -4.6, 4.6, -2.6]);
  });
  it("proximal: (theta - u) / 1.25", () => {
    expect(decayed({ mode: "proximal", lambda: 0.5 })).toEqual([2.4, -4, 4, -2.4]);
  });
  it("coupled: nothing here, all of it in the gradient", () => {
    expect(decayed({ mode: "coupled" })).toEqual([3, -5, 5, -3]);
    const g = Float64Array.of(1, 1);
    coupleDecay(g, Float64Array.of(4, -4), Float64Array.of(0, 1), { ...decay, mode: "coupled", l1: 0.25 });
    expect([...g]).toEqual([1.65, 0.25]);
  });
  it("of the rule's own: nothing here, the rule has it in its update", () => {
    expect(decayed({ mode: "rule" })).toEqual([3, -5, 5, -3]);
  });
  it("cautious: only where the update goes the same way", () => {
    expect(decayed({ cautious: true })).toEqual([2.8, -5, 5, -2.8]);
    expect(decayed({ cautious: true, mode: "proximal", lambda: 0.5 })).toEqual([2.4, -5, 5, -2.4]);
    expect(decayed({ cautious: true, mode: "proximal", lambda: 0.5, l1: 2 })).toEqual([1.6, -5, 5, -1.6]);
  });
  it("cautious: where there is no update, there is decay", () => {
    const theta = Float64Array.of(4);
    applyUpdate(theta, Float64Array.of(0), Float64Array.of(0), { ...decay, cautious: true });
    expect(theta[0]).toBeCloseTo(3.8, 12);
  });
  it("toward an anchor: decay vanishes there", () => {
    const anchor = Float64Array.of(4, -4, 0, 4);
    expect(decayed({}, anchor)).toEqual([3, -5, 4.8, -2.6]);
    expect(decayed({ mode: "proximal", lambda: 0.5 }, anchor)).toEqual([3.2, -4.8, 4, -1.6]);
  });
  it("l1: a constant pull that stops at the anchor", () => {
    expect(decayed({ lambda: 0, l1: 2 })).toEqual([2, -4, 4, -2]);
    expect(decayed({ lambda: 0, l1: 1000 })).toEqual([-1, -1, 1, 1]);
    expect(decayed({ lambda: 0, l1: 1, mode: "scheduled" })).toEqual([1, -3, 3, -1]);
    expect(decayed({ lambda: 0, l1: 1, mode: "independent" }, Float64Array.of(3.5, -3.5, 5, -5))).toEqual([
      2.5, -4.5, 6, -4,
    ]);
  });
  it("l1, proximal: a soft threshold of the result, then the division", () => {
    expect(decayed({ lambda: 0.5, l1: 2, mode: "proximal" })).toEqual([1.6, -3.2, 3.2, -1.6]);
    expect(decayed({ lambda: 0, l1: 7, mode: "proximal" })).toEqual([0, -1.5, 1.5, 0]);
  });
  it("is not defined where cautious has no update", () => {
    expect(() =>
      coupleDecay(alwaysZero, alwaysZero, alwaysZero, { ...decay, mode: "coupled", cautious: true }),
    ).toThrow("cautious decay is not defined for the mode coupled");
  });
});

describe("a twin", () => {
  const tensors = [{ data: [1, -2] }];
  const momentum = { lr: 0.5, momentum: 0.5, weightDecay: 0.5 };

  it("leaves a tensor without gradient alone, but not one with a gradient of zero", () => {
    const twin = new Twin({ rule: adamw, tensors: [...tensors, ...tensors], groups: [{ weightDecay: 10 }] });
    twin.step([null, [0, 0]]);
    expect([...twin.param(0)]).toEqual([1, -2]);
    expect(twin.state(0)).toEqual({ step: 0, slots: {} });
    expect(twin.param(1)[0]).toBeCloseTo(0.99, 12);
    expect(twin.state(1).step).toBe(1);
  });

  it("skips a step with a non-finite gradient as if it had never been", () => {
    const lr = (step: number) => 0.5 / (step + 1);
    const options = { rule: sgd, tensors, groups: [{ ...momentum, lr }], skipNonFinite: true };
    const skipping = new Twin(options);
    const other = new Twin(options);
    const grads = [[[1, 2]], [[Number.NaN, 0]], [[3, -1]], [[0, Infinity]], [[1, 1]]];
    expect(grads.map((g) => skipping.step(g).skipped)).toEqual([false, true, false, true, false]);
    for (const g of [grads[0]!, grads[2]!, grads[4]!]) other.step(g);
    expect(skipping.param(0)).toEqual(other.param(0));
    expect(skipping.state(0)).toEqual(other.state(0));
    expect(skipping.stepsApplied).toBe(3);
  });

  it("lets non-finite gradients through where nothing asks for skipping", () => {
    const twin = new Twin({ rule: sgd, tensors });
    expect(twin.step([[Number.NaN, 0]])).toMatchObject({ skipped: false, nonFinite: 1 });
    expect(twin.param(0)[0]).toBeNaN();
  });

  it("unscales, clips by the norm of all, of each, then by value, and only then turns the sign", () => {
    const twin = new Twin({
      rule: sgd,
      tensors: [{ data: [0, 0] }, { data: [0] }],
      groups: [{ lr: 1, maximize: true }],
      clip: { globalNorm: 6.5, tensorNorm: 2, value: 1.25 },
      lossScale: 2,
    });
    const { gradNorm, clipFactor } = twin.step([[6, 8], [24]]);
    expect(gradNorm).toBeCloseTo(13, 12);
    // PyTorch adds 1e-6 to each norm, which is 1e-7 of it.
    expect(clipFactor).toBeCloseTo(0.5, 6);
    expect(twin.param(0)[0]).toBeCloseTo(1.2, 5);
    expect([twin.param(0)[1], twin.param(1)[0]]).toEqual([1.25, 1.25]);
  });

  it("keeps lr_0 of scheduled decay when the lr changes", () => {
    const group = { lr: 0.1, weightDecay: 0.5, decayMode: "scheduled" } as const;
    const twin = new Twin({ rule: sgd, tensors: [{ data: [1] }], groups: [group] });
    twin.step([[0]]);
    twin.setGroup(0, { lr: 0.05 });
    twin.step([[0]]);
    expect(twin.param(0)[0]).toBeCloseTo(0.5 * 0.75, 12);
  });

  it("leaves frozen groups alone", () => {
    const twin = new Twin({ rule: sgd, tensors, groups: [{ ...momentum, frozen: true }] });
    expect(twin.step([[3, 4]]).gradNorm).toBe(0);
    expect([...twin.param(0)]).toEqual([1, -2]);
  });

  it("clips each unit of a layer to a fraction of its parameters, and vectors as a whole", () => {
    const twin = new Twin({
      rule: sgd,
      tensors: [
        // Norms 5 and 0 of the rows: the second one counts as eps.
        { data: [3, 4, 0, 0], shape: [2, 2] },
        { data: [3, 4], shape: [2] },
        { data: [3, 4], shape: [2] },
      ],
      groups: [{ lr: 1 }],
      clip: { adaptive: { factor: 0.2, eps: 0.5 } },
    });
    twin.step([
      [6, 8, 0.6, -0.8],
      [0, 2],
      [0.6, 0.7],
    ]);
    const moved = [0, 1, 2].map((k) => [...twin.param(k)].map((x) => Number(x.toFixed(12))));
    expect(moved).toEqual([
      [2.4, 3.2, -0.06, 0.08],
      [3, 3],
      [2.4, 3.3],
    ]);
  });

  it("averages what has been stepped, tensors without a gradient too, and no step that is skipped", () => {
    const twin = new Twin({
      rule: sgd,
      tensors: [{ data: [0] }, { data: [8] }],
      groups: [{ lr: 1 }],
      swa: {},
      skipNonFinite: true,
    });
    for (const g of [-1, -2, Number.NaN, -3]) twin.step([[g], null]);
    // 1, 3 and 6.
    expect(twin.evaluated(0)[0]).toBeCloseTo(10 / 3, 12);
    expect(twin.evaluated(1)[0]).toBeCloseTo(8, 12);
  });

  it("follows several rules at once, each with its own defaults", () => {
    const groups = [{ rule: adamw }, { momentum: 0, lr: 1 }];
    const twin = new Twin({ rule: sgd, tensors: [{ data: [1] }, { data: [1], group: 1 }], groups });
    twin.step([[3], [3]]);
    // AdamW moves by lr, and decays by lr times 0.01.
    expect(twin.param(0)[0]).toBeCloseTo(1 - 1e-3 - 1e-5, 10);
    expect(twin.param(1)[0]).toBe(-2);
    expect(Object.keys(twin.state(0).slots)).toEqual(["exp_avg", "exp_avg_sq"]);
  });

  it("refuses gradients that do not fit", () => {
    const twin = new Twin({ rule: sgd, tensors });
    expect(() => twin.step([])).toThrow("there are 1 tensors, but 0 gradients");
    expect(() => twin.step([[1]])).toThrow("the gradient of tensor 0 has a wrong length");
  });
});
