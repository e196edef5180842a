/**
 * What the library adds to a user's bundle: `npm run check` prints the sizes of a few imports from `dist`, minified and
 * gzipped, and fails where one is over its budget or holds what was not imported.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import Table from "cli-table3";
import { build } from "vite";
import { stripWgsl } from "../vite-wgsl.ts";

interface Bundle {
  /** What of the package is imported from; default its root. */
  readonly entry?: string;
  /** What the user imports; `*` is everything. */
  readonly imports: readonly string[];
  /** Most bytes, minified and gzipped. */
  readonly budget?: number;
  /** Stems of the WGSL files of the rules that may be in it. */
  readonly rules: readonly string[];
  /** It may not hold the engine. */
  readonly withoutEngine?: boolean;
}

const ENGINE = "createComputePipelineAsync";

/** By the stem of its file, a line of each rule's WGSL that stands in no other rule. */
const MARKS: ReadonlyMap<string, string> = marks();

function marks(): Map<string, string> {
  const folder = new URL("../shaders/rules/", import.meta.url);
  const texts = readdirSync(folder).map((file) => {
    const lines = stripWgsl(readFileSync(new URL(file, folder), "utf8")).split("\n");
    return [file.replace(".wgsl", ""), lines] as const;
  });
  return new Map(
    texts.map(([name, lines]) => {
      const own = lines.filter((line) => texts.every(([other, others]) => other === name || !others.includes(line)));
      const [longest] = own.sort((a, b) => b.length - a.length);
      if (longest === undefined) throw new Error(`rules/${name}.wgsl has no line of its own`);
      return [name, longest];
    }),
  );
}

const BUNDLES: readonly Bundle[] = [
  // The aim is 12 000; this holds what has been reached.
  { imports: ["createOptimizer", "adamw"], budget: 27_000, rules: ["adam"] },
  { imports: ["createOptimizer", "sgd"], rules: ["sgd"] },
  { imports: ["createOptimizer", "lion"], rules: ["lion"] },
  { imports: ["createOptimizer", "nadam"], rules: ["nadam"] },
  { imports: ["createOptimizer"], rules: [] },
  { imports: ["adamw"], rules: ["adam"], withoutEngine: true },
  { imports: ["cosine"], rules: [], withoutEngine: true },
  { imports: ["*"], rules: [...MARKS.keys()] },
  {
    entry: "checkpoint/index",
    imports: ["readCheckpoint", "writeCheckpoint"],
    budget: 6000,
    rules: [],
    withoutEngine: true,
  },
  { entry: "checkpoint/index", imports: ["*"], budget: 8100, rules: [], withoutEngine: true },
];

/** What an adapter may add to the engine, minified and gzipped, and the one framework that it may import. */
interface Adapter {
  readonly entry: string;
  readonly imports: readonly string[];
  readonly budget: number;
  readonly packages: readonly string[];
}

const ADAPTERS: readonly Adapter[] = [
  { entry: "jax/index", imports: ["fused", "named"], budget: 6000, packages: ["@jax-js/jax"] },
  { entry: "tfjs/index", imports: ["fused", "loadable"], budget: 6000, packages: ["@tensorflow/tfjs-core"] },
];

const built = (entry: string): string => JSON.stringify(fileURLToPath(new URL(`../dist/${entry}.js`, import.meta.url)));

interface Code {
  /** What is loaded at once: the page's own chunk and all that it imports statically. */
  readonly initial: string;
  /** What is loaded when options ask for it. */
  readonly onDemand: string;
  /** Packages that are imported, at once or on demand. They are not part of the code. */
  readonly packages: readonly string[];
}

