/** What an example is, and where to find each. */
import type { DataSet, FitSchedule, FitSubject, Training } from "../../src/nn/index.ts";
import type { ExampleName } from "./catalogue.ts";

/** Everything `fit` wants but for what the command line says. */
export type Recipe = Omit<Extract<FitSubject, { model: unknown }>, "device" | "batchSize"> &
  Pick<FitSchedule, "augment" | "dropLast" | "targetBytes" | "stored">;

/** Training and test data, and how many samples the former are. */
export interface Loaded {
  readonly data: DataSet;
  readonly test: DataSet;
  readonly count: number;
  /** What the classes are called, where they are not the digits. */
  readonly names?: readonly string[];
}

export interface Example {
  /** @param onProgress gets the loaded fraction, 0 to 1 */
  load(onProgress?: (fraction: number) => void): Promise<Loaded>;
  /** @param steps batches of the whole run, for the schedule */
  recipe(steps: number): Recipe;
  /** What else there is to tell in the end: a name and a value. */
  report?(training: Training, testLoss: number): Promise<readonly (readonly [string, string])[]>;
}

const EXAMPLES: Readonly<Record<ExampleName, () => Promise<Example>>> = {
  mlp: async () => (await import("./mlp.ts")).mlp,
  cnn: async () => (await import("./cnn.ts")).cnn,
  resnet: async () => (await import("./resnet.ts")).resnet,
  autoencoder: async () => (await import("./autoencoder.ts")).autoencoder,
  regression: async () => (await import("./regression.ts")).regression,
  charlm: async () => (await import("./charlm.ts")).charlm,
};

export function findExample(name: ExampleName): Promise<Example> {
  return EXAMPLES[name]();
}
