/** What the live page trains: an example, through `fit`, with an optimizer that can be exchanged on the way. */
import { createOptimizer, type Optimizer, type OptimizerOptions, type ParamSpec } from "../src/index.ts";
import { compile, type FitCheckpoint, type Training, fit as train } from "../src/nn/index.ts";
import type { Loaded, Recipe } from "./examples/example.ts";

/** What the optimizer is, but for the parameters. */
export type LiveChoice = Omit<OptimizerOptions, "params" | "monitor" | "label">;

/** What is trained. */
export interface LiveSubject {
  readonly device: GPUDevice;
  readonly recipe: Recipe;
  readonly loaded: Loaded;
  readonly batchSize: number;
  readonly seed: number;
  /** Ends after so many steps; default never. */
  readonly maxSteps?: number;
}

/** What a new training goes on from. */
type Resume = (optimizer: Optimizer) => Promise<FitCheckpoint>;

/** Samples one after the other, as the model takes them. */
export type Samples = Uint8Array | Float32Array | Uint32Array;

/** Figures of every so many steps: no more of them under way than the optimizer has room for. */
const FIGURES_EVERY = 4;
/** The page says when it is enough, and when to test. */
const NO_END = 10_000;

export class LiveTraining {
  readonly subject: LiveSubject;
  /** Step of the run at which the present optimizer began. */
  offset = 0;
  #training!: Training;
  #controller!: AbortController;

  private constructor(subject: LiveSubject) {
    this.subject = subject;
  }

  static async create(subject: LiveSubject, choice: LiveChoice): Promise<LiveTraining> {
    const made = new LiveTraining(subject);
    await made.#build(subject.recipe.model.init(subject.seed), choice);
    return made;
  }

  /** The present one; another one after {@link restart} and {@link replaceOptimizer}. */
  get training(): Training {
    return this.#training;
  }

  /** Ends the training after the batches under way. */
  stop(): void {
    this.#controller.abort();
  }

  /** Begins again from the initial parameters. Not while it is iterated. */
  async restart(choice: LiveChoice): Promise<void> {
    const { model } = this.subject.recipe;
    await this.#rebuild(model.init(this.subject.seed), choice);
  }

  /** Goes on with another optimizer from the parameters as they are; its state begins anew. Not while it is iterated. */
  async replaceOptimizer(choice: LiveChoice): Promise<void> {
    const checkpoint = await this.#training.checkpoint();
    const params = Object.entries(checkpoint.optimizer.tensors).map(([name, { shape, param }]) => ({
      ...{ name, shape, data: param },
    }));
    await this.#rebuild(params, choice, async (optimizer) => ({
      ...checkpoint,
      // Its parameters are those of the checkpoint already.
      optimizer: await optimizer.stateDict(),
    }));
  }

  /**
   * Goes on from a checkpoint, with an optimizer of its rule. Not while it is iterated.
   *
   * @throws CheckpointError, StateDictError where it is of another example or rule; the training is the old one then
   */
  async open(checkpoint: FitCheckpoint, choice: (offset: number) => LiveChoice): Promise<void> {
    const offset = checkpoint.step - checkpoint.optimizer.stepsApplied;
    await this.#rebuild(this.subject.recipe.model.init(this.subject.seed), choice(offset), async () => checkpoint);
    this.offset = offset;
  }

  /** What the model makes of samples, as in tests: with averaged parameters where there are some. */
  predict(samples: Samples): Promise<Float32Array> {
    return this.#training.predict(samples);
  }

  async #rebuild(params: readonly ParamSpec[], choice: LiveChoice, resume?: Resume): Promise<void> {
    const old = this.#training;
    await this.#build(params, choice, resume);
    old.destroy();
    old.plan.destroy();
    old.optimizer.destroy();
  }

  async #build(params: readonly ParamSpec[], choice: LiveChoice, resume?: Resume): Promise<void> {
    const { device, recipe, loaded, batchSize, seed, maxSteps } = this.subject;
    const { model, loss, bytes, optimizer: _, ...schedule } = recipe;
    const optimizer = await createOptimizer(device, {
      ...choice,
      ...{ params, monitor: { every: FIGURES_EVERY }, label: "live" },
    });
    const plan = await compile(device, model, { batchSize, loss, optimizer, ...(bytes && { bytes }) });
    const controller = new AbortController();
    try {
      this.#training = await train({
        ...schedule,
        ...{ plan, seed, data: loaded.data, test: loaded.test, epochs: NO_END, evaluateEvery: NO_END },
        signal: controller.signal,
        ...(maxSteps !== undefined && { maxSteps }),
        ...(resume && { resume: await resume(optimizer) }),
      });
    } catch (error) {
      plan.destroy();
      optimizer.destroy();
      throw error;
    }
    this.#controller = controller;
    this.offset = this.#training.step;
  }
}
