/**
 * `npm test`: gets a browser, runs all tests and then the golden data, and ends with one line, `N passed, N failed`.
 * Arguments go to Vitest (`npm test -- --project cpu schedules`); with any, the golden data is left out.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureBrowser } from "./browser/ensure-browser.ts";
import { conformanceTally, type Tally, vitestTally } from "./tally.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/**
 * How long one of the two may take, in minutes. A page that never yields (an endless loop, a hung GPU process) answers no
 * one, and Vitest waits for it for ever.
 */
const LIMIT = 20;

/** Runs Node with these arguments and resolves with the exit status and what it wrote to stdout, which is shown as well. */
function node(args: readonly string[], keepOutput: boolean): Promise<{ status: number; output: string }> {
  return new Promise((resolve, reject) => {
    // Vitest draws better on a terminal of its own, so only output that is needed goes through a pipe.
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      stdio: ["ignore", keepOutput ? "pipe" : "inherit", "inherit"],
    });
    let output = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      process.stdout.write(text);
    });
    const timers = [
      setTimeout(() => {
        console.error(`npm test: not done after ${LIMIT} minutes; ending it`);
        child.kill("SIGTERM");
      }, LIMIT * 60_000),
      // Vitest closes its pages on SIGTERM, which hangs where a page does. Without Vitest the browser ends by itself.
      setTimeout(() => child.kill("SIGKILL"), LIMIT * 60_000 + 10_000),
    ];
    const clear = () => timers.forEach(clearTimeout);
    child.on("error", (error) => {
      clear();
      reject(error);
    });
    child.on("close", (code) => {
      clear();
      resolve({ status: code ?? 1, output });
    });
  });
}

async function runVitest(args: readonly string[]): Promise<Tally> {
  const folder = mkdtempSync(join(tmpdir(), "webgpu-optim-test-"));
  const report = join(folder, "report.json");
  try {
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const { status } = await node(["node_modules/vitest/vitest.mjs", "run", ...reporters, ...args], false);
    let text: string | undefined;
    try {
      text = readFileSync(report, "utf8");
    } catch {
      // It ended before it wrote a report; the tally says so.
    }
    return vitestTally(text, status);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runConformance(): Promise<Tally> {
  const { status, output } = await node(["--import", "tsx", "test/conformance/run.ts", "test/golden"], true);
  return conformanceTally(output, status);
}

const args = process.argv.slice(2);
await ensureBrowser();
const tallies = [await runVitest(args)];
if (args.length === 0) tallies.push(await runConformance());
for (const { problem } of tallies) if (problem) console.error(`npm test: ${problem}`);

const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0);
const failed = tallies.reduce((sum, tally) => sum + tally.failed, 0);
process.exitCode = failed > 0 ? 1 : 0;
console.log(`${passed} passed, ${failed} failed`);
