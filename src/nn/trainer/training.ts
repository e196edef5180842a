/** The loop: batches are submitted a few ahead, their losses come back some batches later, and nothing waits for the GPU. */
import type { Optimizer } from "../../engine/optimizer.ts";
import { LifecycleError, OptionError } from "../../errors.ts";
import type { Plan } from "../plan.ts";
import { shuffled } from "../random.ts";
import { checkCheckpoint, type FitCheckpoint, toCheckpoint } from "./checkpoint.ts";
import type { DataSet, DataSource } from "./data.ts";
import type { EpochSummary, FitEvent, FitResult, StepRecord, StopReason } from "./events.ts";
import { Feed } from "./feed.ts";
import { type FitSchedule, type SettledFit, WHERE } from "./options.ts";
import { RecordRing } from "./record-ring.ts";
import { addRecords, type Evaluation, evaluationOf, NOTHING, type RecordSums } from "./sums.ts";

/** Batches whose losses come back together, and how many such chunks may be under way. */
const CHUNK = 8;
const AHEAD = 2;

/** Streams of the hash of the order: those of the parameters begin at 0. */
const ORDER_STREAM = 1000;

interface Chunk {
  readonly records: readonly StepRecord[];
  /** Over the epoch up to its end. */
  readonly sums: RecordSums;
}

interface Parts {
  readonly plan: Plan;
  readonly ownsPlan: boolean;
  readonly schedule: FitSchedule;
  readonly settled: SettledFit;
  readonly feed: Feed;
  readonly test: Feed | undefined;
}

/**
 * A training. Iterating it does the work and tells how it goes; to break off leaves it where it is, and another loop goes on from
 * there, with the records that were under way. `finish()` is the loop for whom the result is enough.
 */
export class Training implements AsyncIterable<FitEvent> {
  readonly plan: Plan;
  readonly stepsPerEpoch: number;
  /** Batches that there will be, if nothing ends it sooner. */
  readonly totalSteps: number;
  readonly #parts: Parts;
  readonly #ring: RecordRing;
  #step = 0;
  /** Epochs that have been summed up and tested. */
  #ended = 0;
  #last: Promise<Chunk> = Promise.resolve({ records: [], sums: NOTHING });
  readonly #pending: Promise<Chunk>[] = [];
  readonly #epochs: EpochSummary[] = [];
  #stopReason: StopReason | undefined;
  #running = false;
  /** The parameters in place are those of tests. */
  #testing = false;
  #destroyed = false;

  private constructor(parts: Parts) {
    const { plan, feed, settled } = parts;
    this.#parts = parts;
    this.plan = plan;
    this.stepsPerEpoch = feed.batches;
    this.totalSteps = Math.min(settled.epochs * feed.batches, settled.maxSteps);
    this.#ring = new RecordRing(plan, CHUNK, AHEAD + 1);
  }

