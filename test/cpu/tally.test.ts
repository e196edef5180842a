import { describe, expect, test } from "vitest";
import { conformanceTally, vitestTally } from "../tally.ts";

const file = (status: string, ...tests: string[]) => ({
  name: "a.test.ts",
  status,
  assertionResults: tests.map((result) => ({ status: result })),
});
const report = (numPassedTests: number, numFailedTests: number, ...testResults: object[]) =>
  JSON.stringify({ numPassedTests, numFailedTests, testResults });

describe("vitestTally", () => {
  test("counts tests, not files", () => {
    expect(vitestTally(report(2, 0, file("passed", "passed", "passed")), 0)).toEqual({ passed: 2, failed: 0 });
    expect(vitestTally(report(1, 1, file("failed", "passed", "failed")), 1)).toEqual({ passed: 1, failed: 1 });
  });

  test("a file that does not load is a failure", () => {
    const tally = vitestTally(report(2, 0, file("passed", "passed", "passed"), file("failed")), 1);
    expect(tally).toEqual({ passed: 2, failed: 1, problem: "failed outside its tests: a.test.ts" });
  });

  test.each([
    ["an unhandled error", report(2, 0, file("passed", "passed", "passed")), 1, 2],
    ["no test", report(0, 0), 0, 0],
    ["a crash", undefined, 134, 0],
  ])("%s is a failure", (_, text, status, passed) => {
    expect(vitestTally(text, status)).toEqual({ passed, failed: 1, problem: expect.any(String) });
  });
});

describe("conformanceTally", () => {
  test("reads the last line", () => {
    expect(conformanceTally("1 passed, 1 failed, 1 skipped\n52 passed, 0 failed, 3 skipped\n", 0)).toEqual({
      passed: 52,
      failed: 0,
    });
    expect(conformanceTally("50 passed, 2 failed, 0 skipped\n", 1)).toEqual({ passed: 50, failed: 2 });
  });

  test.each([
    ["no result", "Cannot find module", 1, 0],
    ["a result that is not last", "5 passed, 0 failed, 0 skipped\nTypeError: x", 1, 0],
    ["no case", "0 passed, 0 failed, 9 skipped", 0, 0],
    ["a bad end", "5 passed, 0 failed, 0 skipped", 1, 5],
  ])("%s is a failure", (_, output, status, passed) => {
    expect(conformanceTally(output, status)).toEqual({ passed, failed: 1, problem: expect.any(String) });
  });
});
