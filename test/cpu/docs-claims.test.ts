/** What README and the guides say of the repository is there: links, headings, files, rules with their options and defaults. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import * as rules from "../../src/engine/rules.ts";
import type { Rule } from "../../src/index.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");
const TEXTS = [
  ...["README.md", "ARCHITECTURE.md", "CHANGELOG.md"],
  ...readdirSync(join(ROOT, "docs"))
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file}`),
];

/** Headings, as GitHub makes anchors of them. */
function anchors(text: string): string[] {
  const headings = text.replace(/```[\s\S]*?```/g, "").match(/^#+ .*$/gm) ?? [];
  return headings.map((heading) =>
    heading
      .replace(/^#+ /, "")
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

test.each(TEXTS)("%s links to what is there", (file) => {
  const text = read(file);
  const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link]) => {
    if (/^https?:/.test(link!)) return [];
    const [path, anchor] = link!.split("#");
    const target = path ? join(dirname(file), path) : file;
    const fits = existsSync(join(ROOT, target)) && (!anchor || anchors(read(target)).includes(anchor));
    return fits ? [] : [link];
  });
  const named = [...text.matchAll(/`((?:src|test|demo|docs|bench|shaders)\/[\w./-]*\w)`/g)].map(([, path]) => path!);
  expect([...broken, ...named.filter((path) => !existsSync(join(ROOT, path)))]).toEqual([]);
});

/** `| rule | options | decay, lr | state |` of README, one for each rule. */
const ROWS = [
  ...read("README.md").matchAll(/^\| ((?:`\w+`(?:, )?)+) \| (.*?) \| (\w+) ([\d.e-]+), ([\d.e-]+)/gm),
].flatMap(([, names, options, mode, decay, lr]) =>
  [...names!.matchAll(/\w+/g)].map(([name]) => ({ name, options: options!, mode, decay, lr })),
);

test.each(ROWS)("README's row of $name", ({ name, options, mode, decay, lr }) => {
  const rule = (rules as unknown as Record<string, () => Rule>)[name]!();
  const { decayMode = "decoupled", weightDecay = 0, lr: own = 1e-3 } = rule.definition;
  expect([mode, Number(decay), Number(lr)]).toEqual([decayMode, weightDecay, own]);
  // Some rows refer to others.
  if (!/the same|as `adam`|as above/.test(options))
    for (const option of Object.keys(rule.options)) expect(options).toMatch(new RegExp(`\\b${option}\\b`));
  for (const [, option, text] of options.matchAll(/(\w+) \(([^)]*)\)/g)) {
    const value = (rule.options as Record<string, unknown>)[option!];
    // Another rule's row: scheduleFreeRadam has no warmupSteps.
    if (value === undefined) continue;
    const first = Array.isArray(value) ? text : text!.split(/[ ,]/)[0];
    if (!/^TensorFlow/.test(text!)) expect(first).toBe(shown(value, first!));
  }
});

/** A default in README's words. */
function shown(value: unknown, like: string): string {
  if (typeof value === "number") return Number(like) === value ? like : String(value);
  return Array.isArray(value) ? value.map((x, i) => shown(x, like.split(", ")[i] ?? "")).join(", ") : String(value);
}

test("README has a row for each rule, and counts them", () => {
  const { muonWithAuxAdam: _, ...all } = rules;
  const names = Object.keys(all).filter((name) => /^[a-z]/.test(name));
  expect(ROWS.map(({ name }) => name).sort()).toEqual(names.sort());
  expect(read("README.md")).toContain(`${names.length} rules`);
});
