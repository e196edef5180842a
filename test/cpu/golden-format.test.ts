/** Broken golden files: each must be refused with a message that names the place, since one that is taken passes silently. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { GoldenError } from "../conformance/golden/check.ts";
import { checkInputs, parseGolden } from "../conformance/golden/parse.ts";

const GOLDEN = new URL("../golden/", import.meta.url);
const RUN = fileURLToPath(new URL("../conformance/run.ts", import.meta.url));

// biome-ignore lint/suspicious/noExplicitAny: the very point is to put anything anywhere
type Json = any;

function read(name: string): string {
  return readFileSync(new URL(`${name}.json`, GOLDEN), "utf8");
}

/**
 * A golden file with its first case only, after one edit: `path = value`, `delete path`, `pop path`, `reverse path` or
 * `push path value`. Paths begin in the case, or with `file.` in the file.
 */
function edited(name: string, edit: string): string {
  const file = JSON.parse(read(name)) as Json;
  file.cases.length = 1;
  const [, verb = "", path = "", equals = "", text] = /^(delete |pop |reverse |push )?(\S+)( = | |$)(.*)$/s.exec(edit)!;
  const keys = path.split(/[.[\]]+/).filter((key) => key !== "");
  const last = keys.pop()!;
  let parent: Json = keys[0] === "file" ? file : file.cases[0];
  for (const key of keys) if (key !== "file") parent = parent[key];
  if (equals === " = ") parent[last] = JSON.parse(text!);
  else if (verb === "delete ") delete parent[last];
  else if (verb === "push ") parent[last].push(JSON.parse(text!));
  else if (verb === "pop ") parent[last].pop();
  else parent[last].reverse();
  return JSON.stringify(file);
}

function refusal(text: string): string {
  try {
    checkInputs(parseGolden(text));
  } catch (error) {
    if (error instanceof GoldenError) return error.message;
    throw error;
  }
  throw new Error("the file was taken");
}

describe("good files", () => {
  const names = readdirSync(GOLDEN).filter((name) => name.endsWith(".json"));

  it("are there", () => {
    expect(names.length).toBeGreaterThanOrEqual(9);
  });

  for (const name of names) {
    it(`${name} is read, and its inputs have its hashes`, () => {
      const file = parseGolden(read(name.replace(".json", "")));
      expect(() => checkInputs(file)).not.toThrow();
      expect(file.cases.length).toBeGreaterThan(0);
    });
  }

  for (const name of ["torch-sgd", "torch-adam", "large", "clip", "gradscaler", "schedulers", "state_dict"]) {
    it(`${name}.json is read with its first case alone, so what the tests below refuse is what they broke`, () => {
      expect(() => checkInputs(parseGolden(edited(name, 'file.note = "edited"')))).not.toThrow();
    });
  }
});

describe("files that are no golden files", () => {
  const sgd = read("torch-sgd");
  for (const [what, text, message] of [
    ["an empty file", "", "the file is not JSON"],
    ["a truncated file", sgd.slice(0, 5000), "the file is not JSON"],
    ["text after the end", `${sgd}]`, "the file is not JSON"],
    ["NaN without quotes", sgd.replace('"v":[', '"v":[NaN,'), "the file is not JSON"],
    ["an array", "[]", "the file must be an object, got []"],
    ["null", "null", "the file must be an object, got null"],
    ["other JSON", '{"name":"x"}', 'format must be "optim-golden/1", got undefined'],
    ["one id twice", sgd.replace("sgd/momentum", "sgd/plain"), 'cases[1].id must not occur twice, got "sgd/plain"'],
  ] as const) {
    it(what, () => {
      expect(refusal(text)).toContain(message);
    });
  }
});

