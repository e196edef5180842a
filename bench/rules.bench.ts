/**
 * One step of every elementwise rule on one tensor, beside the stream kernel with its loads and stores, cut up alike. What the rule
 * gives is checked first, then both are timed in turns.
 */
import { createOptimizer, type Optimizer } from "../src/index.ts";
import { Twin } from "../test/reference/twin.ts";
import { type CaseTensor, caseTensors } from "./cases.ts";
import { type RuleCase, ruleCases } from "./impl/rule-cases.ts";
import { type SlotUse, type StreamShape, streamRuns } from "./impl/stream-kernel.ts";
import { scaled, type Timed } from "./implementation.ts";
import { median, ratioToBaseline, timeInRounds, warmUp } from "./rounds.ts";
import type { Suite } from "./suite.ts";

const weightDecay = 0.01;
/** The gradients of the checked steps are the case's times these; RAdam's step is not rectified before the sixth. */
const checkedSteps = [1, -0.5, 2, 0.25, 1, -0.5, 2, 0.25];
/** Elements between two that are compared; a prime, so that all places in a chunk occur. */
const SAMPLED = 4099;

export const rules: Suite = async ({ device, request, row, progress }) => {
  const chosen = ruleCases.filter(
    ({ name }) => request.rules.length === 0 || request.rules.some((r) => names(r, name)),
  );
  const unknown = request.rules.find((r) => !ruleCases.some(({ name }) => names(r, name)));
  if (unknown) throw new Error(`no rule "${unknown}"; there are ${ruleCases.map(({ name }) => name).join(", ")}`);
  const [tensor] = caseTensors("big") as [CaseTensor];
  const gradients = new Map(checkedSteps.map((factor) => [factor, scaled(tensor.grad, factor)]));

  for (const ruleCase of chosen) {
    await progress(`rules ${ruleCase.name}`);
    const optimizer = await createOptimizer(device, {
      rule: ruleCase.rule,
      lr: lrOf(ruleCase),
      weightDecay,
      params: [{ name: tensor.name, shape: tensor.shape, data: tensor.param }],
      label: `bench ${ruleCase.name}`,
    });
    const error = await check(ruleCase, optimizer, tensor, gradients);
    const done = () => device.queue.onSubmittedWorkDone();
    const ours: Timed = { name: "ours", step: () => optimizer.step(), done };
    const uses = ruleCase.slots.map(([, use]) => use);
    const floor = await openFloor(device, tensor, uses);
    for (const each of [floor, ours]) await warmUp(each, 4);
    const times = await timeInRounds(floor, [ours], { rounds: request.rounds, stepsPerTurn: 1 });
    floor.destroy();
    optimizer.destroy();
    const measured = times.get("ours")!;
    await row({
      suite: "rules",
      case: ruleCase.name,
      loaded: 4 * (2 + uses.filter((use) => use !== "stored").length),
      stored: 4 * (1 + uses.filter((use) => use !== "loaded").length),
      ours_ms: median(measured.wall),
      floor_ms: median(measured.baselineWall),
      ratio: ratioToBaseline(measured),
      error,
    });
  }
};

/** A rule's export names all its cases. */
function names(asked: string, name: string): boolean {
  return name === asked || name.startsWith(`${asked} `);
}

function lrOf({ rule }: RuleCase): number {
  return rule.definition.lr ?? 1e-3;
}

/** Invocations per workgroup and chunks as `createOptimizer` has them for a tensor of this size. */
function oursShape(device: GPUDevice, size: number): StreamShape {
  return { workgroup: device.adapterInfo.isFallbackAdapter ? 4 : 64, grid: size / 16_384 };
}

async function openFloor(
  device: GPUDevice,
  { param, grad }: CaseTensor,
  slots: readonly SlotUse[],
): Promise<Timed & { destroy(): void }> {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const buffer = (what: string, size: number) => device.createBuffer({ label: `bench.stream ${what}`, size, usage });
  const { byteLength } = param;
  const buffers = {
    param: buffer("param", byteLength),
    grad: buffer("grad", byteLength),
    state: buffer("state", Math.max(16, slots.length * byteLength)),
  };
  device.queue.writeBuffer(buffers.param, 0, param);
  device.queue.writeBuffer(buffers.grad, 0, grad);
  const [step] = await streamRuns(device, buffers, slots, [oursShape(device, param.length)]);
  return {
    name: "floor",
    step: step!,
    done: () => device.queue.onSubmittedWorkDone(),
    destroy: () => {
      for (const each of Object.values(buffers)) each.destroy();
    },
  };
}

/**
 * Runs the checked steps and returns the largest error of the sampled parameters in units of what is allowed: 1e-4 of the
 * longest way among them, plus four roundings of the parameter itself.
 *
 * @throws {Error} for an error above 1, for parameters that are not finite or have not moved, and for slots that changed in the last step
 * though they are only loaded, or did not though they are stored.
 */
async function check(
  ruleCase: RuleCase,
  optimizer: Optimizer,
  { name, param }: CaseTensor,
  gradients: ReadonlyMap<number, Float32Array>,
): Promise<number> {
  const { twin: rule, rule: ours, options, slots } = ruleCase;
  const decayMode = ours.definition.decayMode ?? "decoupled";
  const sample = (values: Float32Array) =>
    Float32Array.from({ length: Math.ceil(values.length / SAMPLED) }, (_, i) => values[i * SAMPLED]!);
  const twin = new Twin({
    rule,
    tensors: [{ data: sample(param) }],
    groups: [{ ...options, lr: lrOf(ruleCase), weightDecay, decayMode }],
  });
  let before: Readonly<Record<string, Float32Array>> = {};
  for (const [step, factor] of checkedSteps.entries()) {
    if (step === checkedSteps.length - 1) before = (await optimizer.readState(name)).slots;
    const gradient = gradients.get(factor)!;
    optimizer.writeGrad(name, gradient);
    optimizer.step();
    twin.step([sample(gradient)]);
  }
  const after = (await optimizer.readState(name)).slots;
  for (const [slot, use] of slots) {
    const changed = after[slot]!.some((x, i) => x !== before[slot]![i]);
    if (changed !== (use !== "loaded"))
      throw new Error(`${ruleCase.name}: slot ${slot} ${changed ? "has" : "has not"} changed in a step`);
  }
  const updated = await optimizer.readParam(name);
  if (!updated.every(Number.isFinite)) throw new Error(`${ruleCase.name}: parameters are not finite`);
  // Steps of equal size and opposite signs bring a few of them back.
  const still = updated.filter((x, i) => x === param[i]).length;
  if (still > param.length / 100) throw new Error(`${ruleCase.name}: ${still} parameters have not moved`);

  const start = sample(param);
  const want = twin.param(0);
  const way = want.reduce((most, x, i) => Math.max(most, Math.abs(x - start[i]!)), 0);
  const error = sample(updated).reduce(
    (most, x, i) => Math.max(most, Math.abs(x - want[i]!) / (1e-4 * way + 4 * 2 ** -24 * Math.abs(want[i]!))),
    0,
  );
  if (!(error <= 1)) throw new Error(`${ruleCase.name}: wrong result, ${error} times the allowed error`);
  return error;
}