  /** @internal */
  static async create(plan: Plan, ownsPlan: boolean, schedule: FitSchedule, settled: SettledFit): Promise<Training> {
    const { seed, shuffle, layout, changes, dropLast, residentBytes } = settled;
    const made: { destroy(): void }[] = [];
    const feedOf = async (option: "data" | "test", data: DataSet | DataSource) => {
      const training = option === "data";
      const feed = await Feed.create({
        ...{ plan, data, layout, changes, training, residentBytes },
        dropLast: training && dropLast,
        order: (epoch) =>
          training && shuffle
            ? shuffled(seed, ORDER_STREAM + epoch, feed.count)
            : Uint32Array.from({ length: feed.count }, (_, k) => k),
        label: `nn.${option}`,
        where: [WHERE, option],
      });
      made.push(feed);
      return feed;
    };
    try {
      const feed = await feedOf("data", schedule.data);
      if (feed.batches === 0)
        throw new OptionError(WHERE, "data", `must fill a batch of ${plan.batchSize} with dropLast`, feed.count);
      const test = schedule.test && (await feedOf("test", schedule.test));
      const training = new Training({ plan, ownsPlan, schedule, settled, feed, test });
      made.push(training.#ring);
      if (schedule.resume) await training.#load(schedule.resume);
      return training;
    } catch (error) {
      for (const part of made) part.destroy();
      throw error;
    }
  }

  get optimizer(): Optimizer {
    return this.plan.optimizer;
  }

  /** Batches submitted so far. */
  get step(): number {
    return this.#step;
  }

  /** Why it has ended; undefined before. */
  get stopReason(): StopReason | undefined {
    return this.#stopReason;
  }

  /** Trains to the end, or until `break`. @throws {LifecycleError} while another loop is under way, or when destroyed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<FitEvent, void, void> {
    this.#alive("iterate");
    if (this.#running) throw new LifecycleError("fit: it is being iterated already");
    this.#running = true;
    try {
      yield* this.#run();
    } catch (error) {
      throw this.#explained(error);
    } finally {
      // Whoever breaks off finds a GPU at rest. What has arrived now is the next loop's to tell.
      await Promise.allSettled(this.#pending);
      this.#running = false;
    }
  }

  /** Trains to the end. */
  async finish(): Promise<FitResult> {
    for await (const _ of this);
    return { steps: this.#step, stopReason: this.#stopReason!, epochs: [...this.#epochs] };
  }

  async *#run(): AsyncGenerator<FitEvent, void, void> {
    const { schedule, settled } = this.#parts;
    const { onSteps, onEpoch, signal, checkpoints } = schedule;
    const arrived = async (chunk: Chunk): Promise<FitEvent> => {
      await onSteps?.(chunk.records);
      return { kind: "steps", records: chunk.records };
    };
    while (this.#stopReason === undefined) {
      this.#alive("iterate");
      if (this.#ended < Math.floor(this.#step / this.stepsPerEpoch)) {
        while (this.#pending.length > 0) yield arrived(await this.#next());
        const summary = await this.#endEpoch();
        // Before it is told: whoever breaks off there has missed nothing.
        if ((await onEpoch?.(summary)) === false) this.#stopReason ??= "onEpoch";
        yield { kind: "epoch", ...summary };
        continue;
      }
      if (this.#step >= this.totalSteps) this.#stopReason = this.#step >= settled.maxSteps ? "maxSteps" : "epochs";
      else if (signal?.aborted) this.#stopReason = "signal";
      if (this.#stopReason !== undefined) break;
      await this.#submit();
      if (checkpoints && this.#step % checkpoints.every === 0) await checkpoints.save(await this.checkpoint());
      while (this.#pending.length >= AHEAD) yield arrived(await this.#next());
    }
    while (this.#pending.length > 0) yield arrived(await this.#next());
  }

  #next(): Promise<Chunk> {
    return this.#pending.shift()!;
  }

  /** Submits a chunk: to the end of the epoch or of what is ready, or to where a checkpoint is wanted. */
  async #submit(): Promise<void> {
    const { plan, optimizer } = this;
    const { feed, settled, schedule } = this.#parts;
    const { seed, epochs } = settled;
    const epoch = Math.floor(this.#step / this.stepsPerEpoch);
    const batch = this.#step % this.stepsPerEpoch;
    const { left } = await feed.ready(epoch, batch);
    this.#alive("fit");
    const every = schedule.checkpoints?.every ?? Number.POSITIVE_INFINITY;
    const untilSaved = Number.isFinite(every) ? every - (this.#step % every) : every;
    const count = Math.min(CHUNK, left, this.totalSteps - this.#step, untilSaved);
    const first = this.#step + 1;
    const into = await this.#ring.begin();
    for (let i = 0; i < count; i++) {
      const { dispatches, ...chosen } = feed.batch(batch + i);
      plan.select({ ...chosen, seed, step: this.#step });
      optimizer.step((encoder) => {
        plan.encode(encoder, dispatches);
        into.copy(encoder, i);
      });
      this.#step += 1;
    }
    feed.prefetch(epoch, batch, epochs);
    const before = batch === 0 ? Promise.resolve({ sums: NOTHING }) : this.#last;
    const chunk = (async () => {
      const records = await into.read(count);
      const { sums } = await before;
      return { records: records.map((record, i) => ({ step: first + i, ...record })), sums: addRecords(sums, records) };
    })();
    // If the device is lost all of them reject, and only the first one is awaited.
    chunk.catch(() => {});
    this.#last = chunk;
    this.#pending.push(chunk);
  }

  async #endEpoch(): Promise<EpochSummary> {
    const { settled, test } = this.#parts;
    const epoch = this.#step / this.stepsPerEpoch;
    const classes = settled.layout.target === "classes";
    const train = evaluationOf((await this.#last).sums, classes);
    const due = epoch % settled.evaluateEvery === 0 || this.#step >= this.totalSteps;
    const tested = test && due ? await this.#evaluate(test) : undefined;
    const { earlyStopping } = settled;
    const figures = test ? tested : train;
    if (earlyStopping && figures && earlyStopping.update(figures[earlyStopping.metric]))
      this.#stopReason = "earlyStopping";
    this.#ended = epoch;
    const summary = { epoch, step: this.#step, train, ...(tested && { test: tested }) };
    this.#epochs.push(summary);
    return summary;
  }

  /**
   * Passes over the test set: as in evaluation, with averaged parameters where the optimizer has them. Not while it is iterated.
   *
   * @throws {OptionError} if there is none. @throws {LifecycleError} while it is iterated, or when destroyed.
   */
  async evaluate(): Promise<Evaluation> {
    this.#alive("evaluate");
    const { test } = this.#parts;
    if (!test) throw new OptionError(WHERE, "test", "must have been given", undefined);
    if (this.#running) throw new LifecycleError("fit: evaluate() must wait until it is not iterated");
    try {
      return await this.#evaluate(test);
    } catch (error) {
      throw this.#explained(error);
    }
  }

  async #evaluate(test: Feed): Promise<Evaluation> {
    const { plan, optimizer } = this;
    const { device } = plan;
    let sums = NOTHING;
    optimizer.eval();
    this.#testing = true;
    try {
      let batch = 0;
      while (batch < test.batches) {
        const { left } = await test.ready(0, batch);
        const into = this.#ring.own(left);
        for (let i = 0; i < left; i++) {
          const { dispatches, ...chosen } = test.batch(batch + i);
          plan.select(chosen);
          const encoder = device.createCommandEncoder({ label: "nn.evaluate" });
          plan.encodeEvaluation(encoder, dispatches);
          into.copy(encoder, i);
          device.queue.submit([encoder.finish()]);
        }
        test.prefetch(0, batch, 1);
        sums = addRecords(sums, await into.read(left));
        batch += left;
      }
    } finally {
      this.#testing = false;
      if (!this.#destroyed) optimizer.train();
    }
    return evaluationOf(sums, this.#parts.settled.layout.target === "classes");
  }

  /**
   * What the model makes of samples, one after the other and however many: as in tests, with averaged parameters where the
   * optimizer has them. At any time; the training goes on as if it had not been asked.
   *
   * @throws {OptionError} for samples that do not fit. @throws {LifecycleError} when destroyed.
   */
  async predict(input: ArrayLike<number>): Promise<Float32Array<ArrayBuffer>> {
    this.#alive("predict");
    if (this.#testing) return this.plan.predict(input);
    this.optimizer.eval();
    // All of it is submitted before the parameters are back in place.
    const outputs = this.plan.predict(input);
    this.optimizer.train();
    return outputs;
  }

  /**
   * Everything that it takes to go on from here, after the last batch submitted. May be called at any time, but for a moment
   * between the micro-batches of an update; the training goes on meanwhile.
   *
   * @throws {LifecycleError} between micro-batches, and when destroyed.
   */
  async checkpoint(): Promise<FitCheckpoint> {
    this.#alive("checkpoint");
    const { settled } = this.#parts;
    const [step, epochsEnded] = [this.#step, this.#ended];
    // Both copy what is there at this moment.
    const [state, kept, last] = [this.optimizer.stateDict(), this.plan.readBuffers(), this.#last] as const;
    const earlyStopping = settled.earlyStopping?.state ?? null;
    const [optimizer, buffers, { sums }] = await Promise.all([state, kept, last]);
    const { stepsPerEpoch, plan } = this;
    return toCheckpoint({
      seed: settled.seed,
      step,
      stepsPerEpoch,
      batchSize: plan.batchSize,
      epochsEnded,
      sums,
      earlyStopping,
      optimizer,
      buffers,
    });
  }

  async #load(from: FitCheckpoint): Promise<void> {
    const { plan, stepsPerEpoch } = this;
    const { seed, earlyStopping } = this.#parts.settled;
    checkCheckpoint(from, { seed, stepsPerEpoch, batchSize: plan.batchSize });
    await plan.optimizer.loadStateDict(from.optimizer);
    plan.writeBuffers(from.buffers);
    if (from.earlyStopping) earlyStopping?.load(from.earlyStopping);
    if (earlyStopping?.isOver) this.#stopReason = "earlyStopping";
    this.#step = from.step;
    this.#ended = from.epochsEnded;
    this.#last = Promise.resolve({ records: [], sums: from.sums });
  }

  /** Frees the data on the GPU, and the plan with its optimizer if `fit` has made it. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    const { feed, test, plan, ownsPlan } = this.#parts;
    this.#ring.destroy();
    feed.destroy();
    test?.destroy();
    if (ownsPlan) plan.destroy();
  }

  /** What goes wrong when everything is freed in the middle of it has one reason. */
  #explained(error: unknown): unknown {
    return this.#destroyed ? new LifecycleError("fit: it was destroyed in the middle of it", { cause: error }) : error;
  }

  #alive(what: string): void {
    if (this.#destroyed) throw new LifecycleError(`fit: ${what}: it is destroyed`);
  }
}
