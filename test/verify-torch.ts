/**
 * `npm run verify:torch`: a run of 20 steps in PyTorch, 20 in the engine from its checkpoint, and 20 more in PyTorch from ours,
 * against 60 in PyTorch. Gets PyTorch where there is none: `apt-get install python3-torch` on Debian as root (129 MB to fetch,
 * 573 MB on disk). `-- --update` keeps the files with which `npm test` repeats the middle part.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { readCheckpoint } from "../src/checkpoint/index.ts";
import { ensureBrowser } from "./browser/ensure-browser.ts";
import { runPage } from "./browser/serve.ts";
import { Comparison, HARDWARE, SOFTWARE } from "./conformance/compare.ts";
import { casesFor, compareWithTruth, STEPS } from "./torch-bridge/truth.ts";

const SCRIPT = fileURLToPath(new URL("torch-bridge/run.py", import.meta.url));
const FIXTURES = fileURLToPath(new URL("golden/torch-bridge/", import.meta.url));

/** A Python that has PyTorch; Debian's package is for the system's own, which need not be the first one. */
function findPython(): { path: string; version: string } | undefined {
  for (const path of [process.env.WEBGPU_OPTIM_PYTHON, "/usr/bin/python3", "python3", "python"]) {
    if (!path) continue;
    const { status, stdout } = spawnSync(path, ["-c", "import numpy, torch; print(torch.__version__)"], {
      encoding: "utf8",
    });
    if (status === 0) return { path, version: stdout.trim() };
  }
  return undefined;
}

function ensurePython(): { path: string; version: string } {
  const found = findPython();
  if (found) return found;
  if (process.platform === "linux" && process.getuid?.() === 0) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    // Another apt may be at work, and mirrors fail now and then.
    const patience = ["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"];
    for (const args of [["update"], ["install", "-y", "--no-install-recommends", "python3-torch"]]) {
      console.error(`torch: apt-get ${args.join(" ")}`);
      spawnSync("apt-get", [...patience, ...args], { env, stdio: ["ignore", 2, 2] });
    }
  }
  const installed = findPython();
  if (!installed) throw new Error("No Python with PyTorch and NumPy; set WEBGPU_OPTIM_PYTHON to one, or install them");
  return installed;
}

function python(path: string, part: "start" | "finish" | "resume", folder: string): void {
  // Python would leave a folder of compiled files beside the bridge.
  const { status, error } = spawnSync(path, ["-B", SCRIPT, part, folder], { stdio: ["ignore", 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${SCRIPT} ${part} ended with status ${status}`);
}

function report(id: string, step: number, folder: string, software: boolean): boolean {
  const read = (name: string): ArrayBuffer => new Uint8Array(readFileSync(join(folder, `${name}.safetensors`))).buffer;
  const comparison = new Comparison(software ? SOFTWARE : HARDWARE);
  compareWithTruth(comparison, step, readCheckpoint(read(`${id}-${step}`)), read(`${id}-${step}-truth`));
  const { passed, compared, worst, where, messages } = comparison;
  console.log(
    `${passed ? "passed" : "failed"} ${id}, step ${step}: ${compared} values, ${worst.toPrecision(2)} of the budget at ${where}` +
      (passed ? "" : `\n  ${messages.join("\n  ")}`),
  );
  return passed;
}

async function main({ update }: { update?: boolean }): Promise<void> {
  const { path, version } = ensurePython();
  await ensureBrowser();
  const folder = mkdtempSync(join(tmpdir(), "webgpu-optim-torch-"));
  try {
    python(path, "resume", folder);
    console.log(`PyTorch ${version} (${path})`);
    console.log("passed docs/torch_bridge.py: saved and loaded, every class goes on bit for bit");
    python(path, "start", folder);
    let software = true;
    const cases = casesFor(version);
    for (const id of cases) {
      const { adapter, file } = await runPage<{ adapter: string; file: number[] }>({
        path: "test/torch-bridge/page.ts",
        parameters: { id, url: "/file" },
        routes: { "/file": () => readFileSync(join(folder, `${id}-20.safetensors`)) },
      });
      writeFileSync(join(folder, `${id}-40.safetensors`), Uint8Array.from(file));
      software = /swiftshader|llvmpipe/i.test(adapter);
      if (id === cases[0]) console.log(`the engine on ${adapter}`);
    }
    python(path, "finish", folder);
    const passed = cases.map((id) => [2, 3].map((part) => report(id, part * STEPS, folder, software)));
    const failed = passed.flat().filter((ok) => !ok).length;
    if (update && failed === 0) {
      mkdirSync(FIXTURES, { recursive: true });
      for (const name of cases.flatMap((id) => [`${id}-20`, `${id}-40-truth`]))
        copyFileSync(join(folder, `${name}.safetensors`), join(FIXTURES, `${name}.safetensors`));
    }
    console.log(`${passed.flat().length - failed} passed, ${failed} failed`);
    process.exitCode = failed > 0 ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await new Command("verify:torch")
  .description("Runs that go from PyTorch to the engine and back, against PyTorch alone.")
  .option("--update", "keep the files for npm test, if all is well")
  .action(main)
  .parseAsync();