/** The code of a page that imports these names from the built library, as Vite makes it for production. */
async function bundle(imports: readonly string[], adapter?: Adapter, from = "index"): Promise<Code> {
  const entry = "virtual:entry";
  const names = imports.includes("*") ? "*" : `{ ${imports.join(", ")} }`;
  const lines = [`export ${names} from ${built(from)};`];
  if (adapter) lines.push(`export { ${adapter.imports.join(", ")} } from ${built(adapter.entry)};`);
  const result = await build({
    configFile: false,
    logLevel: "error",
    publicDir: false,
    plugins: [
      {
        name: "entry",
        resolveId: (id) => (id === entry ? id : null),
        load: (id) => (id === entry ? lines.join("\n") : null),
      },
    ],
    build: {
      write: false,
      minify: true,
      target: "es2022",
      modulePreload: false,
      rolldownOptions: { input: entry, preserveEntrySignatures: "strict", external: /^(?!virtual:)[@a-z]/ },
    },
  });
  if (Array.isArray(result) || !("output" in result)) throw new Error("one bundle was asked for");
  const chunks = new Map(result.output.flatMap((chunk) => (chunk.type === "chunk" ? [[chunk.fileName, chunk]] : [])));
  const initial = new Set<string>();
  const visit = (name: string): void => {
    if (initial.has(name)) return;
    initial.add(name);
    for (const imported of chunks.get(name)?.imports ?? []) visit(imported);
  };
  visit(result.output[0].fileName);
  const text = (names: Iterable<string>): string => [...names].map((name) => chunks.get(name)?.code ?? "").join("\n");
  const imported = [...chunks.values()].flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports]);
  return {
    initial: text(initial),
    onDemand: text([...chunks.keys()].filter((name) => !initial.has(name))),
    packages: [...new Set(imported.filter((name) => !chunks.has(name)))],
  };
}

const gzipped = (text: string): number => gzipSync(text, { level: 9 }).byteLength;

const table = new Table({
  head: ["import", "minified", "gzipped", "budget", "more on demand, gzipped"],
  style: { head: [], border: [] },
});
const faults: string[] = [];
for (const { entry, imports, budget, rules, withoutEngine } of BUNDLES) {
  const { initial, onDemand, packages } = await bundle(imports, undefined, entry);
  const name = `${entry ? `${entry.replace("/index", "")}: ` : ""}${imports.join(", ")}`;
  const size = gzipped(initial);
  table.push([name, Buffer.byteLength(initial), size, budget ?? "", gzipped(onDemand)]);
  if (budget !== undefined && size > budget) faults.push(`${name}: ${size} bytes, budget ${budget}`);
  const code = `${initial}${onDemand}`;
  for (const [rule, mark] of MARKS) {
    // What is missing would also be absent where it must not be: then the search would find nothing wrong.
    if (code.includes(mark) !== rules.includes(rule))
      faults.push(`${name}: the bundle ${rules.includes(rule) ? "does not hold" : "holds"} rules/${rule}.wgsl`);
  }
  if (packages.length > 0) faults.push(`${name}: the bundle imports ${packages.join(", ")}`);
  if (withoutEngine && code.includes(ENGINE)) faults.push(`${name}: the bundle holds ${ENGINE}`);
}
const engine = ["createOptimizer", "adamw"];
const alone = gzipped((await bundle(engine)).initial);
for (const adapter of ADAPTERS) {
  const { initial, onDemand, packages } = await bundle(engine, adapter);
  const name = `${adapter.entry.replace("/index", "")}: ${adapter.imports.join(", ")}`;
  const more = gzipped(initial) - alone;
  table.push([`${name}, beyond the engine`, Buffer.byteLength(initial), more, adapter.budget, gzipped(onDemand)]);
  if (more > adapter.budget) faults.push(`${name}: ${more} bytes beyond the engine, budget ${adapter.budget}`);
  if (packages.join() !== adapter.packages.join())
    faults.push(`${name}: imports ${packages.join(", ")} instead of ${adapter.packages.join(", ")}`);
}
console.log(table.toString());

if (!(await bundle(["*"])).initial.includes(ENGINE)) faults.push(`${ENGINE} is in no bundle at all`);

for (const fault of faults) console.error(`bundle size: ${fault}`);
process.exitCode = faults.length > 0 ? 1 : 0;
