/** The resolution of groups, for people. */
import type { Tensor } from "../host/memory.ts";
import { type Group, valueAt } from "./groups.ts";

/** One line per tensor: name, shape, group, lr, decay, mode. */
export function groupTable(
  tensors: readonly Tensor[],
  groups: readonly Group[],
  step: number,
  frozen: (k: number) => boolean,
): string {
  const rows = [["tensor", "shape", "group", "lr", "decay", "mode"]];
  tensors.forEach((t, k) => {
    const g = groups[t.group] as Group;
    const modifiers = [
      g.cautious ? "cautious" : "",
      g.toward === undefined ? "" : "toward",
      g.l1 === 0 ? "" : "l1",
    ].filter((m) => m !== "");
    const lr = valueAt(g.lr, step) * g.lrScale;
    const still = g.frozen || frozen(k);
    rows.push([
      t.name,
      t.shape.join("x") || "scalar",
      g.name,
      still ? "frozen" : short(lr),
      short(valueAt(g.weightDecay, step)),
      [g.decayMode, ...modifiers].join(" "),
    ]);
  });
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((r) => r[i]?.length ?? 0))) ?? [];
  return rows
    .map((r) =>
      r
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function short(x: number): string {
  return String(Number(x.toPrecision(4)));
}