/** File, edit, and what the message must contain. */
const BROKEN = `
torch-sgd  | file.format = "optim-golden/2"           | format must be "optim-golden/1", got "optim-golden/2"
torch-sgd  | delete file.kind                         | averaging or e2e, got undefined
torch-sgd  | file.kind = "trajectories"               | averaging or e2e, got "trajectories"
torch-sgd  | file.kind = "toString"                   | averaging or e2e, got "toString"
torch-sgd  | file.kind = "clip"                       | cases[0].op must be norm or value
torch-sgd  | delete file.cases                        | the file.cases is missing
torch-sgd  | file.cases = []                          | cases must have at least 1 entries, got 0
torch-sgd  | file.cases = {"0": {}}                   | cases must be an array
torch-sgd  | file.cases[0] = null                     | cases[0] must be an object, got null
torch-sgd  | file.case = []                           | the file.case is not a field of this format
torch-sgd  | file.words = []                          | the file.words is not a field of this format

torch-sgd  | delete id                                | cases[0].id is missing
torch-sgd  | id = ""                                  | cases[0].id must be a non-empty string, got ""
torch-sgd  | lrChange = []                            | cases[0].lrChange is not a field of this format
torch-sgd  | lrChanges = null                         | cases[0].lrChanges must be an array, got null
torch-sgd  | delete optimizer                         | cases[0].optimizer is missing
torch-sgd  | delete seed                              | cases[0].seed is missing
torch-sgd  | seed = 4294967296                        | cases[0].seed must be an unsigned 32-bit integer, got 4294967296
torch-sgd  | seed = -1                                | cases[0].seed must be an unsigned 32-bit integer, got -1
torch-sgd  | seed = 5                                 | but the inputs that the case describes have
torch-sgd  | steps = 0                                | cases[0].steps must be a positive integer, got 0
torch-sgd  | steps = 5.5                              | cases[0].steps must be a positive integer, got 5.5
torch-sgd  | steps = "6"                              | cases[0].steps must be a positive integer, got "6"
torch-sgd  | steps = 7                                | cases[0].snapshots must end with step 7, the last of the case, got 6
torch-sgd  | initHash = 1                             | cases[0].initHash is 1, but the inputs that the case describes have
torch-sgd  | gradHash = 0                             | cases[0].gradHash is 0, but the inputs that the case describes have
torch-sgd  | gradHash = "1"                           | cases[0].gradHash must be an unsigned 32-bit integer, got "1"
torch-sgd  | pop dev                                  | cases[0].dev must have 2 entries, got 1

torch-sgd  | params = []                              | cases[0].params must have at least 1 entries, got 0
torch-sgd  | params[1].shape = [-3]                   | cases[0].params[1].shape[0] must be a positive integer, got -3
torch-sgd  | params[1].shape = [3, 0]                 | params[1].shape[1] must be a positive integer, got 0
torch-sgd  | params[1].shape = [1.5]                  | params[1].shape[0] must be a positive integer, got 1.5
torch-sgd  | params[1].shape = 3                      | params[1].shape must be an array, got 3
torch-sgd  | params[1].shape = [281474976710656]      | params[1].shape must have at most 268435456 elements
torch-sgd  | params[1].shape = [4]                    | snapshots[0].params[1].v must have 4 entries, got 3
torch-sgd  | delete params[0].init                    | params[0].init is missing
torch-sgd  | params[0].init = 0                       | params[0].init.kind must be zero or ones
torch-sgd  | params[0].init.kind = "gauss"            | corr or wide or elem, got "gauss"
torch-sgd  | delete params[0].init.scale              | params[0].init.scale is missing
torch-sgd  | params[0].grad.zero = 1                  | params[0].grad.zero is not a field of this format
torch-sgd  | params[0].init.scale = "inf"             | params[0].init.scale must be a finite number, got "inf"
torch-sgd  | params[1].grad.lo = 5                    | params[1].grad must have -126 <= lo <= hi <= 127
torch-sgd  | params[1].grad.hi = 128                  | params[1].grad must have -126 <= lo <= hi <= 127
torch-sgd  | params[4].grad.zero = 129                | params[4].grad.zero must be at most 128
torch-sgd  | params[0].noGradSteps = [7]              | params[0].noGradSteps[0] must be at most 6
torch-sgd  | params[0].noGradSteps = [1]              | cases[0].gradHash is

torch-sgd  | groups = []                              | cases[0].groups must have at least 1 entries, got 0
torch-sgd  | pop groups[1].params                     | groups must have parameter 4 once, but have it 0 times
torch-sgd  | push groups[1].params 0                  | groups must have parameter 0 once, but have it 2 times
torch-sgd  | push groups[1].params 5                  | groups[1].params[2] must be below 5, got 5
torch-sgd  | groups[1].params = []                    | groups[1].params must have at least 1 entries, got 0
torch-sgd  | delete groups[0].options                 | groups[0].options is missing
torch-sgd  | groups[0].options.lr = {}                | groups[0].options.lr must be a finite number, got {}
torch-sgd  | decoupled = true                         | groups[0].decoupledWeightDecay must be there exactly if the case is decoupled
torch-sgd  | groups[0].decoupledWeightDecay = 0.1     | groups[0].decoupledWeightDecay must be there exactly if the case is decoupled
torch-sgd  | pop lrChanges[0].lr                      | lrChanges[0].lr must have 2 entries, got 1
torch-sgd  | lrChanges[0].step = 7                    | lrChanges[0].step must be at most 6

torch-sgd  | snapshots = []                           | cases[0].snapshots must have at least 1 entries, got 0
torch-sgd  | pop snapshots                            | snapshots must end with step 6, the last of the case, got 4
torch-sgd  | reverse snapshots                        | snapshots[1].step must be above 6, got 4
torch-sgd  | delete snapshots[0].state                | snapshots[0].state is missing
torch-sgd  | pop snapshots[0].params                  | snapshots[0].params must have 5 entries, got 4
torch-sgd  | pop snapshots[0].state                   | snapshots[0].state must have 5 entries, got 4
torch-sgd  | snapshots[3].params[2] = null            | params[2] must be stored in the last snapshot
torch-sgd  | pop snapshots[0].params[4].v             | snapshots[0].params[4].v must have 17 entries, got 16
torch-sgd  | snapshots[0].params[4].v[3] = "nan"      | snapshots[0].params[4].v[3] must be finite here, got NaN
torch-sgd  | snapshots[0].params[4].v[3] = null       | params[4].v[3] must be a finite number, "nan", "inf" or "-inf", got null
torch-sgd  | snapshots[0].params[4].v[3] = "0.5"      | params[4].v[3] must be a finite number, "nan", "inf" or "-inf", got "0.5"
torch-sgd  | delete snapshots[0].params[4].e          | snapshots[0].params[4].e is missing
torch-sgd  | pop snapshots[0].params[4].e             | params[4].e must have 4 entries, got 3
torch-sgd  | snapshots[0].params[4].e[0] = -1         | params[4].e[0] must be a finite number of at least 0, got -1
torch-sgd  | snapshots[0].params[4].e[0] = "inf"      | params[4].e[0] must be a finite number of at least 0, got "inf"
torch-adam | snapshots[0].state[0].step = "1"         | state[0].step must be a finite number, got "1"
torch-adam | snapshots[0].state[0].exp_avg = null     | state[0].exp_avg must be an object, got null
torch-adam | pop snapshots[0].state[1].exp_avg.v      | state[1].exp_avg.v must have 3 entries, got 2
torch-adam | snapshots[0].state[1].exp_avg.shape = [2] | state[1].exp_avg.v must have 2 entries, got 3

large      | delete size                              | cases[0].size is missing
large      | size = -70001                            | cases[0].size must be a positive integer, got -70001
large      | size = 1099511627776                     | cases[0].size must have at most 268435456 elements
large      | reverse index                            | index[1] must be above 70000 and below 70001
large      | size = 70000                             | index[67] must be above 69999 and below 70000, got 70000
large      | pop index                                | final.param.v must have 67 entries, got 68
large      | delete final.param                       | final.param is missing
large      | delete final.param.e                     | final.param.e is missing
large      | delete final.exp_avg.sumAbs              | final.exp_avg.sumAbs is missing
large      | pop gradNorms64                          | gradNorms64 must have 4 entries, got 3
large      | pop gradNorms64[1]                       | gradNorms64[1] must have 3 entries, got 2

clip       | op = "agc"                               | cases[0].op must be norm or value, got "agc"
clip       | args = {"clip_value": 1}                 | cases[0].args.clip_value is not a field of this format
clip       | args.norm_type = "fro"                   | args.norm_type must be a finite number above 0, got "fro"
clip       | delete totalNorm                         | cases[0].totalNorm is missing
clip       | pop clipped                              | clipped must have 3 entries, got 2
clip       | tensors[1] = null                        | clipped[1] must be null exactly if there is no gradient
clip       | clipped[1] = null                        | clipped[1] must be null exactly if there is no gradient
clip       | tensors = []                             | tensors must have at least 1 entries, got 0
clip       | clipped[0].v[0] = "nan"                  | clipped[0].e says nothing where a value is not finite: v[0] is NaN
clip       | inject = [[3, 0, "inf"]]                 | inject[0][0] must name a tensor with a gradient, got 3
clip       | inject = [[0, 17, "inf"]]                | inject[0][1] must be below 17, got 17
clip       | inject = [[0, 0, "Infinity"]]            | inject[0][2] must be a finite number, "nan", "inf" or "-inf"

gradscaler | delete scaler                            | cases[0].scaler is missing
gradscaler | scaler.init_scale = 0                    | scaler.init_scale must be a finite number above 0, got 0
gradscaler | pop log                                  | log must have 14 entries, got 13
gradscaler | reverse log                              | log[0].step must be 1, got 14
gradscaler | push log[2].foundInf false               | log[2].foundInf must have 1 entries, got 2
gradscaler | oneOptimizerPerParam = true              | log[0].foundInf must have 2 entries, got 1
gradscaler | log[2].foundInf[0] = 0                   | log[2].foundInf[0] must be true or false, got 0
gradscaler | inject[0].step = 15                      | inject[0].step must be at most 14, got 15
gradscaler | inject[0].param = 2                      | inject[0].param must be below 2, got 2
gradscaler | inject[0].index = 5                      | inject[0].index must be below 5, got 5
gradscaler | pop finalStepCount                       | finalStepCount must have 2 entries, got 1
gradscaler | snapshots[2].params[0] = null            | snapshots must store every parameter at the last step

schedulers | delete scheduler                         | cases[0].scheduler is missing
schedulers | lr = []                                  | cases[0].lr must have at least 1 entries, got 0
schedulers | pop lr[3]                                | cases[0].lr[3] must have 2 entries, got 1
schedulers | lr[3][0] = "nan"                         | cases[0].lr[3][0] must be a finite number, got "nan"
schedulers | momentum = [[1, 1]]                      | cases[0].momentum must have 15 entries, got 1
schedulers | metrics = [1]                            | cases[0].metrics must have 14 entries, got 1

state_dict | delete stateDict.state                   | cases[0].stateDict.state is missing
state_dict | stateDict.state.3 = {}                   | stateDict.state.3 is not the number of a parameter
state_dict | stateDict.state.p0 = {}                  | stateDict.state.p0 is not the number of a parameter
state_dict | pop stateDict.state.0.momentum_buffer.tensor.data | momentum_buffer.tensor.data must have 3 entries, got 2
state_dict | reverse stateDict.param_groups           | param_groups must number the parameters 0 to 2 in order
state_dict | pop stateDict.param_groups               | param_groups must have 2 entries, got 1
state_dict | paramsWithoutGrad = [3]                  | paramsWithoutGrad[0] must be below 3, got 3

prng       | delete file.words                        | the file.words is missing
prng       | file.words[0].w1 = 4294967296            | words[0].w1 must be an unsigned 32-bit integer, got 4294967296
prng       | pop values                               | cases[0].values must have 8 entries, got 7
prng       | bits[0] = -1                             | cases[0].bits[0] must be an unsigned 32-bit integer, got -1
`;

