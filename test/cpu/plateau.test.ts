/** `reduceOnPlateau`: its memory, and its company with other schedules. PyTorch's figures are in `torch-schedules.test.ts`. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type PlateauOptions, reduceOnPlateau } from "../../src/engine/plateau.ts";
import { warmup } from "../../src/engine/schedules-compose.ts";
import { OptionError } from "../../src/errors.ts";
import { goldenNumber, type TorchSchedulerCase } from "../reference/torch-schedules.ts";

interface GoldenCase extends TorchSchedulerCase {
  id: string;
}
const golden: { cases: GoldenCase[] } = JSON.parse(
  readFileSync(new URL("../golden/schedulers.json", import.meta.url), "utf8"),
);

describe("reduceOnPlateau", () => {
  const plateaus = golden.cases.filter((c) => c.metrics);

  it.each(plateaus.map((c) => [c.id, c] as const))("%s: goes on from a saved state as if never stopped", (_, test) => {
    // These have the same names here.
    const same = ["mode", "patience", "threshold", "cooldown"];
    const args = Object.fromEntries(Object.entries(test.args).filter(([name]) => same.includes(name)));
    const options: PlateauOptions = { ...args, factor: 0.5, thresholdMode: "abs" };
    const make = () => reduceOnPlateau(0.1, options);
    const whole = make();
    let resumed = make();
    for (const metric of test.metrics!.map(goldenNumber)) {
      const next = make();
      next.load(JSON.parse(JSON.stringify(resumed.state())));
      resumed = next;
      expect(resumed.update(metric)).toBe(whole.update(metric));
      expect(resumed.state()).toEqual(whole.state());
      expect(resumed(0)).toBe(whole(0));
    }
  });

  it("saves an infinite best metric through JSON", () => {
    for (const mode of ["min", "max"] as const) {
      for (const metric of [Infinity, -Infinity]) {
        const [a, b] = [reduceOnPlateau(1, { mode, patience: 0 }), reduceOnPlateau(1, { mode, patience: 0 })];
        a.update(metric);
        b.load(JSON.parse(JSON.stringify(a.state())));
        expect(b.state()).toEqual(a.state());
        expect(b.update(5)).toBe(a.update(5));
      }
    }
  });

  it("says when it reduces, stops at minLr, and passes through other schedules", () => {
    const plateau = reduceOnPlateau(1, { factor: 0.5, patience: 0, minLr: 0.3 });
    const lr = warmup(10, plateau);
    expect([lr(5), lr(10)]).toEqual([0.5, 1]);
    expect([1, 1, 1, 1].map((m) => plateau.update(m))).toEqual([false, true, true, false]);
    expect([lr(5), lr(10), plateau(123)]).toEqual([0.15, 0.3, 0.3]);
  });

  it("leaves out a reduction by no more than eps", () => {
    const [atEps, aboveEps] = [0.5, 0.499].map((eps) => reduceOnPlateau(1, { factor: 0.5, patience: 0, eps }));
    for (const plateau of [atEps!, aboveEps!]) for (const metric of [1, 1]) plateau.update(metric);
    expect([atEps!(0), aboveEps!(0)]).toEqual([1, 0.5]);
  });

  it("changes nothing when it refuses a metric or a state", () => {
    const plateau = reduceOnPlateau(1, { patience: 3 });
    plateau.update(5);
    plateau.update(6);
    const before = plateau.state();
    expect(before).toEqual({ value: 1, best: 5, numBadEpochs: 1, cooldownCounter: 0 });
    expect(() => plateau.update("5" as never)).toThrow("reduceOnPlateau: metric must be a number");
    for (const [key, value] of Object.entries({ value: -1, best: null, numBadEpochs: 0.5, cooldownCounter: -1 })) {
      const broken = { value: 0.5, best: 1, numBadEpochs: 0, cooldownCounter: 1, [key]: value };
      expect(() => plateau.load(broken as never)).toThrow(`reduceOnPlateau: state.${key} must be`);
    }
    expect(plateau.state()).toEqual(before);
  });

  const bad: [string, PlateauOptions][] = [
    ["factor must be < 1, got 1", { factor: 1 }],
    ["factor must be a finite number >= 0, got -0.5", { factor: -0.5 }],
    ["patience must be an integer >= 0, got 1.5", { patience: 1.5 }],
    ["cooldown must be an integer >= 0, got -1", { cooldown: -1 }],
    ["threshold must be a finite number >= 0, got NaN", { threshold: Number.NaN }],
    ["threshold must be < 1 for mode min, rel: nothing would be better, got 1", { threshold: 1 }],
    ['mode must be one of "min", "max", got "low"', { mode: "low" as never }],
    ['thresholdMode must be one of "rel", "abs", got "relative"', { thresholdMode: "relative" as never }],
    ["minLr must be a finite number >= 0, got -1", { minLr: -1 }],
    ["eps must be a finite number >= 0, got Infinity", { eps: Infinity }],
    ["eps must be a finite number >= 0, got null", { eps: null as never }],
    ["patienc is no option; known: mode, factor, patience,", { patienc: 5 } as never],
    ["min_lr is no option", { min_lr: 0.1 } as never],
    ["options must be an object, got null", null as never],
    ["options must be an object, got 0.1", 0.1 as never],
  ];
  it.each(bad)("refuses: %s", (message, options) => {
    expect(() => reduceOnPlateau(1, options)).toThrow(OptionError);
    expect(() => reduceOnPlateau(1, options)).toThrow(`reduceOnPlateau: ${message}`);
  });

  it.each<[string, unknown]>([
    ["state must be what state() gave, got null", null],
    ["state must be what state() gave, got undefined", undefined],
    ["state.value must be a finite number >= 0, got undefined", {}],
    ...["", [], true, "1", null, Number.NaN].map((best): [string, unknown] => [
      'state.best must be a number, "Infinity" or "-Infinity"',
      { value: 1, best, numBadEpochs: 0, cooldownCounter: 0 },
    ]),
  ])("load refuses, and stays as it was: %s", (message, state) => {
    const plateau = reduceOnPlateau(1);
    plateau.update(3);
    const before = plateau.state();
    expect(() => plateau.load(state as never)).toThrow(OptionError);
    expect(() => plateau.load(state as never)).toThrow(`reduceOnPlateau: ${message}`);
    expect(plateau.state()).toEqual(before);
  });

  it("takes a doubling as threshold where more is better", () => {
    const plateau = reduceOnPlateau(1, { mode: "max", threshold: 1, patience: 0 });
    expect([3, 5, 6.1].map((m) => plateau.update(m))).toEqual([false, true, false]);
  });
});
