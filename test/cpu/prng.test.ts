import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { elementCount, generate, hash, type ValueSpec, words } from "../reference/prng.ts";

interface Vectors {
  words: { seed: number; stream: number; step: number; index: number; w1: number; w2: number }[];
  cases: {
    spec: ValueSpec;
    seed: number;
    stream: number;
    step: number;
    values: number[];
    bits: number[];
    hash1000: number;
  }[];
}

const golden = JSON.parse(readFileSync(new URL("../golden/prng.json", import.meta.url), "utf8")) as Vectors;

describe("words", () => {
  it("has vectors to be checked against", () => {
    expect(golden.words.length).toBeGreaterThanOrEqual(8);
    expect(golden.cases.length).toBeGreaterThanOrEqual(26);
  });

  for (const { seed, stream, step, index, w1, w2 } of golden.words) {
    it(`of seed ${seed}, stream ${stream}, step ${step}, element ${index}`, () => {
      expect(words(seed, stream, step, index)).toEqual({ w1, w2 });
    });
  }

  it("wraps around at 32 bits instead of losing the low ones", () => {
    expect(words(4294967295, 65536, 25, 1000)).toEqual({ w1: 2750918965, w2: 165002074 });
  });
});

describe("generate", () => {
  for (const { spec, seed, stream, step, values, bits, hash1000 } of golden.cases) {
    it(`${JSON.stringify(spec)} of seed ${seed}, stream ${stream}`, () => {
      const made = generate(spec, seed, stream, step, 1000);
      expect([...new Uint32Array(made.buffer, 0, 8)]).toEqual(bits);
      expect(hash(made)).toBe(hash1000);
      // The decimals stand there for people, with 9 digits: half a unit of the ninth is at most 5e-9 of the value.
      values.forEach((value, i) => {
        expect(Math.abs(made[i]! - value)).toBeLessThanOrEqual(5e-9 * Math.abs(value));
      });
    });
  }

  it("makes the same first values whatever the size", () => {
    const spec = { kind: "elem", lo: -20, hi: 4, zero: 8 } as const;
    expect([...generate(spec, 7, 3, 2, 1000).subarray(0, 17)]).toEqual([...generate(spec, 7, 3, 2, 17)]);
  });

  it("repeats `const` at every step, and only `const`", () => {
    const constant = { kind: "const", scale: 1 } as const;
    const uniform = { kind: "uniform", scale: 1 } as const;
    expect(generate(constant, 5, 1, 1, 9)).toEqual(generate(constant, 5, 1, 2, 9));
    expect(generate(uniform, 5, 1, 1, 9)).not.toEqual(generate(uniform, 5, 1, 2, 9));
  });

  it("keeps the magnitude of an `elem` element within a factor of two over the steps", () => {
    const spec = { kind: "elem", lo: -20, hi: 4, zero: 0 } as const;
    const one = generate(spec, 11, 0, 1, 64);
    const two = generate(spec, 11, 0, 2, 64);
    expect(one).not.toEqual(two);
    one.forEach((value, i) => {
      expect(Math.floor(Math.log2(Math.abs(value)))).toBe(Math.floor(Math.log2(Math.abs(two[i]!))));
    });
  });
});

describe("hash", () => {
  it("of a sequence of tensors equals that of their concatenation", () => {
    const a = generate({ kind: "uniform", scale: 1 }, 1, 0, 1, 5);
    const b = generate({ kind: "normal", scale: 1 }, 1, 1, 1, 3);
    expect(hash(b, hash(a))).toBe(hash(new Float32Array([...a, ...b])));
  });

  it("tells -0 from 0, and one order from another", () => {
    expect(hash(new Float32Array([0]))).not.toBe(hash(new Float32Array([-0])));
    expect(hash(new Float32Array([1, 2]))).not.toBe(hash(new Float32Array([2, 1])));
  });

  it("hashes a view into a larger buffer by its own elements", () => {
    const whole = new Float32Array([9, 1, 2, 9]);
    expect(hash(whole.subarray(1, 3))).toBe(hash(new Float32Array([1, 2])));
  });
});

it("counts the elements of a shape", () => {
  expect(elementCount([])).toBe(1);
  expect(elementCount([2, 3, 3, 3])).toBe(54);
});
