/** What tells two runs apart. */
import type { Optimizer } from "../src/index.ts";

/** The first 16 hex digits of the SHA-256 of all parameters, in their order. */
export async function hashParams(optimizer: Optimizer): Promise<string> {
  const { tensors } = await optimizer.stateDict();
  const params = Object.values(tensors).map(({ param }) => param);
  const all = new Float32Array(params.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const param of params) {
    all.set(param, at);
    at += param.length;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
