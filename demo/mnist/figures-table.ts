/** The table of the tensors' figures, as rows of text: the terminal, the live page and the report show the same one. */
import type { Figures, GroupFigures } from "../../src/index.ts";
import { type History, mostDecayed } from "./history.ts";

export const TENSOR_HEADINGS = [
  "tensor",
  "|parameter|",
  "|gradient|",
  "max gradient",
  "update ratio",
  "median ratio",
] as const;
export const GROUP_HEADINGS = ["group", "lr", "weight decay", "decay a step", "dose so far", "memory"] as const;

/** A row for each tensor: its name, its norms, |update| / |parameter| now and as median over the run. */
export function tensorRows(f: Figures, { figures }: History): string[][] {
  return Object.entries(f.tensors).map(([name, { paramNorm, gradNorm, maxGrad, updateRatio }]) => [
    name,
    ...[paramNorm, gradNorm, maxGrad, updateRatio, median(figures.tensors[name]!.updateRatio)].map(figure),
  ]);
}

/**
 * A row for each group: how strongly it is decayed. Dose: the part of the weights that decay alone has taken since the start.
 * Memory: after so many steps at this lr a weight has forgotten where it began.
 */
export function groupRows(f: Figures): string[][] {
  // The group "default" may be left without tensors.
  const groups = Object.entries(f.groups).filter(([, { paramNorm }]) => paramNorm > 0);
  return groups.map(([name, group]) => {
    const { lr, weightDecay, decayFraction, decayDose } = group;
    return [
      name,
      figure(lr),
      figure(weightDecay),
      decayFraction === null ? "with the gradient" : figure(decayFraction),
      decayDose === null ? "-" : `${figure(100 * -Math.expm1(-decayDose))} %`,
      memoryOf(group),
    ];
  });
}

/** After how many steps a weight has forgotten where it began. */
export function memoryOf({ decayMemory }: GroupFigures): string {
  return decayMemory !== null && Number.isFinite(decayMemory) ? `${COMPACT.format(decayMemory)} steps` : "-";
}

/** What the decay amounts to, in a run of so many steps. */
export function decayInWords(figures: Figures, totalSteps: number): string {
  const { decayFraction, decayMemory, weightDecay } = mostDecayed(figures);
  if (weightDecay === 0) return "";
  if (decayFraction === null) {
    return "Coupled decay joins the gradient before the moments: what it takes is different for every weight.";
  }
  if (decayFraction === 0 || decayMemory === null) return "";
  const memory = Math.round(decayMemory).toLocaleString("en");
  const verdict =
    decayMemory > 3 * totalSteps
      ? "far longer than this run: the decay does next to nothing"
      : decayMemory <= 200
        ? "so short that the decay fights the learning"
        : "within the reach of this run: the decay shapes the weights";
  return `At this moment a weight forgets where it began in about ${memory} steps, ${verdict}.`;
}

const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Three digits. */
function figure(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const magnitude = Math.abs(value);
  return magnitude >= 1e-3 && magnitude < 1e6 ? String(Number(value.toPrecision(3))) : value.toExponential(2);
}
