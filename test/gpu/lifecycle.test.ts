/** The end of optimizers and devices, and what happens while something waits. */
import { describe, expect, test } from "vitest";
import {
  createLossScaler,
  createOptimizer,
  DeviceError,
  LifecycleError,
  OptimError,
  type Optimizer,
  type OptimizerOptions,
  sgd,
} from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { ample, failureOf, settled, values } from "./refusals.ts";
import { bitsOf } from "./twin-run.ts";

const plain = { rule: sgd(), params: [{ name: "w", shape: [70] }] } satisfies OptimizerOptions;

describe("after destroy", () => {
  const w = new Float32Array(70);
  const own = { buffer: {} as GPUBuffer };
  const calls: [string, (o: Optimizer) => unknown][] = [
    ["step", (o) => o.step()],
    ["encode", (o) => o.encode(o.device.createCommandEncoder())],
    ["withoutGrad", (o) => o.withoutGrad("w")],
    ["freeze", (o) => o.freeze("w")],
    ["unfreeze", (o) => o.unfreeze("w")],
    ["setGroup", (o) => o.setGroup("default", { lr: 1 })],
    ["set", (o) => o.set({ lr: 1 })],
    ["attach", (o) => o.attach("w", { param: own })],
    ["addParams", (o) => o.addParams([{ name: "v", shape: [3] }])],
    ["flush", (o) => o.flush()],
    ["stateDict", (o) => o.stateDict()],
    ["loadStateDict", (o) => o.loadStateDict({} as never)],
    ["readParam", (o) => o.readParam("w")],
    ["readState", (o) => o.readState("w")],
    ["readLossScale", (o) => o.readLossScale()],
    ["writeParam", (o) => o.writeParam("w", w)],
    ["writeGrad", (o) => o.writeGrad("w", w)],
  ];

  test.each(calls)("%s is refused", async (name, call) => {
    const device = await testDevice();
    const optimizer = await createOptimizer(device, plain);
    optimizer.destroy();
    const counter = countCalls(device);
    const error = await failureOf(() => call(optimizer));
    expect(error).toBeInstanceOf(LifecycleError);
    expect(error.message).toBe(`${name}: the optimizer is destroyed`);
    expect(counter.stop()).toMatchObject({ createBuffer: 0, submits: 0, writeBuffer: 0 });
  });

  test("what needs no GPU still answers", async () => {
    const optimizer = await createOptimizer(await testDevice(), { ...plain, monitor: {} });
    optimizer.destroy();
    expect(optimizer.tensors.map((t) => t.name)).toEqual(["w"]);
    expect(optimizer.tensor("w").shape).toEqual([70]);
    expect(optimizer.groups).toEqual(["default"]);
    expect(optimizer.table()).toContain("w");
    expect(optimizer.figuresDropped).toBe(0);
    optimizer.destroy();
  });

  test("figures end, those that are waited for and those that are asked for later", async () => {
    const optimizer = await createOptimizer(await testDevice(), { ...plain, monitor: {} });
    const waiting = optimizer.figures().next();
    optimizer.destroy();
    expect(await settled("next", waiting)).toMatchObject({ value: { done: true } });
    expect(await settled("next", optimizer.figures().next())).toMatchObject({ value: { done: true } });
    for await (const _ of optimizer.figures()) throw new Error("nothing comes any more");
  });

  test("what had been asked for before arrives", async () => {
    const device = await testDevice();
    const optimizer = await createOptimizer(device, ample);
    optimizer.step();
    optimizer.step();
    const asked = [optimizer.stateDict(), optimizer.readParam("w"), optimizer.flush()] as const;
    optimizer.destroy();
    const [state, param, flush] = await Promise.all(
      asked.map((p, i) => settled(`promise ${i}`, p as Promise<unknown>)),
    );
    expect(state).toMatchObject({ status: "fulfilled", value: { stepsApplied: 1 } });
    expect(param).toMatchObject({ status: "fulfilled" });
    expect(flush).toMatchObject({ status: "fulfilled" });
  });

  test("a loss scaler refuses too", async () => {
    const scaler = await createLossScaler(await testDevice());
    scaler.update();
    scaler.destroy();
    scaler.destroy();
    expect(await failureOf(() => scaler.update())).toBeInstanceOf(LifecycleError);
    expect(await failureOf(() => scaler.read())).toBeInstanceOf(LifecycleError);
  });
});

