/**
 * `npm run conformance -- FILE_OR_DIR...`: runs golden files in headless Chrome through the public API of the engine.
 * A broken file is an error, a case that nothing can run is named, and the last line says how many passed.
 */

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { casesOf, type Outcome } from "./cases.ts";
import { type Criterion, HARDWARE, SOFTWARE } from "./compare.ts";
import { checkInputs, parseGolden } from "./golden/parse.ts";
import type { PageMessage, PageParameters } from "./page.ts";

interface Options {
  json?: string;
  hardware?: boolean;
  k?: number;
  f?: number;
  only: string;
  timeout: number;
}

/** A file whose cases are to be run in the page, and the ids that have not come back yet. */
interface Runnable {
  readonly path: string;
  readonly pending: Set<string>;
}

interface Result extends Outcome {
  readonly file: string;
}

const results: Result[] = [];

function report(file: string, outcome: Outcome): void {
  results.push({ file, ...outcome });
  const { status, id, compared, worst, where, messages } = outcome;
  const share = `${worst.toPrecision(2)} of the budget${where && ` at ${where}`}, ${compared} values`;
  console.log(`${status} ${file} ${id}: ${status === "passed" ? share : messages.join("\n  ")}`);
}

function fail(file: string, id: string, message: string): void {
  report(file, { id, status: "failed", compared: 0, worst: 0, where: "", messages: [message] });
}

/** The golden files among the arguments: files as they are, folders with every `.json` file in and below them. */
function collect(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (!existsSync(path)) {
      fail(path, "(file)", "there is no such file or folder");
      return [];
    }
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".json"))
      .sort()
      .map((name) => join(path, name));
  });
}

/** Checks a file and says what of it is to be run; a broken one fails, and what nothing can run is skipped here. */
function prepare(path: string, only: string): Runnable | undefined {
  try {
    const golden = parseGolden(readFileSync(path, "utf8"));
    checkInputs(golden);
    const cases = casesOf(golden).filter(({ id }) => id.includes(only));
    for (const { id, skip } of cases) {
      if (skip !== undefined)
        report(path, { id, status: "skipped", compared: 0, worst: 0, where: "", messages: [skip] });
    }
    return { path, pending: new Set(cases.flatMap(({ id, skip }) => (skip === undefined ? [id] : []))) };
  } catch (error) {
    fail(path, "(file)", error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

async function runInPage(
  files: readonly Runnable[],
  criterion: Criterion,
  { only, timeout }: Options,
): Promise<string> {
  let adapter = "";
  const urls = files.map((_, i) => `/golden/${i}.json`);
  try {
    // Vite and the browser driver take a second to load, which a broken file need not wait for.
    const { runPage } = await import("../browser/serve.ts");
    await runPage({
      path: "test/conformance/page.ts",
      parameters: { urls, criterion, only } satisfies PageParameters,
      routes: Object.fromEntries(urls.map((url, i) => [url, () => readFileSync(files[i]!.path)])),
      timeoutMs: timeout * 1000,
      onMessage(value) {
        const message = value as PageMessage;
        if ("adapter" in message) {
          adapter = message.adapter;
          console.log(`on ${adapter}`);
          return;
        }
        const { path, pending } = files[message.file]!;
        pending.delete(message.outcome.id);
        report(path, message.outcome);
      },
    });
  } catch (error) {
    fail("the page", "(all)", error instanceof Error ? error.message : String(error));
  }
  for (const { path, pending } of files) {
    for (const id of pending) fail(path, id, "has not been run");
  }
  return adapter;
}

function positive(value: string): number {
  const number = Number(value);
  if (!(number > 0 && number < Infinity)) throw new InvalidArgumentError("must be a number above 0");
  return number;
}

async function main(paths: string[], options: Options): Promise<void> {
  const preset = options.hardware ? HARDWARE : SOFTWARE;
  const criterion = { ...preset, k: options.k ?? preset.k, f: options.f ?? preset.f };
  const files = collect(paths).flatMap((path) => prepare(path, options.only) ?? []);
  const runnable = files.filter(({ pending }) => pending.size > 0);
  const adapter = runnable.length > 0 ? await runInPage(runnable, criterion, options) : "";
  if (results.length === 0) console.error("there is no case in what was given");

  const count = (status: Outcome["status"]) => results.filter((result) => result.status === status).length;
  const [passed, failed, skipped] = [count("passed"), count("failed"), count("skipped")];
  if (options.json) {
    writeFileSync(options.json, toJson({ adapter, criterion, passed, failed, skipped, results }));
  }
  process.exitCode = failed > 0 || results.length === 0 ? 1 : 0;
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}

/** JSON with the names of the golden format for what JSON has no numbers for. */
function toJson(value: unknown): string {
  const nameless = (_key: string, v: unknown) =>
    typeof v === "number" && !Number.isFinite(v) ? (Number.isNaN(v) ? "nan" : v > 0 ? "inf" : "-inf") : v;
  return `${JSON.stringify(value, nameless, 2)}\n`;
}

await new Command("conformance")
  .description("Runs golden files against the engine in headless Chrome.")
  .argument("<paths...>", "golden files, or folders with them")
  .option("--json <file>", "write all results there")
  .option("--hardware", "tolerances for a GPU whose division and square root are not correctly rounded")
  .option("--k <number>", "how many times the reference's own float32 error is allowed (default 4)", positive)
  .option(
    "--f <number>",
    "how many half units in the last place are allowed besides (default 8; --hardware: 16)",
    positive,
  )
  .option("--only <text>", "only cases whose id contains this", "")
  .option("--timeout <seconds>", "for the whole run", positive, 1800)
  .action(main)
  .parseAsync();
