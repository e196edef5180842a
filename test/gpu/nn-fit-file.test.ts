/** Checkpoints of trainings as files. */
import { beforeAll, describe, expect, it } from "vitest";
import { CheckpointError, readCheckpoint, readSafetensors, writeSafetensors } from "../../src/checkpoint/index.ts";
import { type FitCheckpoint, readFitCheckpoint, fit as train, writeFitCheckpoint } from "../../src/nn/index.ts";
import { testDevice } from "../browser/device.ts";
import { options } from "./nn-fit-data.ts";

let checkpoint: FitCheckpoint;

beforeAll(async () => {
  const training = await train({ ...options(await testDevice()), maxSteps: 13, earlyStopping: { metric: "accuracy" } });
  await training.finish();
  checkpoint = await training.checkpoint();
  training.destroy();
});

/** The file with other metadata. */
function withText(change: (text: string) => string): Uint8Array {
  const { tensors, metadata } = readSafetensors(writeFitCheckpoint(checkpoint));
  return writeSafetensors(tensors, new Map([...metadata]).set("fit", change(metadata.get("fit")!)));
}

describe("a training's checkpoint as a file", () => {
  it("comes back equal, and is a checkpoint of model and optimizer too", () => {
    expect(checkpoint.step).toBe(13);
    expect(checkpoint.sums.loss).toBeGreaterThan(0);
    expect(checkpoint.earlyStopping!.best).toBeGreaterThan(0);
    expect(Object.keys(checkpoint.buffers)).toContain("bn1.running_mean");
    const file = writeFitCheckpoint(checkpoint);
    expect(readFitCheckpoint(file)).toEqual(checkpoint);
    const { state, buffers } = readCheckpoint(file.buffer);
    expect(state).toEqual(checkpoint.optimizer);
    expect([...buffers.keys()]).toEqual(Object.keys(checkpoint.buffers));
  });

  it.each<[string, Partial<FitCheckpoint>]>([
    ["before the first test", { earlyStopping: { best: null, bad: 0 } }],
    ["without early stopping", { earlyStopping: null }],
    ["with a loss of NaN", { sums: { loss: Number.NaN, correct: 1, correctTop5: 2, count: 3 } }],
    ["with a best of -Infinity", { earlyStopping: { best: Number.NEGATIVE_INFINITY, bad: 2 } }],
  ])("%s", (_, change) => {
    const changed = { ...checkpoint, ...change };
    expect(readFitCheckpoint(writeFitCheckpoint(changed))).toEqual(changed);
  });

  it.each<[string, () => unknown, string]>([
    ["nothing", () => readFitCheckpoint(new Uint8Array(0)), "the file has 0 bytes"],
    ["half a file", () => readFitCheckpoint(writeFitCheckpoint(checkpoint).slice(0, 5000)), "checkpoint: "],
    [
      "a checkpoint of an optimizer",
      () => {
        const { tensors, metadata } = readSafetensors(writeFitCheckpoint(checkpoint));
        return readFitCheckpoint(
          writeSafetensors(
            tensors,
            [...metadata].filter(([key]) => key !== "fit"),
          ),
        );
      },
      "the metadata have no fit: this is no training",
    ],
    ["no JSON", () => readFitCheckpoint(withText(() => "?")), "fit, character 0: { expected"],
    ["more behind it", () => readFitCheckpoint(withText((text) => `${text}}`)), "something follows the end"],
    ["a step that is none", () => readFitCheckpoint(withText((text) => text.replace(":13,", ":1.5,"))), ", expected"],
    [
      "a negative step",
      () => readFitCheckpoint(withText((text) => text.replace(":13,", ":-1,"))),
      "step must be a whole",
    ],
    ["no sums", () => readFitCheckpoint(withText((text) => text.replace(/"sums":{[^}]*},/, ""))), "there is no sums"],
    ["a key twice", () => readFitCheckpoint(withText((text) => text.replace("{", '{"step":13,'))), "step stands twice"],
    [
      "another version",
      () => readFitCheckpoint(withText((text) => text.replace(":1,", ":2,"))),
      "version must be 1, got 2",
    ],
    [
      "a loss in words",
      () => readFitCheckpoint(withText((text) => text.replace(/"loss":[^,]*/, '"loss":"low"'))),
      "a loss",
    ],
    ["a step of 1e400", () => writeFitCheckpoint({ ...checkpoint, step: Infinity }), "step must be a whole"],
  ])("refused: %s", (_, read, message) => {
    expect(read).toThrow(CheckpointError);
    expect(read).toThrow(message);
  });
});
