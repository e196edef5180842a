/** The charts of a training run, on the live page and in the report. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { cssColor } from "./css-color.ts";
import type { History } from "./mnist/history.ts";

type Column = (number | null)[];

interface SeriesSpec {
  label: string;
  /** 1 to 4: which colour of style.css. */
  color: number;
  /** Drawn thin and pale, without a value in the legend: the raw values behind a smoothed line. */
  raw?: boolean;
  /** Drawn as points only, where there are values. */
  points?: boolean;
}

interface ChartSpec {
  title: string;
  series: readonly SeriesSpec[];
  log?: boolean;
  /** Range of y; default what the data need. */
  range?: uPlot.Scale.Range;
  format: (value: number) => string;
  /** x and one column for each series. */
  columns: (history: History) => [number[], ...Column[]];
}

const fixed = (digits: number) => (value: number) => value.toFixed(digits);
const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
/** Two figures, with an exponent where that is shorter. */
export const short = (value: number): string => {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const magnitude = Math.abs(value);
  if (magnitude >= 0.01 && magnitude < 1000) return String(Number(value.toPrecision(2)));
  return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
};

/** What the charts are about. */
export interface ChartOptions {
  /** Names of parameters, at most four. */
  readonly tensors: readonly string[];
  /** Where the axis of the accuracy begins; undefined: there are no classes. */
  readonly accuracyFrom: number | undefined;
}

/** What happens below `from` is over in a few steps. */
const accuracy = (from: number): ChartSpec => ({
  title: "Accuracy",
  format: percent,
  range: [from, 1],
  series: [
    { label: "training", color: 1 },
    { label: "test", color: 2, points: true },
  ],
  columns: ({ steps, tests }) => [steps.step, smooth(steps.accuracy), at(steps.step, tests.step, tests.accuracy)],
});

/** What is plotted. */
function chartSpecs({ tensors, accuracyFrom }: ChartOptions): ChartSpec[] {
  // Smoothed, or four noisy lines would hide each other.
  const perTensor = (pick: "gradNorm" | "paramNorm" | "updateRatio") => ({
    series: tensors.map((label, k) => ({ label, color: k + 1 })),
    columns: ({ figures }: History): [number[], ...Column[]] => [
      figures.step,
      ...tensors.map((name) => smooth(figures.tensors[name]?.[pick] ?? []).map((v) => (v > 0 ? v : null))),
    ],
  });
  return [
    {
      title: "Loss",
      log: true,
      format: short,
      series: [
        { label: "each batch", color: 1, raw: true },
        { label: "training", color: 1 },
        { label: "test", color: 2, points: true },
      ],
      columns: ({ steps, tests }) => [
        steps.step,
        steps.loss,
        smooth(steps.loss),
        at(steps.step, tests.step, tests.loss),
      ],
    },
    ...(accuracyFrom === undefined ? [] : [accuracy(accuracyFrom)]),
    {
      title: "Gradient norm",
      log: true,
      format: short,
      series: [
        { label: "each step", color: 2, raw: true },
        { label: "as computed", color: 2 },
        { label: "after clipping", color: 1 },
      ],
      columns: ({ figures }) => [
        figures.step,
        figures.gradNorm,
        smooth(figures.gradNorm),
        smooth(figures.gradNormClipped),
      ],
    },
    {
      title: "Clip factor",
      format: fixed(2),
      range: [0, 1.05],
      series: [{ label: "gradient times", color: 1 }],
      columns: ({ figures }) => [figures.step, figures.clipFactor],
    },
    { title: "Update ratio", log: true, format: short, ...perTensor("updateRatio") },
    { title: "Gradient norm by tensor", log: true, format: short, ...perTensor("gradNorm") },
    { title: "Parameter norm", log: true, format: short, ...perTensor("paramNorm") },
    {
      title: "Learning rate",
      format: short,
      range: (_, __, high) => [0, high || 1e-3],
      series: [{ label: "lr", color: 1 }],
      columns: ({ figures }) => [figures.step, figures.lr],
    },
    {
      title: "Decay dose",
      format: (dose) => `${short(100 * -Math.expm1(-dose))} %`,
      range: (_, __, high) => [0, high || 1e-3],
      series: [{ label: "taken from the weights so far", color: 1 }],
      columns: ({ figures }) => [figures.step, figures.decayDose.map((d) => (Number.isFinite(d) ? d : null))],
    },
  ];
}

/** Charts below `parent`, one figure element each. */
export class Charts {
  readonly #charts: Chart[];

