/** The page of the bench: runs the asked-for suites one after the other. */
import { pageMain } from "../test/browser/page.ts";
import { jax } from "./jax.bench.ts";
import { kernels } from "./kernels.bench.ts";
import { muon } from "./muon.bench.ts";
import { rules } from "./rules.bench.ts";
import { soak } from "./soak.bench.ts";
import type { BenchMessage, BenchRequest, Suite, SuiteName } from "./suite.ts";
import { tfjs } from "./tfjs.bench.ts";
import { train } from "./train.bench.ts";
import { update } from "./update.bench.ts";

const suites: Record<SuiteName, Suite> = { update, train, jax, tfjs, muon, kernels, rules, soak };

await pageMain<BenchRequest, void>(async ({ parameters: request, send }) => {
  const tell = (message: BenchMessage) => send(message);
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error("this browser offers no WebGPU adapter");
  const { vendor, architecture, description } = adapter.info;
  await tell({ type: "adapter", adapter: { vendor, architecture, description } });
  const device = await adapter.requestDevice({ label: "bench" });
  for (const name of request.suites) {
    await suites[name]({
      request,
      device,
      row: (row) => tell({ type: "row", row }),
      progress: (text) => tell({ type: "progress", text }),
    });
  }
  device.destroy();
});
