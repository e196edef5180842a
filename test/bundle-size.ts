/**
 * What the library adds to a user's bundle: `npm run check` prints the sizes of a few imports from `dist`, minified and
 * gzipped, and fails where one is over its budget or holds what was not imported.
 */
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import Table from "cli-table3";
import { build } from "vite";

interface Bundle {
  /** What the user imports; `*` is everything. */
  readonly imports: readonly string[];
  /** Most bytes, minified and gzipped. */
  readonly budget?: number;
  /** Names that only stand in the text of other rules. */
  readonly without?: readonly string[];
}

const ADAM = "exp_avg_sq";
const SGD = "momentum_buffer";
const ENGINE = "createComputePipelineAsync";

const BUNDLES: readonly Bundle[] = [
  // The aim is 12 000; this holds what has been reached.
  { imports: ["createOptimizer", "adamw"], budget: 21_500, without: [SGD] },
  { imports: ["createOptimizer", "sgd"], without: [ADAM] },
  { imports: ["createOptimizer"], without: [ADAM, SGD] },
  { imports: ["adamw"], without: [SGD, ENGINE] },
  { imports: ["cosine"], without: [ADAM, SGD, ENGINE] },
  { imports: ["*"] },
];

const library = fileURLToPath(new URL("../dist/index.js", import.meta.url));

interface Code {
  /** What is loaded at once: the page's own chunk and all that it imports statically. */
  readonly initial: string;
  /** What is loaded when options ask for it. */
  readonly onDemand: string;
}

/** The code of a page that imports these names from the built library, as Vite makes it for production. */
async function bundle(imports: readonly string[]): Promise<Code> {
  const entry = "virtual:entry";
  const names = imports.includes("*") ? "*" : `{ ${imports.join(", ")} }`;
  const result = await build({
    configFile: false,
    logLevel: "error",
    publicDir: false,
    plugins: [
      {
        name: "entry",
        resolveId: (id) => (id === entry ? id : null),
        load: (id) => (id === entry ? `export ${names} from ${JSON.stringify(library)};` : null),
      },
    ],
    build: {
      write: false,
      minify: true,
      target: "es2022",
      modulePreload: false,
      rolldownOptions: { input: entry, preserveEntrySignatures: "strict" },
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
  return { initial: text(initial), onDemand: text([...chunks.keys()].filter((name) => !initial.has(name))) };
}

const gzipped = (text: string): number => gzipSync(text, { level: 9 }).byteLength;

const table = new Table({
  head: ["import", "minified", "gzipped", "budget", "more on demand, gzipped"],
  style: { head: [], border: [] },
});
const faults: string[] = [];
for (const { imports, budget, without = [] } of BUNDLES) {
  const { initial, onDemand } = await bundle(imports);
  const name = imports.join(", ");
  const size = gzipped(initial);
  table.push([name, Buffer.byteLength(initial), size, budget ?? "", gzipped(onDemand)]);
  if (budget !== undefined && size > budget) faults.push(`${name}: ${size} bytes, budget ${budget}`);
  for (const text of without)
    if (`${initial}${onDemand}`.includes(text)) faults.push(`${name}: the bundle holds ${text}`);
}
console.log(table.toString());

// A name that stands nowhere would be absent from every bundle, and the search for it would find nothing wrong.
const everything = await bundle(["*"]);
for (const text of [ADAM, SGD, ENGINE])
  if (!everything.initial.includes(text)) faults.push(`${text} is in no bundle at all`);

for (const fault of faults) console.error(`bundle size: ${fault}`);
process.exitCode = faults.length > 0 ? 1 : 0;
