/**
 * TensorFlow.js's own tests of its SGD, Momentum and Adam, as they lie in its npm package, run against our optimizers through the
 * adapter: `tf.train.adam(...)` and so on are replaced, nothing else but the lines named below.
 */
import * as tf from "@tensorflow/tfjs-core";
import adamTests from "@tensorflow/tfjs-core/dist/optimizers/adam_optimizer_test.js?raw";
import momentumTests from "@tensorflow/tfjs-core/dist/optimizers/momentum_optimizer_test.js?raw";
import sgdTests from "@tensorflow/tfjs-core/dist/optimizers/sgd_optimizer_test.js?raw";
import { describe, expect, test } from "vitest";
import { adam, sgd } from "../../src/index.ts";
import { FusedOptimizer, fused } from "../../src/tfjs/index.ts";
import { tfjsBackend } from "./tfjs-backend.ts";

/**
 * Lines that check private fields: they count the tensors in which TF.js's optimizers keep their state. Ours is in no tensor, and
 * what is demanded instead is stricter: the cost is the only new tensor, and `dispose` has none to dispose of.
 */
const PRIVATE: readonly { tests: string; names: readonly string[]; line: string; instead: string }[] = [
  {
    tests: adamTests,
    names: ["AdamOptimizer basic"],
    line: "expect(tf.memory().numTensors).toBe(numTensors + 3);",
    instead: "expect(tf.memory().numTensors).toBe(numTensors + 1);",
  },
  {
    tests: momentumTests,
    names: ["MomentumOptimizer basic", "MomentumOptimizer basic - with Nesterov"],
    line: "expect(tf.memory().numTensors).toBe(numTensors + 2);",
    instead: "expect(tf.memory().numTensors).toBe(numTensors + 1);",
  },
  {
    tests: momentumTests,
    names: ["MomentumOptimizer basic", "MomentumOptimizer basic - with Nesterov"],
    line: "expect(tf.memory().numTensors).toBe(numTensors - 2);",
    instead: "expect(tf.memory().numTensors).toBe(numTensors);",
  },
];

/** Our optimizers for the calls of the tests; eps is that of TF.js in float32. */
const CALLS: Readonly<Record<string, (...args: never[]) => Promise<FusedOptimizer>>> = {
  sgd: (lr: number) => fused(sgd(), { lr }),
  momentum: (lr: number, momentum: number, nesterov = false) => fused(sgd({ momentum, nesterov }), { lr }),
  adam: (lr: number, beta1: number, beta2: number, eps = 1e-7) => fused(adam({ betas: [beta1, beta2], eps }), { lr }),
};

/** The calls in the text of a test, with constants put in. They are synchronous, so their optimizers are made beforehand. */
function callsOf(body: string): { name: string; args: unknown[] }[] {
  const constants = Object.fromEntries(
    [...body.matchAll(/const (\w+) = (\.?\d[\w.]*|true|false);/g)].map(([, name, value]) => [
      name,
      Number(value) || value === "true",
    ]),
  );
  return [...body.matchAll(/tf\.train\.(\w+)\(([^)]*)\)/g)].map(([, name, args]) => ({
    name: name as string,
    args: (args as string)
      .split(",")
      .map((arg) => constants[arg.trim()] ?? JSON.parse(arg.trim().replace(/^\./, "0."))),
  }));
}

const key = (name: string, args: unknown[]) => `${name}(${args.join(", ")})`;

/** What the test that runs takes its optimizers from. */
const ready = new Map<string, FusedOptimizer[]>();
const made: FusedOptimizer[] = [];

const train = Object.fromEntries(
  Object.keys(CALLS).map((name) => [
    name,
    (...args: unknown[]) => {
      const optimizer = ready.get(key(name, args))?.pop();
      if (!optimizer) throw new Error(`${key(name, args)} has not been made beforehand`);
      return optimizer;
    },
  ]),
);

/** Tensors that other tests of this page have left. TF.js's tests expect to begin with none. */
let tensorsBefore = 0;
const memory = () => {
  const now = tf.memory();
  return { ...now, numTensors: now.numTensors - tensorsBefore };
};

async function run(body: () => unknown): Promise<void> {
  await tfjsBackend();
  tensorsBefore = tf.memory().numTensors;
  for (const { name, args } of callsOf(String(body))) {
    const optimizer = await (CALLS[name] as (...args: unknown[]) => Promise<FusedOptimizer>)(...args);
    made.push(optimizer);
    const list = ready.get(key(name, args)) ?? [];
    ready.set(key(name, args), [...list, optimizer]);
  }
  tf.engine().startScope();
  try {
    await body();
  } finally {
    tf.engine().endScope();
    for (const optimizer of made.splice(0)) optimizer.dispose();
    ready.clear();
    tf.disposeVariables();
  }
}

let count = 0;
describe.each([sgdTests, momentumTests, adamTests])("%#", (text) => {
  let code = text.replace(/^import .*$/gm, "");
  for (const { tests, names, line, instead } of PRIVATE) {
    if (tests !== text) continue;
    // A test that upstream changes must be looked at again.
    if (code.split(line).length - 1 !== names.length) throw new Error(`not ${names.length} times: ${line}`);
    code = code.replaceAll(line, instead);
  }
  const shim = {
    ...tf,
    memory,
    train,
    SGDOptimizer: FusedOptimizer,
    MomentumOptimizer: FusedOptimizer,
    AdamOptimizer: FusedOptimizer,
  };
  const globals = {
    tf: shim,
    ALL_ENVS: {},
    describeWithFlags: (name: string, _flags: unknown, body: () => void) => describe(name, body),
    it: (name: string, body: () => unknown) => {
      count += 1;
      test(name, () => run(body));
    },
    expect,
    expectArraysClose: tf.test_util.expectArraysClose,
  };
  new Function(...Object.keys(globals), code)(...Object.values(globals));
});

test("these are all of them", () => {
  expect(count).toBe(3 + 4 + 3);
});