  constructor(parent: HTMLElement, options: ChartOptions) {
    this.#charts = chartSpecs(options).map((spec) => new Chart(parent, spec));
  }

  update(history: History): void {
    for (const chart of this.#charts) chart.update(history);
  }
}

class Chart {
  readonly #spec: ChartSpec;
  readonly #plot: uPlot;
  readonly #values: HTMLElement[];

  constructor(parent: HTMLElement, spec: ChartSpec) {
    this.#spec = spec;
    const figure = document.createElement("figure");
    figure.className = "chart";
    const caption = figure.appendChild(document.createElement("figcaption"));
    const title = caption.appendChild(document.createElement("strong"));
    title.textContent = spec.title;
    const legend = caption.appendChild(document.createElement("span"));
    legend.className = "legend";
    this.#values = spec.series.map(({ label, color, raw }) => {
      const item = document.createElement("span");
      item.style.setProperty("--color", `var(--series-${color})`);
      item.append(`${label} `);
      const value = item.appendChild(document.createElement("b"));
      if (!raw) legend.append(item);
      return value;
    });
    const box = figure.appendChild(document.createElement("div"));
    box.className = "plot";
    parent.append(figure);
    this.#plot = new uPlot(this.#options(), [[], ...spec.series.map(() => [])], box);
    new ResizeObserver(([entry]) => {
      const { width, height } = entry!.contentRect;
      if (width > 0 && height > 0) this.#plot.setSize({ width, height });
    }).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot.redraw(false));
  }

  update(history: History): void {
    this.#plot.setData(this.#spec.columns(history) as uPlot.AlignedData);
    this.#showValues(this.#plot.cursor.idx ?? undefined);
  }

  /** Writes the values at an index, or the latest ones, into the legend. */
  #showValues(index: number | undefined): void {
    this.#spec.series.forEach((_, k) => {
      const column = this.#plot.data[k + 1] as Column;
      const value = index === undefined ? column.findLast((v) => v !== null) : column[index];
      this.#values[k]!.textContent = value === undefined || value === null ? "" : this.#spec.format(value);
    });
  }

  #options(): uPlot.Options {
    const { series, log, range, format } = this.#spec;
    const axis = {
      stroke: () => cssColor("--muted"),
      grid: { stroke: () => cssColor("--grid"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
      gap: 4,
    };
    return {
      width: 300,
      height: 180,
      padding: [8, 16, 0, 0],
      legend: { show: false },
      // Whole pixels would bend steep lines.
      pxAlign: false,
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { time: false },
        y: { ...(log ? { distr: 3 as const } : {}), ...(range ? { range } : {}) },
      },
      axes: [
        { ...axis, size: 24, space: 42 },
        {
          ...axis,
          size: 54,
          // Over several decades a line for each of the 2 to 9 would be a fog.
          ...(log ? { grid: { ...axis.grid, filter: decades }, filter: decades } : {}),
          values: (_, splits) => splits.map((v) => (v === null ? "" : format(v))),
        },
      ],
      series: [
        {},
        ...series.map(({ label, color, raw, points }) => ({
          label,
          stroke: () => cssColor(`--series-${color}`) + (raw ? "48" : ""),
          width: raw ? 1 : 1.75,
          spanGaps: true,
          points: points
            ? {
                show: true,
                size: 7,
                fill: () => cssColor(`--series-${color}`),
                stroke: () => cssColor("--panel"),
                width: 1,
              }
            : { show: false },
        })),
      ],
      hooks: { setCursor: [() => this.#showValues(this.#plot?.cursor.idx ?? undefined)] },
    };
  }
}

/** Of the splits of a logarithmic axis only the powers of ten; all of them where these are too few. */
function decades(_: uPlot, splits: number[]): (number | null)[] {
  const powers = splits.map((v) => (Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9 ? v : null));
  return powers.filter((v) => v !== null).length > 1 ? powers : splits;
}

/** Exponential moving average over about 10 steps, without the bias of its start. */
function smooth(values: readonly number[]): number[] {
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    sum = 0.9 * sum + 0.1 * value;
    weight = 0.9 * weight + 0.1;
    return sum / weight;
  });
}

/** Sparse values laid out along x; both step columns ascend. */
function at(x: readonly number[], steps: readonly number[], values: readonly number[]): Column {
  let next = 0;
  return x.map((step) => {
    if (steps[next] !== step) return null;
    return values[next++]!;
  });
}
