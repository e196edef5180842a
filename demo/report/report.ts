/** Draws the report of a finished run from the log that stands in the page. */
import "../style.css";
import { Charts } from "../charts.ts";
import { htmlTable } from "../html-table.ts";
import { GROUP_HEADINGS, groupRows, TENSOR_HEADINGS, tensorRows } from "../mnist/figures-table.ts";
import type { TrainingLog } from "../mnist/log.ts";

const log = JSON.parse(document.getElementById("log")!.textContent) as TrainingLog;

function element<K extends keyof HTMLElementTagNameMap>(
  parent: HTMLElement,
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const made = parent.appendChild(document.createElement(tag));
  made.className = className;
  made.textContent = text;
  return made;
}

document.title = `${log.name}: training report`;
const header = element(document.body, "header");
element(header, "h1", "", `Training report: ${log.name}`);
element(header, "p", "quiet", Object.values(log.setup).join(" · "));

element(header, "p", "quiet", "Weights: SHA-256 ").append(
  Object.assign(document.createElement("code"), { textContent: log.result.weightsHash }),
);

const main = element(document.body, "main");
const tiles = element(main, "div", "tiles");
const { result } = log;
for (const [name, value] of result.headline) {
  const tile = element(tiles, "div", "tile");
  element(tile, "span", "", name);
  element(tile, "b", "", value);
}

new Charts(element(main, "div", "charts"), log.charts).update(log.history);

const panels = element(main, "div", "panels");
const panel = (title: string, table: HTMLTableElement) => {
  const section = element(panels, "section", "panel");
  element(section, "h2", "", title);
  element(section, "div", "scroll").append(table);
};
panel("Tensors, last monitored step", htmlTable(TENSOR_HEADINGS, tensorRows(log.last, log.history)));
panel("Groups, last monitored step", htmlTable(GROUP_HEADINGS, groupRows(log.last)));
const words =
  "Trained by webgpu-optim with WebGPU in headless Chrome; every update is one fused pass over the parameters.";
element(document.body, "footer", "", words);
