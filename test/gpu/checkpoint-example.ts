import { readCheckpoint, writeCheckpoint } from "../../src/checkpoint/index.ts";
import type { Optimizer } from "../../src/index.ts";

/** Model and optimizer as a file: parameters under `model.`, state under `optimizer.`. */
export async function save(optimizer: Optimizer): Promise<Blob> {
  return new Blob([writeCheckpoint(await optimizer.stateDict())]);
}

/** Goes on from a file, whether it was written here or in PyTorch; returns the number of updates so far. */
export async function load(optimizer: Optimizer, file: Blob): Promise<number> {
  const like = await optimizer.stateDict();
  const { state } = readCheckpoint(await file.arrayBuffer(), { like });
  await optimizer.loadStateDict(state);
  return state.stepsApplied;
}
