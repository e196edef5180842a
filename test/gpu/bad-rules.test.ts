/** Bad options of rules, bad definitions of rules, and WGSL that does not compile. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as library from "../../src/index.ts";
import {
  type AdamOptions,
  adabelief,
  adadelta,
  adam,
  adamax,
  adamw,
  adan,
  ademamix,
  adopt,
  createOptimizer,
  defineRule,
  lion,
  madgrad,
  muonWithAuxAdam,
  nadam,
  nadamw,
  OptionError,
  type RuleDefinition,
  radam,
  rmsprop,
  rprop,
  type SgdOptions,
  ShaderError,
  sgd,
} from "../../src/index.ts";
import { testDevice } from "../browser/device.ts";
import { exportOf, OFFERED } from "../rules-table.ts";
import signMomentumWgsl from "../sign-momentum.wgsl?raw";
import {
  Caller,
  each,
  expectNamed,
  failureOf,
  NO_BOOLEANS,
  NO_LISTS,
  NO_MATCHES,
  NO_OBJECTS,
  NO_RATES,
  NO_TEXTS,
  type Row,
} from "./refusals.ts";

const { NaN: NAN, POSITIVE_INFINITY: INF } = Number;

let caller: Caller;
let device: GPUDevice;

beforeAll(async () => {
  device = await testDevice();
  caller = new Caller(device);
});

afterAll(() => caller.leave());

/** What no option of any rule of the library may be, by the type of its default. */
function rowsOfEveryOption(definition: RuleDefinition): Row[] {
  const { name, defaults } = definition;
  const make = (library as unknown as Readonly<Record<string, (options: object) => unknown>>)[exportOf(definition)]!;
  return Object.entries(defaults).flatMap(([option, like]): Row[] => {
    const give = (value: unknown) => make({ [option]: value });
    const rates = definition.signed?.includes(option) ? NO_RATES.filter((v) => v !== -1e-9) : NO_RATES;
    if (typeof like === "boolean") return each(`${name}: ${option}`, NO_BOOLEANS, give);
    if (typeof like === "number") return each(`${name}: ${option}`, rates, give);
    if (typeof like === "string") return each(`${name}: ${option}`, ["", "Adam", 0, true, null, [like]], give);
    return [
      ...each(`${name}: ${option}`, [0.9, like.slice(1), [...like, 0.9], "0.9", null, {}], give),
      ...like.flatMap((_, i) => each(`${name}: ${option}[${i}]`, rates, (v) => give(like.with(i, v)))),
    ];
  });
}