describe("when the device goes", () => {
  /** Every promise that an optimizer gives, asked for in one breath. */
  const ask = (device: GPUDevice, optimizer: Optimizer): [string, Promise<unknown>][] => [
    ["stateDict", optimizer.stateDict()],
    ["readParam", optimizer.readParam("w")],
    ["readState", optimizer.readState("b")],
    ["readLossScale", optimizer.readLossScale()],
    ["flush", optimizer.flush()],
    ["figures", optimizer.figures().next()],
    ["addParams", optimizer.addParams([{ name: "late", shape: [33] }])],
    ["createOptimizer", createOptimizer(device, ample)],
    ["createLossScaler", createLossScaler(device)],
  ];

  test("every promise settles, with what is true or with a typed error", async () => {
    const device = await testDevice({ fresh: true });
    const optimizer = await createOptimizer(device, ample);
    const before = await optimizer.readParam("w");
    // Not one step: so every parameter that is read must be what it was.
    const asked = ask(device, optimizer).map(([name, promise]) => [name, settled(name, promise)] as const);
    device.destroy();
    for (const [name, settling] of asked) {
      const outcome = await settling;
      if (outcome.status === "rejected") {
        expect(outcome.reason, name).toBeInstanceOf(OptimError);
        expect(outcome.reason.message, name).toMatch(/lost|destroyed/);
      } else if (name === "readParam") expect(outcome.value).toEqual(before);
      else if (name === "stateDict") expect(outcome.value).toMatchObject({ tensors: { w: { param: before } } });
      else if (name === "readLossScale") expect(outcome.value).toMatchObject({ scale: 65_536 });
      else if (name === "createOptimizer") (outcome.value as Optimizer).destroy();
      else expect(["flush", "figures", "readState", "addParams", "createLossScaler"]).toContain(name);
    }
    optimizer.destroy();
  });

  test("every call afterwards is a typed error, and destroy is none", async () => {
    const device = await testDevice({ fresh: true });
    const optimizer = await createOptimizer(device, ample);
    const scaler = await createLossScaler(device);
    optimizer.step();
    device.destroy();
    await device.lost;
    for (const [name, promise] of [
      ["step", () => optimizer.step()],
      ["encode", () => optimizer.encode({ beginComputePass() {} } as never)],
      ["writeGrad", () => optimizer.writeGrad("b", new Float32Array(9))],
      ["stateDict", () => optimizer.stateDict()],
      ["readParam", () => optimizer.readParam("w")],
      ["flush", () => optimizer.flush()],
      ["addParams", () => optimizer.addParams([{ name: "v", shape: [3] }])],
    ] as const) {
      const error = await failureOf(promise);
      expect(error).toBeInstanceOf(LifecycleError);
      expect(error.message).toMatch(new RegExp(`^${name}: the device is lost`));
    }
    for (const call of [() => createOptimizer(device, ample), () => createOptimizer(device, plain)]) {
      const outcome = await settled("createOptimizer", Promise.resolve().then(call));
      expect(outcome).toMatchObject({ status: "rejected", reason: expect.any(DeviceError) });
    }
    expect(await settled("read", scaler.read())).toMatchObject({ status: "rejected", reason: expect.any(OptimError) });
    expect(await settled("next", optimizer.figures().next())).toMatchObject({ value: { done: true } });
    scaler.destroy();
    optimizer.destroy();
  });

  test("a state that was saved before goes on, on another device, bit for bit", async () => {
    const lost = await testDevice({ fresh: true });
    const device = await testDevice();
    const { lossScale: _, accumulate: __, ...options } = ample;
    const drive = (optimizer: Optimizer, from: number, to: number) => {
      for (let i = from; i <= to; i++) {
        optimizer.writeGrad("w", values(35, i));
        optimizer.step();
      }
    };
    const first = await createOptimizer(lost, options);
    drive(first, 1, 5);
    const saved = await first.stateDict();
    lost.destroy();
    const second = await createOptimizer(device, options);
    await second.loadStateDict(saved);
    drive(second, 6, 10);
    const never = await createOptimizer(device, options);
    drive(never, 1, 10);
    expect(bitsOf(await second.stateDict())).toEqual(bitsOf(await never.stateDict()));
    for (const optimizer of [first, second, never]) optimizer.destroy();
  });
});

describe("addParams, which waits", () => {
  const late = (name: string) => [{ name, shape: [33], data: values(33, 7) }];
  const drive = (optimizer: Optimizer, i: number) => {
    for (const { name, shape } of optimizer.tensors)
      optimizer.writeGrad(
        name,
        values(
          shape.reduce((a, b) => a * b, 1),
          i,
        ),
      );
    optimizer.step();
  };
  const { accumulate: _, ...options } = ample;

  test("steps may be taken meanwhile, and two may be under way", async () => {
    const device = await testDevice();
    const [subject, patient] = [await createOptimizer(device, options), await createOptimizer(device, options)];
    const adding = [subject.addParams(late("x"), [{ match: "x", lr: 0.5 }]), subject.addParams(late("y"))];
    for (let i = 1; i <= 3; i++) {
      expect(subject.tensors.length).toBe(2);
      drive(subject, i);
      drive(patient, i);
    }
    await Promise.all(adding);
    await patient.addParams(late("x"), [{ match: "x", lr: 0.5 }]);
    await patient.addParams(late("y"));
    for (let i = 4; i <= 6; i++) {
      drive(subject, i);
      drive(patient, i);
    }
    const [got, expected] = [bitsOf(await subject.stateDict()), bitsOf(await patient.stateDict())];
    // What decay has removed is counted for a new group from the first update that the host did not know to be applied yet.
    expect({ ...got, pasts: got.pasts[0] }).toEqual({ ...expected, pasts: expected.pasts[0] });
    expect(subject.tensors.map((t) => t.name)).toEqual(["w", "b", "x", "y"]);
    subject.destroy();
    patient.destroy();
  });

  test("destroyed meanwhile, it fails and leaves nothing", async () => {
    const device = await testDevice({ fresh: true });
    const counter = countCalls(device);
    const optimizer = await createOptimizer(device, options);
    const adding = optimizer.addParams(late("x"));
    optimizer.destroy();
    const outcome = await settled("addParams", adding);
    expect(outcome).toMatchObject({ status: "rejected", reason: expect.any(LifecycleError) });
    expect(counter.stop()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
  });
});
