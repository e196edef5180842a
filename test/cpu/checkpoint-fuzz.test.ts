/** Two thousand broken checkpoint files: each is refused with a typed error, or read right, within bounded memory. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { FuzzReport } from "../checkpoint-fuzz.ts";

const SCRIPT = fileURLToPath(new URL("../checkpoint-fuzz.ts", import.meta.url));
const FILES = 2000;
/** Nothing but the reader allocates or frees while it is measured: one thread, and a young generation that does not fill up. */
const FLAGS = ["--expose-gc", "--single-threaded", "--min-semi-space-size=256", "--max-semi-space-size=256"];

// 8 seconds of a processor, which may be busy with other tests.
test("2000 mutated files", { timeout: 240_000 }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...FLAGS, "--import", "tsx", SCRIPT, String(FILES)], {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  expect(status, stderr).toBe(0);
  const report = JSON.parse(stdout) as FuzzReport;
  expect(report.faults).toEqual([]);
  const counts = Object.values(report.kinds);
  expect(counts.reduce((sum, { read, refused }) => sum + read + refused, 0)).toBe(FILES);
  expect(counts.length).toBeGreaterThan(25);
  // Both happen, or the files would be too bad or too good to tell anything.
  for (const kind of ["many empty tensors", "giant metadata", "header bits", "group bits"]) {
    expect(report.kinds[kind]!.read, kind).toBeGreaterThan(0);
    expect(report.kinds[kind]!.refused, kind).toBeGreaterThan(0);
  }
  expect(report.least, "the collector has not come in between").toBeGreaterThan(0);
  expect(report.mostBeyondSize, report.mostFrom).toBeLessThan(2 ** 20);
  // And what is measured is what is counted: a tenth of it would mean that the measure misses most.
  expect(report.mostBeyondSize, report.mostFrom).toBeGreaterThan(2 ** 20 / 4);
});
