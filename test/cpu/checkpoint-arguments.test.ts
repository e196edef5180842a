/** Wrong arguments of `webgpu-optim/checkpoint` are refused by name: a misspelt `buffers` would be a file without them. */
import { expect, test } from "vitest";
import {
  CheckpointError,
  fromFloats,
  fromTorch,
  fromTorchGroup,
  readCheckpoint,
  type StateDict,
  toFloats,
  toTorch,
  writeCheckpoint,
  writeSafetensors,
} from "../../src/checkpoint/index.ts";
import { type FitCheckpoint, readFitCheckpoint, writeFitCheckpoint } from "../../src/nn/index.ts";

const param = Float32Array.of(1, 2);
const STATE: StateDict = {
  format: "webgpu-optim/state",
  version: 1,
  rule: "adamw",
  stepsApplied: 0,
  stepsSkipped: 0,
  groups: [
    { name: "default", tensors: ["w"], lr: 1, weightDecay: 0, decayMode: "decoupled", hyper: {}, decayDose: null },
  ],
  tensors: { w: { shape: [2], step: 0, param, slots: {} } },
};
const FILE = writeCheckpoint(STATE);
const TORCH = toTorch(STATE);

const FIT: FitCheckpoint = {
  format: "webgpu-optim/fit",
  version: 1,
  ...{ seed: 1, step: 2, epochsEnded: 0, stepsPerEpoch: 3, batchSize: 4 },
  sums: { loss: 0.5, correct: 1, correctTop5: 1, count: 4 },
  earlyStopping: null,
  optimizer: STATE,
  buffers: { mean: param },
};
const fitWith = (changes: object) => writeFitCheckpoint({ ...FIT, ...changes });

/** A call, as someone writes it who has no types. */
const refused: [call: () => unknown, message: RegExp][] = [
  [() => writeCheckpoint(undefined as never), /^writeCheckpoint: state must be what stateDict\(\) gave, got undefined/],
  [() => writeCheckpoint({} as never), /^writeCheckpoint: state must be/],
  [() => writeCheckpoint(STATE, { bufers: new Map() } as never), /bufers is no option; known: buffers, metadata/],
  [() => writeCheckpoint(STATE, { buffers: {} } as never), /writeCheckpoint: buffers must be a Map/],
  [() => writeCheckpoint(STATE, { metadata: { a: "b" } } as never), /writeCheckpoint: metadata must be a Map/],
  [() => writeCheckpoint(STATE, { metadata: new Map([["a", 5]]) } as never), /must be a string, got number/],
  [() => writeCheckpoint(STATE, null as never), /writeCheckpoint: options must be an object, got null/],
  [() => readCheckpoint(FILE, { lik: STATE } as never), /readCheckpoint: lik is no option; known: like/],
  [() => readCheckpoint(FILE, { like: {} } as never), /readCheckpoint: like must be what stateDict\(\) gave/],
  [() => readCheckpoint(null as never), /a file must be an ArrayBuffer or a Uint8Array, got null/],
  [() => writeSafetensors({ w: fromFloats([2], param) } as never), /writeSafetensors: tensors must be a Map/],
  [() => writeSafetensors([["w", param]] as never), /writeSafetensors: w must be \{ dtype, shape, bytes \}/],
  [() => toFloats(undefined as never), /toFloats: a tensor must be \{ dtype, shape, bytes \}/],
  [() => fromFloats([2], [1, 2] as never), /fromFloats: data must be a Float32Array/],
  [() => fromFloats(param as never, [2] as never), /fromFloats: shape must be a list of numbers/],
  [() => toTorch(null as never), /toTorch: state must be what stateDict\(\) gave/],
  [() => fromTorch({} as never, { names: ["w"], like: STATE }), /fromTorch: torch must be \{ state, param_groups \}/],
  [() => fromTorch(TORCH, { name: ["w"], like: STATE } as never), /fromTorch: name is no option; known: names, params/],
  [() => fromTorch(TORCH, { like: STATE } as never), /fromTorch: names must be 1 different ones/],
  [() => fromTorch(TORCH, { names: ["w"] } as never), /fromTorch: like must be what stateDict\(\) gave/],
  [() => fromTorchGroup("AdamW", { params: [0] }), /fromTorchGroup: PyTorch has no optimizer for the rule AdamW/],
  [() => writeFitCheckpoint(undefined as never), /^writeFitCheckpoint: format is undefined in the checkpoint/],
  [
    () => writeFitCheckpoint({} as never),
    /^writeFitCheckpoint: format is undefined in the checkpoint, and webgpu-optim/,
  ],
  [() => writeFitCheckpoint(STATE as never), /^writeFitCheckpoint: format is webgpu-optim\/state in the checkpoint/],
  [() => fitWith({ optimizer: null }), /^writeFitCheckpoint: optimizer, buffers or sums are missing/],
  [() => fitWith({ buffers: null }), /^writeFitCheckpoint: optimizer, buffers or sums are missing/],
  [() => fitWith({ buffers: { mean: [1, 2] } }), /^writeFitCheckpoint: optimizer, buffers or sums are missing/],
  [() => fitWith({ sums: undefined }), /^writeFitCheckpoint: optimizer, buffers or sums are missing/],
  [() => fitWith({ step: "2" }), /checkpoint: fit, .*step must be a whole number/],
  [() => fitWith({ earlyStopping: { best: 1 } }), /checkpoint: fit, .*bad must be a whole number/],
];

test.each(refused.map(([call, message]) => ({ call, message })))("$message", ({ call, message }) => {
  expect(call).toThrow(CheckpointError);
  expect(call).toThrow(message);
});

test("what is right still passes", () => {
  const metadata = new Map([["a", "b"]]);
  const buffers = new Map([["bn.mean", fromFloats([2], param)]]);
  const read = readCheckpoint(writeCheckpoint(STATE, { buffers, metadata }), { like: STATE });
  expect(read.state).toEqual(STATE);
  expect(toFloats(read.buffers.get("bn.mean")!)).toEqual(param);
  expect(fromTorch(TORCH, { names: ["w"], like: STATE }).tensors).toEqual(STATE.tensors);
  expect(readFitCheckpoint(writeFitCheckpoint(FIT))).toEqual(FIT);
});
