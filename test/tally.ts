/** How many tests of a run passed and failed. What goes wrong outside a test counts as one failure and has a `problem`. */
export interface Tally {
  passed: number;
  failed: number;
  problem?: string;
}

/** What is read of Vitest's JSON report. */
interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { name: string; status: string; message?: string; assertionResults: { status: string }[] }[];
}

/**
 * Of a Vitest run, from its JSON report (undefined if it wrote none) and exit status. A file that fails before its tests
 * run, an unhandled error, a crash and a run without any test are failures too.
 */
export function vitestTally(report: string | undefined, status: number): Tally {
  if (report === undefined)
    return { passed: 0, failed: 1, problem: `vitest ended with status ${status} and no report` };
  const { numPassedTests: passed, numFailedTests, testResults } = JSON.parse(report) as VitestReport;
  const broken = testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((result) => result.status === "failed"),
  );
  const failed = numFailedTests + broken.length;
  if (failed === 0 && passed === 0) return { passed, failed: 1, problem: "vitest ran no test" };
  if (failed === 0 && status !== 0) {
    return {
      passed,
      failed: 1,
      problem: `vitest ended with status ${status} though no test failed; see its errors above`,
    };
  }
  if (broken.length === 0) return { passed, failed };
  return { passed, failed, problem: `failed outside its tests: ${broken.map((file) => file.name).join(", ")}` };
}

/** Of a conformance run, from its output, which ends with `N passed, N failed, N skipped`, and its exit status. */
export function conformanceTally(output: string, status: number): Tally {
  const last = output.trimEnd().split("\n").at(-1) ?? "";
  const figures = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(last);
  if (!figures)
    return { passed: 0, failed: 1, problem: `the conformance run ended with status ${status} and no result` };
  const passed = Number(figures[1]);
  const failed = Number(figures[2]);
  if (failed === 0 && passed === 0) return { passed, failed: 1, problem: "the conformance run had no case" };
  if (failed === 0 && status !== 0) {
    return { passed, failed: 1, problem: `the conformance run ended with status ${status} though no case failed` };
  }
  return { passed, failed };
}
