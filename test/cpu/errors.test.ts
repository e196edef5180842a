/** How values stand in messages: what was given must be recognized, whatever it is. */
import { expect, test } from "vitest";
import { OptionError } from "../../src/index.ts";

class Scaler {
  readonly scale = 4;
}

const circle: unknown[] = [1];
circle.push(circle);

const messageOf = (value: unknown) => new OptionError("sgd", "lr", "must be else", value).message;

test.each<[unknown, string]>([
  ["text", '"text"'],
  ["x".repeat(100), `"${"x".repeat(57)}..."`],
  [undefined, "undefined"],
  [Number.NaN, "NaN"],
  [10n, "10n"],
  [Symbol("s"), "Symbol(s)"],
  [/a.c/g, "/a.c/g"],
  [function half() {}, "function half"],
  [new Float32Array(3), "Float32Array(12 bytes)"],
  [new Scaler(), "Scaler"],
  [Promise.resolve(1), "Promise"],
  [new Map([["a", 1]]), "Map"],
  [[Number.NaN, -Infinity, "NaN", undefined, null], '[NaN,-Infinity,"NaN",undefined,null]'],
  [{ lr: Infinity, betas: [0.9, Number.NaN], of: new Scaler() }, '{"lr":Infinity,"betas":[0.9,NaN],"of":Scaler}'],
  [Object.assign(Object.create(null), { a: 1n }), '{"a":1n}'],
  [[], "[]"],
  [{}, "{}"],
  [circle, "[1,[1,[1,Array]]]"],
  [Array.from({ length: 1000 }, () => 7), `[${"7,".repeat(38)}...`],
  [
    {
      get lr(): number {
        throw new Error("not now");
      },
    },
    "object",
  ],
])("%#: ends with what was given", (value, shown) => {
  expect(messageOf(value)).toBe(`sgd: lr must be else, got ${shown}`);
});

test("a proxy that has been revoked is no reason to fail", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  expect(messageOf(proxy)).toBe("sgd: lr must be else, got object");
});
