/** `npm run bench`: runs the suites in headless Chrome and prints a Markdown table. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { Command, InvalidArgumentError, Option } from "commander";
import { runPage } from "../test/browser/serve.ts";
import { type CaseName, caseNames } from "./cases.ts";
import { judge } from "./limits.ts";
import { type Header, markdown } from "./report.ts";
import {
  type AdapterNames,
  type BenchMessage,
  type BenchRequest,
  type Row,
  type SuiteName,
  suiteNames,
} from "./suite.ts";

const root = new URL("..", import.meta.url);
const peers = ["@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-webgpu", "@jax-js/jax"];

const positive = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("must be a whole number from 1.");
  return value;
};
const command = new Command("bench")
  .description("AdamW steps of this package, its peers and its floors, in one page and one run.")
  .addOption(new Option("--suite <names...>", "suites to run").choices(suiteNames).default([...suiteNames]))
  .option("--case <names...>", `of the suites that step AdamW: ${caseNames.join(", ")}; of rules: a rule; default all`)
  .option("--impl <names...>", 'implementations ("ours" always runs: ratios are to it); default all', [])
  .option("--rounds <n>", "rounds of timing; the reported times are medians over them", positive, 15)
  .option("--soak-steps <n>", "steps of the soak suite", positive, 20_000)
  .option("--json <file>", "write header and rows to this file")
  .option("--enforce", "end with status 1 where a limit is missed", false)
  .parse();
const options = command.opts<{
  suite: SuiteName[];
  case?: string[];
  impl: string[];
  rounds: number;
  soakSteps: number;
  json?: string;
  enforce: boolean;
}>();

const isCaseName = (name: string): name is CaseName => (caseNames as readonly string[]).includes(name);
const cases = options.case?.filter(isCaseName) ?? [...caseNames];
// Only the page knows the library's rules: the suite refuses what is none.
const rules = options.case?.filter((name) => !isCaseName(name)) ?? [];
if (rules.length && !options.suite.includes("rules")) command.error(`error: there is no case "${rules[0]}"`);

const request: BenchRequest = {
  suites: options.suite,
  cases,
  rules,
  impls: options.impl,
  rounds: options.rounds,
  soakSteps: options.soakSteps,
};
const rows: Row[] = [];
let adapter: AdapterNames = { vendor: "", architecture: "", description: "" };
let browserVersion = "";

await runPage({
  path: "bench/page.ts",
  parameters: request,
  packages: [...peers, "@tensorflow/tfjs-core/dist/register_all_gradients"],
  args: ["--js-flags=--expose-gc", "--enable-precise-memory-info"],
  timeoutMs: 60 * 60_000,
  onPage: async (_page, browser) => {
    browserVersion = await browser.version();
  },
  onMessage: (message) => {
    const told = message as BenchMessage;
    if (told.type === "row") rows.push(told.row);
    else if (told.type === "adapter") adapter = told.adapter;
    else console.error(told.text);
  },
});

const header: Header = {
  date: new Date().toISOString(),
  commit: commit(),
  browser: browserVersion,
  adapter,
  platform: `${process.platform} ${process.arch}`,
  cpu: `${cpus().length} x ${cpus()[0]?.model.trim() ?? "unknown CPU"}`,
  versions: Object.fromEntries(peers.map((name) => [name, packageVersion(name)])),
  rounds: options.rounds,
};
const verdicts = judge(rows);
if (options.json) writeFileSync(options.json, `${JSON.stringify({ header, rows, verdicts }, null, 2)}\n`);
console.log(markdown(header, rows, verdicts));
const missed = verdicts.filter(({ ok }) => !ok);
if (options.enforce && missed.length) process.exitCode = 1;

/** The checked-out commit, with a plus sign where the work tree differs from it. */
function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain") ? "+" : "");
  } catch {
    return "unknown";
  }
}

function packageVersion(name: string): string {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, root), "utf8")).version;
}
