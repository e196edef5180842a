/** What the example pages have in common: figures in large, a curve of the loss, a canvas, and words where something fails. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { pageMain } from "../test/browser/page.ts";
import { cssColor } from "./css-color.ts";
import { findAdapter } from "./device.ts";

export interface ExamplePage {
  readonly canvas: HTMLCanvasElement;
  /** One line about what is going on. */
  say(text: string): void;
  /** A figure in large. */
  show(name: string, value: string): void;
  /** A point of the loss curve. Resolves when the browser has had a turn to paint. */
  loss(step: number, value: number): Promise<void>;
}

/** All pages, by file. */
const PAGES = {
  "index.html": "training kit",
  "tfjs-layers.html": "TensorFlow.js layers",
  "tfjs-core.html": "TensorFlow.js variables",
  "jax.html": "jax-js",
  "raw-webgpu.html": "your own kernels",
  "onnx-head.html": "onnxruntime-web",
};

const find = (id: string) => document.getElementById(id) as HTMLElement;

/**
 * Runs an example in its page; what it returns goes to whoever has opened the page by `runPage`, and may have asked for fewer
 * steps.
 */
export function examplePage<R>(steps: number, run: (page: ExamplePage, steps: number) => Promise<R>): Promise<void> {
  linkPages();
  return pageMain<{ steps?: number } | null, R>(async ({ parameters }) => {
    try {
      // Frameworks say less about why there is no WebGPU, and some load megabytes first.
      await findAdapter();
      return await run(openPage(), parameters?.steps ?? steps);
    } catch (error) {
      const notice = find("notice");
      notice.textContent = error instanceof Error ? error.message : String(error);
      notice.className = "failure";
      throw error;
    }
  }, null);
}

function linkPages(): void {
  for (const [file, name] of Object.entries(PAGES)) {
    const link = find("pages").appendChild(document.createElement("a"));
    link.href = `./${file}`;
    link.textContent = name;
    if (location.pathname.endsWith(`/${file}`)) link.ariaCurrent = "page";
  }
}

function openPage(): ExamplePage {
  const tiles = new Map<string, HTMLElement>();
  const steps: number[] = [];
  const losses: number[] = [];
  const box = find("loss");
  const axis = {
    stroke: () => cssColor("--muted"),
    grid: { stroke: () => cssColor("--grid"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  const plot = new uPlot(
    {
      width: 400,
      height: 300,
      padding: [12, 16, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false }, y: { distr: 3 } },
      axes: [
        axis,
        { ...axis, size: 56, values: (_, splits) => splits.map((v) => (v === null ? "" : `${+v.toPrecision(2)}`)) },
      ],
      series: [{}, { stroke: () => cssColor("--series-1"), width: 2, points: { show: false } }],
    },
    [steps, losses],
    box,
  );
  new ResizeObserver(([entry]) => {
    const { width, height } = entry!.contentRect;
    if (width > 0 && height > 0) plot.setSize({ width, height });
  }).observe(box);
  return {
    canvas: find("picture") as HTMLCanvasElement,
    say: (text) => {
      find("notice").textContent = text;
    },
    show(name, value) {
      let tile = tiles.get(name);
      if (!tile) {
        const made = find("tiles").appendChild(document.createElement("div"));
        made.className = "tile";
        made.appendChild(document.createElement("span")).textContent = name;
        tile = made.appendChild(document.createElement("b"));
        tiles.set(name, tile);
      }
      tile.textContent = value;
    },
    async loss(step, value) {
      steps.push(step);
      losses.push(value);
      plot.setData([steps, losses]);
      await new Promise(requestAnimationFrame);
    },
  };
}
