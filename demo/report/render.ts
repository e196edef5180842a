/** Makes the report: one HTML file that needs nothing else. For Node. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, type Rollup } from "vite";
import type { TrainingLog } from "../mnist/log.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The text of the HTML file. */
export async function renderReport(log: TrainingLog): Promise<string> {
  const result = await build({
    configFile: false,
    root: here("."),
    logLevel: "warn",
    build: {
      write: false,
      lib: { entry: here("report.ts"), formats: ["iife"], name: "report", fileName: "report" },
    },
  });
  const { output } = (result as Rollup.RollupOutput[])[0]!;
  const style = output.find((file) => file.type === "asset" && file.fileName.endsWith(".css")) as Rollup.OutputAsset;
  const script = output.find((file) => file.type === "chunk")!;
  const template = await readFile(here("report.html"), "utf8");
  // "<" in the data or the code could end the script element. Replacements by function: in a text, "$&" would have a meaning.
  const data = JSON.stringify(log).replaceAll("<", "\\u003c");
  const code = script.code.replaceAll("</script", "<\\/script");
  return template
    .replace("<!--style-->", () => `<style>${style.source}</style>`)
    .replace("<!--log-->", () => `<script type="application/json" id="log">${data}</script>`)
    .replace("<!--script-->", () => `<script>${code}</script>`);
}
