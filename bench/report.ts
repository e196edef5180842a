/** The run as Markdown, in the form in which README has it. */
import type { Verdict } from "./limits.ts";
import type { AdapterNames, Row, SoakRow, UpdateRow } from "./suite.ts";

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
  const updates = rows.filter((row) => row.suite === "update");
  const soaks = rows.filter((row) => row.suite === "soak");
  return [
    `${header.browser}, ${adapter.description || adapter.vendor} (${adapter.architecture}), ${header.platform}, ${header.cpu}; ` +
      `${Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(", ")}; commit ${header.commit}.`,
    ...(updates.length ? [timesTable(updates), countsTable(updates)] : []),
    ...soaks.map(soakLine),
    verdictTable(verdicts),
  ].join("\n\n");
}

/** Implementations by cases: median milliseconds, and how many times ours in brackets. */
function timesTable(rows: readonly UpdateRow[]): string {
  const cases = unique(rows.map((row) => row.case));
  const line = (impl: string) =>
    cases.map((name) => {
      const row = rows.find((r) => r.impl === impl && r.case === name);
      if (!row) return "";
      const ratio = impl === "ours" ? "" : ` (${digits(row.over_ours)}x)`;
      return `${digits(row.median_ms)}${ratio}`;
    });
  const impls = unique(rows.map((row) => row.impl));
  return table(["ms per AdamW step", ...cases], [...impls.map((impl) => [impl, ...line(impl)])]);
}

function countsTable(rows: readonly UpdateRow[]): string {
  const names = Object.keys(rows[0]!.counts) as (keyof UpdateRow["counts"])[];
  return table(
    ["calls per step", "case", "host ms", ...names],
    rows.map((row) => [row.impl, row.case, digits(row.host_ms), ...names.map((name) => String(row.counts[name]))]),
  );
}

function soakLine({ steps, buffers, heap_bytes, figures_delivered }: SoakRow): string {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  return (
    `Soak of ${steps} steps: ${buffers.early} GPU buffers early, ${buffers.late} late; ` +
    `heap ${mib(heap_bytes.early)} early, ${mib(heap_bytes.late)} late; ${figures_delivered} figures delivered.`
  );
}

function verdictTable(verdicts: readonly Verdict[]): string {
  return table(
    ["limit", "where", "measured", "required", ""],
    verdicts.map(({ what, where, measured, required, ok }) => [
      what,
      where,
      digits(measured),
      required,
      ok ? "ok" : "MISS",
    ]),
  );
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...body.map(line)].join("\n");
}

/** Three significant digits, whole numbers in full. */
function digits(value: number): string {
  return Number.isInteger(value) ? String(value) : value >= 100 ? value.toFixed(0) : String(+value.toPrecision(3));
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
