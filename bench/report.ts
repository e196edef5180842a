/** The run as Markdown, in the form in which docs/speed.md has it. */
import { RULE_OVER_FLOOR, type Verdict } from "./limits.ts";
import {
  type AdapterNames,
  isTimed,
  type KernelRow,
  type Row,
  type RuleRow,
  type SoakRow,
  suiteNames,
  type TimedSuite,
  type UpdateRow,
} from "./suite.ts";

/** Under what the rows were measured. */
export interface Header {
  readonly date: string;
  readonly commit: string;
  readonly browser: string;
  readonly adapter: AdapterNames;
  readonly platform: string;
  readonly cpu: string;
  readonly versions: Record<string, string>;
  readonly rounds: number;
}

export function markdown(header: Header, rows: readonly Row[], verdicts: readonly Verdict[]): string {
  const { adapter, versions } = header;
  const timed = suiteNames.map((name) => rows.filter(isTimed).filter((row) => row.suite === name));
  const rules = rows.filter((row) => row.suite === "rules");
  const kernels = rows.filter((row) => row.suite === "kernels");
  const soaks = rows.filter((row) => row.suite === "soak");
  return [
    `${header.browser}, ${adapter.description || adapter.vendor} (${adapter.architecture}), ${header.platform}, ${header.cpu}; ` +
      `${Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(", ")}; commit ${header.commit}.`,
    ...timed.flatMap((own) =>
      own.length ? [timesTable(own), hostTable(own), ...trainingTables(own), countsTable(own)] : [],
    ),
    ...(kernels.length ? [kernelTable(kernels)] : []),
    ...(rules.length ? [ruleTable(rules)] : []),
    ...soaks.map(soakLine),
    verdictTable(verdicts),
  ].join("\n\n");
}

/** GFLOP/s, and the share of what registers alone reach. */
function kernelTable(rows: readonly KernelRow[]): string {
  const impls = unique(rows.map((row) => row.impl));
  // Gradients are named after the layer above them: cases are runs of rows, not names.
  const runs: KernelRow[][] = [];
  for (const row of rows) {
    if (row.impl === impls[0]) runs.push([]);
    runs.at(-1)!.push(row);
  }
  const body = runs.map((own) => [
    own[0]!.case,
    ...impls.map((impl) => {
      const row = own.find((r) => r.impl === impl);
      return row ? `${digits(row.gflops)} (${Math.round(100 * row.share)} %)` : "";
    }),
  ]);
  return table(["GFLOP/s", ...impls], body);
}

function ruleTable(rows: readonly RuleRow[]): string {
  return table(
    ["rule", "bytes loaded", "bytes stored", "ours ms", "floor ms", "ours / floor"],
    rows.map(({ case: name, loaded, stored, ours_ms, floor_ms, ratio }) => [
      name,
      String(loaded),
      String(stored),
      digits(ours_ms),
      digits(floor_ms),
      `${digits(ratio)}${ratio <= RULE_OVER_FLOOR ? "" : " (MISS)"}`,
    ]),
  );
}

const TITLES: Readonly<Record<TimedSuite, string>> = {
  update: "ms per AdamW step",
  train: "ms per training step",
  jax: "ms per AdamW step",
  tfjs: "ms per AdamW step",
  muon: "ms per orthogonalization",
};

/** Median milliseconds until the GPU is done, and how many times ours in brackets. */
function timesTable(rows: readonly UpdateRow[]): string {
  return byCase(TITLES[rows[0]!.suite], rows, (row) => {
    const ratio = row.over_ours === 1 ? "" : ` (${digits(row.over_ours)}x)`;
    return `${digits(row.median_ms)}${ratio}`;
  });
}

function hostTable(rows: readonly UpdateRow[]): string {
  return byCase("ms on the CPU", rows, (row) => digits(row.host_ms));
}

function trainingTables(rows: readonly UpdateRow[]): string[] {
  if (rows.some(({ peak_bytes }) => peak_bytes === undefined)) return [];
  return [
    byCase("images per second", rows, (row) => digits(row.images_per_second!)),
    byCase("peak MiB of GPU buffers", rows, (row) => digits(row.peak_bytes! / 2 ** 20)),
  ];
}

/** Implementations by cases. */
function byCase(title: string, rows: readonly UpdateRow[], cell: (row: UpdateRow) => string): string {
  const cases = unique(rows.map((row) => row.case));
  const body = unique(rows.map((row) => row.impl)).map((impl) => [
    impl,
    ...cases.map((name) =>
      rows
        .filter((row) => row.impl === impl && row.case === name)
        .map(cell)
        .join(),
    ),
  ]);
  return table([title, ...cases], body);
}

/** Calls of one step in one case: for ours they are the same in every case, but for `attached`; JSON has them all. */
function countsTable(rows: readonly UpdateRow[]): string {
  const shown = rows.some((row) => row.case === "many") ? "many" : rows[0]!.case;
  const names = Object.keys(rows[0]!.counts) as (keyof UpdateRow["counts"])[];
  return table(
    [`calls per step, ${shown}`, ...names],
    rows.filter((row) => row.case === shown).map((row) => [row.impl, ...names.map((name) => String(row.counts[name]))]),
  );
}

function soakLine({ steps, buffers, heap_bytes, figures_delivered }: SoakRow): string {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  return (
    `Soak of ${steps} steps: ${buffers.early} GPU buffers early, ${buffers.late} late; ` +
    `heap ${mib(heap_bytes.early)} early, ${mib(heap_bytes.late)} late; ${figures_delivered} figures delivered.`
  );
}

/** One line per limit, with what was measured in each place. */
function verdictTable(verdicts: readonly Verdict[]): string {
  const limits = unique(verdicts.map(({ what, required }) => `${what} ${required}`));
  return table(
    ["limit", "required", "measured", ""],
    limits.map((limit) => {
      const all = verdicts.filter(({ what, required }) => `${what} ${required}` === limit);
      const { what, required } = all[0]!;
      const measured = all.map((v) => `${v.where} ${digits(v.measured)}${v.ok ? "" : " (MISS)"}`).join(", ");
      return [what, required, measured, all.every(({ ok }) => ok) ? "ok" : "MISS"];
    }),
  );
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...body.map(line)].join("\n");
}

/** Three significant digits, and all digits before the point. */
function digits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(+value.toPrecision(3));
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
