/** Parameters added in the midst of synchronous code, and steps in an encoder of the caller's. */
import { expect, test } from "vitest";
import {
  adamw,
  createOptimizer,
  DeviceError,
  type Figures,
  LifecycleError,
  type OptimizerOptions,
  OptionError,
} from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { generate } from "../reference/prng.ts";

const shapes = { a: [5, 7], b: [64], c: [3] } as const;
type Name = keyof typeof shapes;
const size = (name: Name) => shapes[name].reduce((n, d) => n * d, 1);
const numbers = (name: Name, k: number) =>
  generate({ kind: "uniform", scale: 1 }, 7, name.charCodeAt(0), k, size(name));
const param = (name: Name) => ({ name, shape: shapes[name], data: numbers(name, 1) });
const options: OptimizerOptions = {
  rule: adamw(),
  params: [{ name: "none yet", shape: [0] }],
  lr: (step) => 0.1 / (step + 1),
  clip: { globalNorm: 1 },
  groups: [{ match: "b", weightDecay: 0.3 }],
};

test("parameters that come at once give the bits of parameters that were waited for", async () => {
  const device = await testDevice();
  const run = async (atOnce: boolean) => {
    const optimizer = await createOptimizer(device, { ...options, ...(atOnce ? {} : { params: [param("a")] }) });
    const addNow = atOnce ? (await optimizer.openParams()).add : undefined;
    const accepted = [addNow?.([param("a")])];
    const step = (names: Name[], k: number) => {
      for (const name of names) optimizer.writeGrad(name, numbers(name, k));
      optimizer.step();
    };
    step(["a"], 2);
    if (addNow) accepted.push(addNow([param("b"), param("c")]));
    else await optimizer.addParams([param("b"), param("c")]);
    step(["a", "b", "c"], 3);
    step(["a", "b", "c"], 4);
    await Promise.all(accepted);
    const dict = await optimizer.stateDict();
    optimizer.destroy();
    return dict;
  };
  const atOnce = await run(true);
  expect(Object.keys(atOnce.tensors)).toEqual(["a", "b", "c"]);
  expect(atOnce.tensors.b?.step).toBe(2);
  expect(atOnce).toEqual(await run(false));
});

test("what is added goes on from a state that is loaded at once", async () => {
  const device = await testDevice();
  const whole = await createOptimizer(device, { ...options, params: [param("a"), param("b")] });
  const step = (optimizer: typeof whole, k: number) => {
    for (const name of ["a", "b"] as const) optimizer.writeGrad(name, numbers(name, k));
    optimizer.step();
  };
  for (const k of [2, 3, 4]) step(whole, k);
  const saved = await whole.stateDict();
  step(whole, 5);

  const resumed = await createOptimizer(device, options);
  const { add, load } = await resumed.openParams();
  const accepted = add([param("a"), param("b")]);
  load(saved);
  step(resumed, 5);
  await accepted;
  expect(await resumed.stateDict()).toEqual(await whole.stateDict());
  expect(() => load(saved)).toThrow(LifecycleError);
  whole.destroy();
  resumed.destroy();
});

test("nothing is changed by parameters that are refused, nor while others are awaited", async () => {
  const device = await testDevice();
  const optimizer = await createOptimizer(device, options);
  const { add: addNow } = await optimizer.openParams();
  expect(optimizer.tensors).toEqual([]);
  expect(() => addNow([{ ...param("a"), data: new Float32Array(2) }])).toThrow(OptionError);
  await addNow([param("a")]);
  const later = optimizer.addParams([param("c")]);
  expect(() => addNow([param("b")])).toThrow(LifecycleError);
  await later;
  expect(() => addNow([param("a")])).toThrow(/must be unique/);
  expect(optimizer.tensors.map((t) => t.name)).toEqual(["a", "c"]);
  optimizer.destroy();
  expect(() => addNow([param("b")])).toThrow(/destroyed/);
});

test("a buffer that the device refuses is told by the promise", async () => {
  const device = await testDevice({ fresh: true });
  const optimizer = await createOptimizer(device, options);
  const { add: addNow } = await optimizer.openParams();
  const { createBuffer } = device;
  device.createBuffer = (descriptor) =>
    createBuffer.call(device, /state/.test(descriptor.label ?? "") ? { ...descriptor, usage: 0 } : descriptor);
  await expect(addNow([param("a")])).rejects.toThrow(DeviceError);
  optimizer.destroy();
});

test("stepInto puts the step behind what the encoder holds, in one submission, with its figures", async () => {
  const device = await testDevice();
  const optimizer = await createOptimizer(device, { ...options, params: [param("a")], monitor: { every: 1 } });
  const seen: Figures[] = [];
  optimizer.on("figures", (figures) => void seen.push(figures));
  const { grad } = optimizer.tensor("a");
  const source = device.createBuffer({ size: grad.size, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(source, 0, new Float32Array(35).fill(2));
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(source, 0, grad.buffer, grad.offset, grad.size);
  let submissions = 0;
  optimizer.stepInto(encoder, () => {
    submissions += 1;
    device.queue.submit([encoder.finish()]);
  });
  await optimizer.flush();
  expect(submissions).toBe(1);
  expect(seen.map((f) => f.gradNorm)).toEqual([expect.closeTo(2 * Math.sqrt(35), 5)]);
  expect(() => optimizer.stepInto({} as GPUCommandEncoder, () => {})).toThrow(OptionError);
  optimizer.destroy();
  source.destroy();
});
