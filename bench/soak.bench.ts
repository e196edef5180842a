/**
 * Many steps with clipping and figures: neither GPU buffers nor the JavaScript heap may grow.
 */
import { adamw, createOptimizer } from "../src/index.ts";
import { countCalls } from "../test/browser/count-calls.ts";
import { hyper } from "./adamw-float64.ts";
import type { Suite } from "./suite.ts";

/** Chrome only, with --expose-gc and --enable-precise-memory-info. */
declare const gc: (() => void) | undefined;
type MemoryPerformance = Performance & { memory?: { usedJSHeapSize: number } };

/** Small tensors: the point is the number of steps. */
const shapes = [[32, 16], [32], [64, 32], [64], [10, 64], [10]];

export const soak: Suite = async ({ request: { soakSteps }, device, row, progress }) => {
  const counter = countCalls(device);
  const optimizer = await createOptimizer(device, {
    rule: adamw({ betas: [hyper.beta1, hyper.beta2] }),
    params: shapes.map((shape, i) => ({ name: `t${i}`, shape })),
    lr: (step) => hyper.lr * (1 + Math.cos((Math.PI * step) / soakSteps)),
    clip: { globalNorm: 1 },
    monitor: { every: 1 },
    label: "bench soak",
  });
  shapes.forEach((shape, i) => {
    const size = shape.reduce((a, b) => a * b, 1);
    optimizer.writeGrad(
      `t${i}`,
      Float32Array.from({ length: size }, (_, k) => Math.sin(k + i)),
    );
  });
  let delivered = 0;
  optimizer.on("figures", () => {
    delivered += 1;
  });

  // The first half fills pools and inline caches and has the code compiled: the heap comes to rest within 10 000 steps
  // (a run of 60 000 showed it). What still grows in the second half grows without end.
  const early = Math.ceil(soakSteps / 2);
  let before: Awaited<ReturnType<typeof measure>> | undefined;
  for (let step = 1; step <= soakSteps; step++) {
    optimizer.step();
    // The page stays responsive, and the readback ring free: nearly all figures are delivered.
    if (step % 4 === 0) await device.queue.onSubmittedWorkDone();
    if (step % 2000 === 0) await progress(`soak: ${step} of ${soakSteps} steps`);
    if (step === early) before = await measure();
  }
  const after = await measure();
  counter.stop();
  optimizer.destroy();
  await row({
    suite: "soak",
    steps: soakSteps,
    buffers: { early: before!.buffers, late: after.buffers },
    heap_bytes: { early: before!.heap, late: after.heap },
    figures_delivered: delivered,
  });

  async function measure() {
    await optimizer.flush();
    if (!gc) throw new Error("soak: the browser must run with --js-flags=--expose-gc");
    // What the first collection finalizes, the second one frees.
    for (let i = 0; i < 2; i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return {
      buffers: counter.read().liveBuffers,
      heap: (performance as MemoryPerformance).memory?.usedJSHeapSize ?? Number.NaN,
    };
  }
};
