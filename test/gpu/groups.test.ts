/** Parameter groups: who is in which, what each may say, and what may change on the way. */

import { describe, expect, test } from "vitest";
import {
  adam,
  adamw,
  createOptimizer,
  decayGroups,
  type GroupSpec,
  linear,
  type Optimizer,
  type OptimizerOptions,
  OptionError,
  sgd,
} from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { adam as adamTwin, adamw as adamwTwin } from "../reference/adam.ts";
import { sgd as sgdTwin } from "../reference/sgd.ts";
import {
  bitsOf,
  criterionFor,
  expectPassed,
  expectTwinRun,
  gradientsAt,
  nameOf,
  type Problem,
  type SharedGroup,
  someValues,
  start,
  stepWith,
  Twins,
} from "./twin-run.ts";

const ADAMW = { rule: adamw(), twin: adamwTwin, options: {} };
const LAYERS = ["conv.weight", "conv.bias", "fc.weight", "fc.bias", "scale"].map((name, i) => ({
  name,
  shape: [i + 1],
}));

async function make(options: Partial<OptimizerOptions>): Promise<Optimizer> {
  return createOptimizer(await testDevice(), { rule: adamw(), params: LAYERS, ...options });
}

/** Group by tensor. */
async function membership(groups: readonly GroupSpec[]): Promise<Record<string, string[]>> {
  const optimizer = await make({ groups });
  const state = await optimizer.stateDict();
  optimizer.destroy();
  return Object.fromEntries(state.groups.map((g) => [g.name, [...g.tensors]]));
}

describe("matching", () => {
  test("a pattern is tested against the whole name, * stands for any text", async () => {
    expect(await membership([{ match: "*.bias" }, { match: "fc" }, { match: "c*t" }])).toEqual({
      default: ["fc.weight", "scale"],
      "*.bias": ["conv.bias", "fc.bias"],
      fc: [],
      "c*t": ["conv.weight"],
    });
  });

  test("a regular expression is tested anywhere in it, and has no memory", async () => {
    expect(await membership([{ match: /bias/g, name: "biases" }, { match: /^FC\./i }])).toEqual({
      default: ["conv.weight", "scale"],
      biases: ["conv.bias", "fc.bias"],
      "/^FC\\./i": ["fc.weight"],
    });
  });

  test("a function sees name and shape; any pattern of a list will do", async () => {
    const small: GroupSpec = { match: ({ shape }) => shape[0]! < 2, name: "small" };
    expect(await membership([small, { match: ["scale", /^fc\.b/], name: "listed" }])).toEqual({
      default: ["conv.bias", "fc.weight"],
      small: ["conv.weight"],
      listed: ["fc.bias", "scale"],
    });
  });

  test("the first match wins", async () => {
    expect(await membership([{ match: "fc.*" }, { match: "*.bias" }, { match: "*", name: "all" }])).toEqual({
      default: [],
      "fc.*": ["fc.weight", "fc.bias"],
      "*.bias": ["conv.bias"],
      all: ["conv.weight", "scale"],
    });
  });

  test.each([
    [{ match: [] }, "groups[0].match must be a name pattern"],
    [{ match: 3 as never }, "groups[0].match must be a name pattern"],
    [{ match: "a", name: "default" }, 'groups[0].name must be unique, got "default"'],
    [{ match: "a", betas: [0.9, 1] }, "adamw: groups[0]: betas[1] must be in [0, 1), got 1"],
    [{ match: "a", momentum: 0.9 }, "adamw: groups[0]: momentum is no option"],
    [{ match: "a", lr: Number.NaN }, "adamw: groups[0]: lr must be a finite number >= 0, got NaN"],
    [{ match: "a", cautious: true, decayMode: "coupled" as const }, "cautious is not defined for decayMode coupled"],
  ])("refuses %j", async (group, message) => {
    await expect(make({ groups: [group] })).rejects.toThrow(message);
  });

  test("decayGroups: matrices and kernels decay; biases, norms, 1-D tensors and positions do not", () => {
    const tensors = {
      decay: {
        "fc.weight": [4, 8],
        "conv.weight": [8, 1, 3, 3],
        "tok_emb.weight": [100, 8],
        "norm.proj.weight": [8, 8],
      },
      noDecay: {
        "fc.bias": [8],
        "attn.bias": [4, 4],
        "bn1.weight": [8],
        "layer_norm.weight": [8, 16, 16],
        "block/ln_2/scale": [1, 1, 8],
        "head.norm.gamma": [1, 8],
        temperature: [],
        lambda: [1],
        "vit.pos_embed": [1, 197, 8],
        "wpe.weight": [64, 8],
        "bert.position_embeddings.weight": [512, 8],
      },
    } as const;
    for (const [expected, shapes] of Object.entries(tensors)) {
      for (const [name, shape] of Object.entries(shapes)) {
        const all = [{ name, shape }];
        const group = decayGroups(all, { weightDecay: 0.1 }).find(({ match }) =>
          typeof match === "function" ? match(all[0]!) : match === "*",
        );
        expect(group, name).toMatchObject({ name: expected, weightDecay: expected === "decay" ? 0.1 : 0 });
      }
    }
  });

  test("the table says who is where, with what", async () => {
    const optimizer = await make({
      params: [
        { name: "conv.weight", shape: [8, 1, 3, 3] },
        { name: "conv.bias", shape: [8] },
        { name: "fc.weight", shape: [10, 8] },
        { name: "temperature", shape: [] },
      ],
      lr: linear(0.3, 10, { startFactor: 1 / 3 }),
      groups: [
        { match: "*.bias", weightDecay: 0, lrScale: 2 },
        { match: "fc.*", decayMode: "independent", cautious: true, toward: "initial", l1: 0.5, lr: 0.001 },
      ],
    });
    optimizer.freeze("temperature");
    expect(optimizer.table()).toMatchInlineSnapshot(`
      "tensor       shape    group    lr      decay  mode
      conv.weight  8x1x3x3  default  0.1     0.01   decoupled
      conv.bias    8        *.bias   0.2     0      decoupled
      fc.weight    10x8     fc.*     0.001   0.01   independent cautious toward l1
      temperature  scalar   default  frozen  0.01   decoupled"
    `);
    optimizer.step();
    expect(optimizer.table().split("\n")[1]).toMatch(/ 0\.12 /);
    optimizer.destroy();
  });
});

