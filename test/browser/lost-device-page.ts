// The page of test/cpu/lost-device.test.ts: loses its GPU in the middle of a run, and goes on with another device.
import { adamw, createOptimizer, OptimError, type Optimizer, type StateDict } from "../../src/index.ts";
import { pageMain } from "./page.ts";

/** What the page reports: how each promise ended, and the parameters of a run that was cut in two and of one that was not. */
export interface LostDeviceReport {
  readonly reason: string;
  readonly outcomes: Readonly<Record<string, string>>;
  readonly resumed: readonly number[];
  readonly uncut: readonly number[];
}

const SIZE = 1000;
const SECOND = 1000;

async function openDevice(): Promise<GPUDevice> {
  // A GPU process that has just crashed needs a moment, and its first devices may be born lost.
  for (let tries = 0; tries < 50; tries++) {
    const adapter = await navigator.gpu.requestAdapter();
    const device = await adapter?.requestDevice().catch(() => undefined);
    if (device && !(await Promise.race([device.lost, undefined]))) return device;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("there is no WebGPU device any more");
}

const start = (device: GPUDevice) =>
  createOptimizer(device, {
    rule: adamw(),
    params: [{ name: "w", shape: [SIZE], data: new Float32Array(SIZE).fill(1) }],
    lr: 0.01,
    clip: { globalNorm: 1 },
    monitor: {},
  });

function drive(optimizer: Optimizer, from: number, to: number): void {
  for (let i = from; i <= to; i++) {
    optimizer.writeGrad(
      "w",
      Float32Array.from({ length: SIZE }, (_, k) => Math.sin(i + k)),
    );
    optimizer.step();
  }
}

const bits = (state: StateDict) =>
  [state.tensors.w!.param, ...Object.values(state.tensors.w!.slots)].flatMap((x) => [
    ...new Uint32Array(x.slice().buffer),
  ]);

/** `fulfilled`, the class of the error, or `pending`. */
async function ending(promise: Promise<unknown>): Promise<string> {
  const late = new Promise<string>((resolve) => setTimeout(() => resolve("pending"), 20 * SECOND));
  const end = promise.then(
    () => "fulfilled",
    (error) => (error instanceof OptimError ? error.name : `untyped ${error}`),
  );
  return Promise.race([end, late]);
}

const thrown = async (call: () => unknown) => ending(Promise.resolve().then(call));

await pageMain<null, LostDeviceReport>(async ({ send }) => {
  const device = await openDevice();
  const optimizer = await start(device);
  drive(optimizer, 1, 5);
  const saved = await optimizer.stateDict();

  // Asked for while the GPU is still there, answered when it is not.
  await send("crash");
  drive(optimizer, 6, 8);
  const asked = {
    stateDict: ending(optimizer.stateDict()),
    readParam: ending(optimizer.readParam("w")),
    flush: ending(optimizer.flush()),
    figures: ending(optimizer.figures().next()),
    createOptimizer: ending(start(device)),
    addParams: ending(optimizer.addParams([{ name: "v", shape: [3] }])),
  };
  const { reason } = await device.lost;
  const outcomes: Record<string, string> = {};
  for (const [name, outcome] of Object.entries(asked)) outcomes[name] = await outcome;
  outcomes.step = await thrown(() => optimizer.step());
  outcomes["stateDict afterwards"] = await thrown(() => optimizer.stateDict());
  outcomes["createOptimizer afterwards"] = await thrown(() => start(device));
  outcomes.destroy = await thrown(() => optimizer.destroy());

  const next = await openDevice();
  const second = await start(next);
  await second.loadStateDict(saved);
  drive(second, 6, 10);
  const resumed = bits(await second.stateDict());
  const never = await start(next);
  drive(never, 1, 10);
  return { reason, outcomes, resumed, uncut: bits(await never.stateDict()) };
});