const ruleRows: Row[] = [
  ...OFFERED.map(({ rule }) => rule.definition).flatMap(rowsOfEveryOption),
  ...each("adamax: betas[1]", [1, 2], (b) => adamax({ betas: [0.9, b] })),
  ...each("nadam: betas[0]", [1, 2], (b) => nadam({ betas: [b, 0.9] })),
  ...each("nadamw: betas[0]", [1, 2], (b) => nadamw({ betas: [b, 0.9] })),
  ...each("radam: betas[1]", [1, 2], (b) => radam({ betas: [0.9, b] })),
  ...each("adabelief: betas[1]", [1, 2], (b) => adabelief({ betas: [0.9, b] })),
  ...each("rmsprop: alpha", [1, 2], (alpha) => rmsprop({ alpha })),
  ...each("adadelta: rho", [1, 2], (rho) => adadelta({ rho })),
  ...each("lion: betas[1]", [1, 2], (b) => lion({ betas: [0.9, b] })),
  ...each("madgrad: momentum", [1, 2], (momentum) => madgrad({ momentum })),
  ...each("adan: betas[2]", [1, 2], (b) => adan({ betas: [0.9, 0.9, b] })),
  ...each("adopt: betas[1]", [1, 2], (b) => adopt({ betas: [0.9, b] })),
  ...each("ademamix: betas[2]", [1, 2], (b) => ademamix({ betas: [0.9, 0.9, b] })),
  ...each("rprop: etas[0]", [0, 1, 2], (eta) => rprop({ etas: [eta, 1.2] })),
  ...each("rprop: etas[1]", [0, 0.5, 1], (eta) => rprop({ etas: [0.5, eta] })),
  ["rprop: stepSizes", "[2,1]", () => rprop({ stepSizes: [2, 1] })],
  ...each("sgd: momentum", NO_RATES, (momentum) => sgd({ momentum })),
  ...each("sgd: dampening", NO_RATES, (dampening) => sgd({ momentum: 0.9, dampening })),
  ...each("sgd: nesterov", NO_BOOLEANS, (nesterov) => sgd({ momentum: 0.9, nesterov })),
  ...each("sgd: maximize", NO_BOOLEANS, (maximize) => sgd({ maximize })),
  ...each("sgd: options", NO_OBJECTS, (options) => sgd(options)),
  ["sgd: nesterov", '{"momentum":0,"dampening":0}', () => sgd({ nesterov: true })],
  ["sgd: nesterov", '{"momentum":0.9,"dampening":0.1}', () => sgd({ nesterov: true, momentum: 0.9, dampening: 0.1 })],
  ["sgd: momentun", "0.9", () => sgd({ momentun: 0.9 } as Partial<SgdOptions>)],
  ["sgd: lr", "0.1", () => sgd({ lr: 0.1 } as Partial<SgdOptions>)],
  ["sgd: toString", "1", () => sgd({ toString: 1 } as unknown as Partial<SgdOptions>)],
  ...[adam, adamw].flatMap((rule): Row[] => {
    const { name } = rule().definition;
    return [
      ...each(`${name}: betas`, [0.9, [0.9], [0.9, 0.99, 0.999], "0.9, 0.99", null, {}], (betas) => rule({ betas })),
      ...each(`${name}: betas[0]`, [NAN, INF, -0.1, 1, 1.5, "0.9", null, {}], (b) => rule({ betas: [b, 0.999] })),
      ...each(`${name}: betas[1]`, [NAN, -INF, -1, 1, 2, true, [1]], (b) => rule({ betas: [0.9, b] })),
      ...each(`${name}: eps`, NO_RATES, (eps) => rule({ eps })),
      ...each(`${name}: amsgrad`, NO_BOOLEANS, (amsgrad) => rule({ amsgrad })),
      ...each(`${name}: maximize`, NO_BOOLEANS, (maximize) => rule({ maximize })),
      ...each(`${name}: options`, NO_OBJECTS, (options) => rule(options)),
      [`${name}: weightDecay`, "0.1", () => rule({ weightDecay: 0.1 } as unknown as Partial<AdamOptions>)],
      [`${name}: beta1`, "0.9", () => rule({ beta1: 0.9 } as unknown as Partial<AdamOptions>)],
    ];
  }),
];

const right: RuleDefinition = {
  name: "mine",
  wgsl: signMomentumWgsl,
  defaults: { beta: 0.9 },
  slots: ["momentum"],
  hyper: () => ({ unused: 0 }),
  stepRow: () => ({ keep: 0, take: 1 }),
};
const ruleWith = (changes: Record<string, unknown>) =>
  defineRule({ ...right, ...changes } as unknown as RuleDefinition)();
const wgslWith = (from: string | RegExp, to: string) => ({ wgsl: signMomentumWgsl.replace(from, to) });

const auxRows: Row[] = [
  ...each("muonWithAuxAdam: options", NO_OBJECTS, (options) => muonWithAuxAdam(options)),
  ...(["muon", "adamw"] as const).flatMap((part) => [
    ...each(`muonWithAuxAdam: ${part}`, NO_OBJECTS, (given) => muonWithAuxAdam({ [part]: given })),
    ...each(`muonWithAuxAdam: ${part}.zz`, [1], (zz) => muonWithAuxAdam({ [part]: { zz } })),
    ...each(`muonWithAuxAdam: ${part}.match`, ["w"], (match) => muonWithAuxAdam({ [part]: { match } })),
  ]),
  ...each("muonWithAuxAdam: aux", NO_MATCHES.slice(1), (aux) => muonWithAuxAdam({ aux })),
  ["muonWithAuxAdam: zz", "1", () => muonWithAuxAdam({ zz: 1 } as object)],
  ["muon: nsSteps", "0", () => muonWithAuxAdam({ muon: { nsSteps: 0 } })],
  ["adamw: betas[1]", "2", () => muonWithAuxAdam({ adamw: { betas: [0.9, 2] } })],
];