describe("options of a group", () => {
  test("lr, betas, eps, decay, mode, amsgrad, maximize, clipValue and lrScale, against the twin", async () => {
    const groups: SharedGroup[] = [
      { lr: 0.1 },
      { lr: linear(0.1, 10), lrScale: 0.25 },
      { betas: [0.5, 0.9], eps: 0.1 },
      { weightDecay: 0.5, decayMode: "coupled" },
      { amsgrad: true, maximize: true },
      { clipValue: 0.3 },
      { frozen: true },
    ];
    const problem = { row: ADAMW, shapes: groups.flatMap(() => [[7], [130]]), groups };
    await expectTwinRun(await testDevice(), problem, 15);
  });

  test("momentum, dampening and nesterov, against the twin", async () => {
    const groups: SharedGroup[] = [
      { lr: 0.1 },
      { momentum: 0.9, dampening: 0.5 },
      { momentum: 0.8, nesterov: true, lrScale: 3 },
    ];
    const row = { rule: sgd(), twin: sgdTwin, options: {} };
    await expectTwinRun(await testDevice(), { row, shapes: [[5], [6], [7]], groups }, 15);
  });

  test("lrScale scales lr and what follows it, not the decay of scheduled and independent", async () => {
    const groups = (["decoupled", "scheduled", "independent"] as const).map((decayMode) => {
      return { decayMode, lr: linear(0.2, 10), weightDecay: 0.1, lrScale: 0.5 };
    });
    const problem = { row: ADAMW, shapes: groups.map(() => [5]), groups, options: { monitor: {} } };
    const optimizer = await start(await testDevice(), problem);
    const figures = optimizer.figures();
    stepWith(optimizer, gradientsAt(problem, 1));
    const { value } = await figures.next();
    optimizer.destroy();
    const lr = 0.2 * linear(1, 10)(0);
    expect(Object.values(value!.groups).slice(1)).toMatchObject([
      { lr: lr * 0.5, decayFraction: lr * 0.5 * 0.1 },
      { lr: lr * 0.5, decayFraction: 0.1 },
      { lr: lr * 0.5, decayFraction: 0.1 },
    ]);
  });
});

describe("changes on the way", () => {
  const shapes = [[5], [64], [65], [130]];

  test("set and setGroup at any step, against the twin", async () => {
    const device = await testDevice();
    const own = { lr: 0.01, weightDecay: 0.1, clipValue: 2, amsgrad: true };
    const problem: Problem = {
      row: { rule: adam(), twin: adamTwin, options: {} },
      shapes,
      groups: [own, { ...own, cautious: true, decayMode: "decoupled" }],
    };
    const optimizer = await start(device, problem);
    const twins = new Twins(problem);
    const changes: Record<number, [group: number | "all", options: Record<string, unknown>]> = {
      2: [0, { lr: linear(0.2, 10) }],
      3: ["all", { weightDecay: 0.3, decayMode: "independent" }],
      5: [1, { betas: [0.5, 0.99], eps: 1e-3 }],
      6: [0, { cautious: true, decayMode: "proximal" }],
      8: [1, { frozen: true }],
      9: ["all", { clipValue: 0.5, maximize: true }],
      11: [1, { frozen: false, lr: 0.05 }],
      12: ["all", { cautious: false, decayMode: "coupled", betas: [0.8, 0.9] }],
    };
    const comparison = criterionFor(device);
    for (let step = 1; step <= 14; step++) {
      const [group, options] = changes[step] ?? [];
      if (group === "all") optimizer.set(options!);
      else if (group !== undefined) optimizer.setGroup(`g${group}`, options!);
      for (const g of [0, 1]) if (group === g || group === "all") twins.setGroup(g, options!);
      const grads = gradientsAt(problem, step);
      stepWith(optimizer, grads);
      twins.step(grads);
      twins.compare(comparison, await optimizer.stateDict(), `step ${step}`);
    }
    optimizer.destroy();
    expectPassed(comparison);
  });

  test.each([
    [adam(), { amsgrad: true }],
    [adamw(), { decayMode: "coupled" }],
    [sgd(), { momentum: 0.9 }],
    [adamw(), { cautious: true }],
    [adamw(), { l1: 0.1 }],
    [adamw(), { toward: "initial" }],
    [adamw(), { clipValue: 1 }],
    [adamw(), { lr: 1, betas: [0.9, 1.5] }],
    [adamw(), { lr: 1, nonsense: 1 }],
    [adamw(), { lr: 1, weightDecay: () => -1 }],
  ] as const)(
    "what was not asked for at creation, or is wrong, is refused and changes nothing: %#",
    async (rule, changes) => {
      const device = await testDevice();
      const problem: Problem = { row: { ...ADAMW, rule }, shapes, options: { lr: 0.01 } };
      const run = async (disturb: (optimizer: Optimizer) => void) => {
        const optimizer = await start(device, problem);
        for (let step = 1; step <= 3; step++) {
          if (step === 2) disturb(optimizer);
          stepWith(optimizer, gradientsAt(problem, step));
        }
        const result = { bits: bitsOf(await optimizer.stateDict()), table: optimizer.table() };
        optimizer.destroy();
        return result;
      };
      const disturbed = await run((optimizer) => {
        expect(() => optimizer.set(changes)).toThrow(OptionError);
        expect(() => optimizer.setGroup(0, changes)).toThrow(OptionError);
        expect(() => optimizer.setGroup("none", {})).toThrow(OptionError);
      });
      expect(disturbed).toEqual(await run(() => {}));
    },
  );
});