describe("broken files", () => {
  for (const line of BROKEN.split("\n").filter((text) => text !== "")) {
    const [name, edit, message] = line.split(" | ").map((text) => text.trim());
    it(`${name}: ${edit}`, () => {
      expect(refusal(edited(name!, edit!))).toContain(message);
    });
  }
});

describe("npm run conformance", () => {
  const folder = mkdtempSync(join(tmpdir(), "webgpu-optim-golden-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  // None of these gets as far as a browser.
  function run(...args: string[]) {
    const { status, stdout } = spawnSync(process.execPath, ["--import", "tsx", RUN, ...args], { encoding: "utf8" });
    return { status, last: stdout.trimEnd().split("\n").at(-1), stdout };
  }

  it("fails for a broken file, and writes that down", () => {
    const path = join(folder, "broken.json");
    const json = join(folder, "results.out");
    writeFileSync(path, edited("torch-sgd", "pop snapshots"));
    expect(run(path, "--json", json)).toMatchObject({ status: 1, last: "0 passed, 1 failed, 0 skipped" });
    expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject({
      failed: 1,
      results: [{ file: path, status: "failed", messages: [expect.stringContaining("must end with step 6")] }],
    });
    rmSync(path);
  });

  it("fails for a file that is not there", () => {
    const { status, stdout } = run(join(folder, "nothing.json"));
    expect(status).toBe(1);
    expect(stdout).toContain("there is no such file or folder");
  });

  it("fails where there is no case at all", () => {
    expect(run(folder)).toMatchObject({ status: 1, last: "0 passed, 0 failed, 0 skipped" });
  });

  it("names what nothing can run", () => {
    const path = join(folder, "skipped.json");
    writeFileSync(path, edited("torch-sgd", 'optimizer = "AdamX"'));
    const { status, last, stdout } = run(path);
    expect({ status, last }).toEqual({ status: 0, last: "0 passed, 0 failed, 1 skipped" });
    expect(stdout).toContain("sgd/plain: the engine has no optimizer AdamX yet");
  });
});