const definitionRows: Row[] = [
  ...each("defineRule: definition", [undefined, ...NO_OBJECTS], (definition) => defineRule(definition)),
  ...each("defineRule: name", [...NO_TEXTS, "", "Mine", "my rule", "my_rule", "1st", undefined], (name) =>
    ruleWith({ name }),
  ),
  ...each("defineRule: wgsl", [undefined, null, 3, {}], (wgsl) => ruleWith({ wgsl })),
  ...each("defineRule: defaults", [undefined, ...NO_OBJECTS], (defaults) => ruleWith({ defaults })),
  ...each("defineRule: defaults.beta", ["0.9", null, NAN, [0.9], {}], (beta) => ruleWith({ defaults: { beta } })),
  ...each("defineRule: slots", [undefined, ...NO_LISTS, [3], [""], ["a", "a"]], (slots) => ruleWith({ slots })),
  ...each("defineRule: hyper", [undefined, null, {}, 3], (hyper) => ruleWith({ hyper })),
  ...each("defineRule: stepRow", [null, {}, 3], (stepRow) => ruleWith({ stepRow })),
  ...each("defineRule: decayMode", ["l2", null, 3], (decayMode) => ruleWith({ decayMode })),
  ["defineRule: wgsl of mine: struct Hyper", '["unused"]', () => ruleWith({ hyper: () => ({ unused: 0, beta: 0.9 }) })],
  ["defineRule: wgsl of mine: struct Hyper", '["unused"]', () => ruleWith({ hyper: () => ({}) })],
  ["defineRule: wgsl of mine: struct Hyper", "undefined", () => ruleWith(wgslWith("struct Hyper", "struct Hyp"))],
  ["defineRule: wgsl of mine: struct Hyper", '["unused: u32"]', () => ruleWith(wgslWith("unused: f32", "unused: u32"))],
  [
    "defineRule: wgsl of mine: struct StepRow",
    '["keep","take"]',
    () => ruleWith({ stepRow: () => ({ take: 1, keep: 0 }) }),
  ],
  ["defineRule: wgsl of mine: struct StepRow", '["keep","take"]', () => ruleWith({ stepRow: undefined })],
  ["mine: beta", "-1", () => defineRule(right)({ beta: -1 })],
  ["mine: gamma", "1", () => defineRule(right)({ gamma: 1 })],
];

describe.each(Object.entries({ ruleRows, auxRows, definitionRows }))("%s", (_, rows) => {
  test.each(rows)("%s, %s", async (option, value, call) => {
    const error = await failureOf(call);
    expect(error).toBeInstanceOf(OptionError);
    expectNamed(error, option, value);
  });
});

/** WGSL that does not compile, and pipelines that cannot be made. */
const shaderRows: [RegExp, Record<string, unknown>][] = [
  [/shaders\/rules\/mine\.wgsl:18:\d+: .*keeps/, wgslWith("let m = t.keep", "let m = t.keeps")],
  [/shaders\/rules\/mine\.wgsl:20:\d+: .*sgn/, wgslWith("lr * sign(m)", "lr * sgn(m)")],
  [
    /shaders\/mine\/momentum\.wgsl:19:\d+: /,
    { ...wgslWith("let m =", "\n  let m = 1 +;"), path: "mine/momentum.wgsl" },
  ],
  [/shaders\/rules\/mine\.wgsl:1: nothing to import as lib\/nrom/, wgslWith(/^/, "#import lib/nrom\n")],
  [/mine.*BETA/s, { overrides: () => ({ BETA: 1 }) }],
];

test.each(shaderRows)("%s", async (message, changes) => {
  const error = await caller.refusal(() =>
    createOptimizer(device, { rule: ruleWith(changes), params: [{ name: "w", shape: [4] }] }),
  );
  expect(error).toBeInstanceOf(ShaderError);
  expect(error.message).toMatch(message);
});

test("there are at least 190 rows", () => {
  expect(ruleRows.length + definitionRows.length + shaderRows.length).toBeGreaterThanOrEqual(190);
});
