/** Schedules made of schedules, as lr and as weight decay. */

import { describe, expect, it } from "vitest";
import { constant, cosine, exponential, linear, type Schedule, stepDecay } from "../../src/engine/schedules.ts";
import { chained, delay, multiplicative, sequential, warmup } from "../../src/engine/schedules-compose.ts";

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe("composition", () => {
  const inners: [string, Schedule][] = [
    ["constant", constant(0.3)],
    ["cosine", cosine(0.3, 300)],
    ["fast exponential", exponential(0.3, 0.9)],
    ["stepDecay", stepDecay(0.3, 3)],
  ];
  it.each(inners)("warmup rises in a straight line to %s and then is it", (_, inner) => {
    const schedule = warmup(40, inner);
    const peak = inner(40);
    expect(schedule(0)).toBe(0);
    expect(schedule(20)).toBe(peak / 2);
    for (const t of range(40)) expect(schedule(t + 1)).toBeGreaterThan(schedule(t));
    for (const t of range(300)) expect(schedule(40 + t)).toBe(inner(40 + t));
    expect(warmup(40, inner, { start: 0.25 })(0)).toBe(peak / 4);
    expect(warmup(0, inner)(0)).toBe(inner(0));
  });

  it("warmup of a delayed cosine is optax warmup_cosine_decay_schedule", () => {
    const schedule = warmup(200, delay(200, cosine(3e-4, 9800)));
    const joined = sequential([linear(3e-4, 200, { startFactor: 0 }), cosine(3e-4, 9800)], [200]);
    for (const t of range(11_000)) {
      const falling = 0.5 * 3e-4 * (1 + Math.cos((Math.PI * Math.min(t - 200, 9800)) / 9800));
      const want = t < 200 ? (3e-4 * t) / 200 : falling;
      // Each side rounds a few times, always relative to the peak.
      expect(Math.abs(schedule(t) - want)).toBeLessThan(1e-15 * 3e-4);
      expect(Math.abs(joined(t) - want)).toBeLessThan(1e-15 * 3e-4);
    }
  });

  it("sequential starts each schedule from 0 at its milestone, and passes over one of no length", () => {
    const identity: Schedule = (t) => t;
    const schedule = sequential([identity, (t) => 100 + t, () => Number.NaN, (t) => 200 + t], [3, 5, 5]);
    expect([0, 2, 2.5, 3, 4.5, 5, 7].map(schedule)).toEqual([0, 2, 2.5, 100, 101.5, 200, 202]);
  });

  it("sequential and chained keep their own copy of the lists", () => {
    const [parts, milestones] = [[constant(1), constant(2)], [5]];
    const [joined, product] = [sequential(parts, milestones), chained(1, parts)];
    parts.reverse();
    milestones[0] = 0;
    parts.push(constant(0));
    expect([joined(4), joined(5), product(0)]).toEqual([1, 2, 2]);
  });

  it("multiplicative asks for each factor once on the way up", () => {
    let calls = 0;
    const schedule = multiplicative(1, () => {
      calls++;
      return 0.999;
    });
    for (const t of range(1000)) schedule(t);
    expect(calls).toBe(999);
    expect(schedule(2)).toBe(0.999 * 0.999);
    expect(calls).toBe(1001);
  });

  it("weight decay: a late start, a warm-up and a decrease are the same schedules", () => {
    const late = delay(1000, linear(0.1, 500, { startFactor: 0 }));
    expect([0, 999, 1000, 1250, 1500, 9999].map(late)).toEqual([0, 0, 0, 0.05, 0.1, 0.1]);
    const rising = warmup(400, constant(0.1));
    expect([0, 100, 400, 9999].map(rising)).toEqual([0, 0.025, 0.1, 0.1]);
    const falling = linear(0.1, 1000, { startFactor: 1, endFactor: 0 });
    expect([0, 500, 1000, 9999].map(falling)).toEqual([0.1, 0.05, 0, 0]);
    const all = delay(1000, warmup(500, delay(500, cosine(0.2, 1000, { etaMin: 0.1 }))));
    expect([999, 1250, 1500, 2500, 9999].map(all)).toEqual([0, 0.1, 0.2, 0.1, 0.1]);
    expect(all(2000)).toBeCloseTo(0.15, 15);
  });
});