describe("addParams", () => {
  const known = [[5], [64]];
  const added = [[130], [3], [7], [64]];
  const specs: GroupSpec[] = [{ match: /t[35]/, name: "new", lr: 0.2, betas: [0.5, 0.9] }];
  const options = { lr: 0.05, weightDecay: 0.1, clip: { globalNorm: 1 } };
  const whole: Problem = { row: ADAMW, shapes: [...known, ...added], options };

  /** Ten steps; one is skipped before the tensors come and one after. */
  function steps(optimizer: Optimizer, from: number, to: number, tensors: number): void {
    for (let step = from; step <= to; step++) {
      const grads: (Float32Array | null)[] = gradientsAt(whole, step).slice(0, tensors);
      if (step === 2 || step === 8) grads[1]![0] = Number.NaN;
      stepWith(
        optimizer,
        grads.map((grad, k) => (step <= 5 && k >= known.length ? null : grad)),
      );
    }
  }

  test("is as if they had been there without a gradient, bit for bit", async () => {
    const device = await testDevice();
    const data = added.map((shape, i) => someValues(i, shape[0]!));
    const params = whole.shapes.map((shape, k) => ({
      name: nameOf(k),
      shape,
      data: data[k - 2] ?? someValues(9, shape[0]!),
    }));
    const make = (some: typeof params, groups: GroupSpec[]) =>
      createOptimizer(device, { ...options, rule: adamw(), params: some, groups });

    const complete = await make(params, specs);
    steps(complete, 1, 10, 6);
    const later = await make(params.slice(0, 2), []);
    steps(later, 1, 5, 2);
    // One of them in buffers of the caller's, and of a size that needs another kernel.
    const buffers = [0, 1].map(() => device.createBuffer({ size: 28, usage: 0x80 | 0x8 | 0x4 }));
    const [param, grad] = buffers.map((buffer) => ({ buffer }));
    const attached = { name: params[4]!.name, shape: params[4]!.shape, param: param!, grad: grad! };
    device.queue.writeBuffer(buffers[0]!, 0, data[2] as Float32Array<ArrayBuffer>);
    await later.addParams([...params.slice(2, 4), attached, params[5]!], specs);
    steps(later, 6, 10, 6);

    expect(bitsOf(await later.stateDict())).toEqual(bitsOf(await complete.stateDict()));
    expect(later.table()).toBe(complete.table());
    for (const optimizer of [complete, later]) optimizer.destroy();
    for (const buffer of buffers) buffer.destroy();
  });

  test("refuses a name that is taken, and what the kernels lack, and changes nothing", async () => {
    const device = await testDevice();
    const problem = { ...whole, shapes: known };
    const optimizer = await start(device, problem);
    const fresh = { name: "t9", shape: [2] };
    await expect(optimizer.addParams([{ name: "t1", shape: [2] }])).rejects.toThrow(OptionError);
    await expect(optimizer.addParams([fresh], [{ match: "*", name: "default" }])).rejects.toThrow(OptionError);
    await expect(optimizer.addParams([fresh], [{ match: "*", amsgrad: true }])).rejects.toThrow(OptionError);
    expect(optimizer.tensors.map((t) => t.name)).toEqual(["t0", "t1"]);
    expect(optimizer.groups).toEqual(["default"]);
    stepWith(optimizer, gradientsAt(problem, 1));
    expect((await optimizer.stateDict()).stepsApplied).toBe(1);
    optimizer.destroy();
  });
});
