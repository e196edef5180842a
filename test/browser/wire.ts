/**
 * JSON between a page and Node that keeps every number: NaN, the infinities and -0 are figures here, and plain JSON turns
 * them into null and 0. Typed arrays become arrays of numbers.
 */
const KEY = "$number";

/** Text of a plain value; what decode() returns for it has the same numbers. */
export function encode(value: unknown): string {
  const text = JSON.stringify(value, (_key, v: unknown) => {
    if (typeof v === "number" && (!Number.isFinite(v) || Object.is(v, -0))) {
      return { [KEY]: Object.is(v, -0) ? "-0" : String(v) };
    }
    // Elements must pass through the replacer, so this copies into a plain array.
    return ArrayBuffer.isView(v) ? Array.from(v as Float32Array) : v;
  });
  return text ?? "null";
}

/** The value behind the text of encode(). */
export function decode(text: string): unknown {
  return JSON.parse(text, (_key, v: unknown) => {
    if (typeof v === "object" && v !== null && KEY in v) return Number((v as Record<string, unknown>)[KEY]);
    return v;
  });
}
