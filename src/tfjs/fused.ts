/** A `tf.Optimizer` whose update is one fused pass per variable, in place on TF.js's own buffers. */
import {
  type NamedTensorMap,
  Optimizer,
  type serialization,
  type Tensor,
  tensor,
  engine as tfEngine,
  tidy,
  type Variable,
} from "@tensorflow/tfjs-core";
import type { Figures } from "../engine/figures.ts";
import type { GroupOptions } from "../engine/groups.ts";
import type { AttachedParam, OptimizerOptions } from "../engine/options.ts";
import type { Rule } from "../engine/rule.ts";
import type { Schedule } from "../engine/schedules.ts";
import type { StateDict, TensorState } from "../engine/state.ts";
import { LifecycleError, OptionError, StateDictError } from "../errors.ts";
import {
  type Backend,
  bufferOf,
  checkBackend,
  openBackend,
  openEncoder,
  ownBufferOf,
  submitHeldBack,
} from "./backend.ts";
import { Changes } from "./changes.ts";
import { fromJson, toJson } from "./config.ts";
import { pairsOf } from "./gradients.ts";
import { type OpenEngine, openEngine } from "./open-engine.ts";
import { Parking } from "./parking.ts";
import { ruleOf } from "./rules.ts";
import { assign, checkDict, fromWeights, type NamedTensor, type Saved, toWeights } from "./weights.ts";

/** Everything that `createOptimizer` takes, but for the parameters and what serves half precision. */
export type FusedOptions = Omit<OptimizerOptions, "rule" | "rules" | "params" | "lossScale" | "storage">;

/** What exists once the kernels are compiled. */
interface Running extends OpenEngine {
  readonly backend: Backend;
  readonly parking: Parking;
}

/** Make one with `fused`. */
export class FusedOptimizer extends Optimizer {
  /** @nocollapse The name under which TF.js saves it. A getter, so that it is no side effect. */
  static get className(): string {
    return "FusedOptimizer";
  }

  readonly #rule: Rule;
  readonly #options: FusedOptions;
  readonly #changes: Changes;
  readonly #microBatches: number;
  /** Variables that the engine knows. They stay, with their state, when a variable of this name is gone. */
  readonly #known = new Map<string, readonly number[]>();
  /** Variables with a gradient in the micro-batches so far. */
  readonly #present = new Set<string>();
  #microBatch = 0;
  #running: Running | undefined;
  #opening: Promise<void> | undefined;
  /** State for the first variables that come. */
  #pending: Saved | undefined;
  #weights: readonly NamedTensor[] = [];
  #failure: unknown;
  #disposed = false;

  /** Use `fused`: until {@link ready} resolves, this cannot step. */
  constructor(rule: Rule, options: FusedOptions = {}, changes: Changes = new Changes()) {
    super();
    this.#rule = rule;
    this.#options = options;
    this.#changes = changes;
    const { accumulate = 1 } = options;
    this.#microBatches = typeof accumulate === "number" ? accumulate : (accumulate?.microBatches ?? 1);
  }

  /** @nocollapse As TF.js calls it for a saved model. @throws {OptionError} if the rule is not known: see `loadable`. */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    const { hyper, options, changes } = fromJson(String(config.options));
    return new cls(ruleOf(String(config.rule), hyper), options, new Changes(changes));
  }

  /**
   * Rule and options, with all changes since. TF.js asks for them in `model.save({ includeOptimizer: true })`.
   *
   * @throws {OptionError} for options that are functions or arrays.
   */
  getConfig(): serialization.ConfigDict {
    const { definition, options: hyper } = this.#rule;
    return {
      rule: definition.name,
      options: toJson({ hyper, options: this.#options, changes: this.#changes.entries }),
    };
  }

  /**
   * Resolves when the kernels are compiled. `fused` has waited for it, and so has `tf.loadLayersModel`.
   *
   * @throws as `createOptimizer`; {OptionError} if TF.js does not run on WebGPU.
   */
  ready(): Promise<void> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /**
   * One step, at once. Variables that come for the first time begin with state zero; those without a gradient are left alone.
   *
   * @throws {OptionError} for unknown variables, wrong dtypes and shapes. {LifecycleError} before `ready` and after `dispose`.
   * {StateDictError} if weights were set that do not fit. Nothing has been changed then.
   */
  override applyGradients(variableGradients: NamedTensorMap | NamedTensor[]): void {
    const where = "applyGradients";
    const { backend, engine, parking } = this.#alive(where);
    checkBackend(where, backend);
    const pairs = pairsOf(where, variableGradients, this.#known);
    if (pairs.length === 0) {
      this.incrementIterations();
      return;
    }
    const fresh = pairs.map(({ variable }) => variable).filter(({ name }) => !this.#known.has(name));
    const state = fresh.length > 0 && this.#pending ? assign(this.#pending.dict, fresh) : undefined;

    // A gradient may be the memory of a variable, and must keep its values: held twice, it makes the variable move.
    const written = new Set(pairs.map(({ variable }) => variable.dataId));
    const gradients = pairs.map(({ gradient }) => (written.has(gradient.dataId) ? gradient.clone() : gradient));
    const placed = pairs.map(({ variable }, i) => {
      const { name, shape } = variable;
      const grad = { buffer: bufferOf(backend, gradients[i] as Tensor) };
      return { name, shape, param: { buffer: ownBufferOf(backend, variable) }, grad };
    });
    gradients.forEach((gradient, i) => {
      if (gradient !== pairs[i]?.gradient) gradient.dispose();
    });
    if (fresh.length > 0) {
      // What the engine copies on joining is computed by what TF.js holds back.
      submitHeldBack(backend);
      this.#join(placed.filter(({ name }) => !this.#known.has(name)));
      if (state) this.#load(state);
    }
    for (const { name, param, grad } of placed) {
      engine.attach(name, { param, grad });
      this.#present.add(name);
    }
    const taking = new Set(placed.map(({ name }) => name));
    parking.leave(taking);
    parking.enter([...this.#known].filter(([name]) => !taking.has(name)));

    this.#microBatch = (this.#microBatch + 1) % this.#microBatches;
    if (this.#microBatch === 0) {
      for (const name of this.#present) if (!taking.has(name)) this.#recall(name);
      if (this.#present.size < this.#known.size) engine.withoutGrad(({ name }) => !this.#present.has(name));
      this.#present.clear();
    }
    engine.stepInto(openEncoder(backend), () => backend.submitQueue());
    this.incrementIterations();
  }

  /**
   * The state by TF.js's names: `iter`, `<variable>/m`, `<variable>/v`, ... The tensors are this optimizer's: they live until the
   * next call, or `dispose`.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    await this.ready();
    const { engine } = this.#alive("getWeights");
    const { iterations } = this;
    const weights = toWeights(this.#pending ?? { iterations, dict: await engine.stateDict() });
    for (const { tensor: old } of this.#weights) old.dispose();
    this.#weights = weights;
    return [...weights];
  }

  /**
   * Goes on from the state that `getWeights` gave, or that of TF.js's own Adam, Momentum and SGD. Variables are found by name; where
   * these differ, as those of a model that was loaded again, by their order. Before the first step it is kept until then.
   *
   * @throws {StateDictError} if it does not fit; nothing has been changed then. Before the first step that may show only in it: no
   * variable is changed, but the optimizer must be made anew.
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    await this.ready();
    const { engine } = this.#alive("setWeights");
    await this.#restore("setWeights", await fromWeights(weights, await engine.stateDict()));
  }

  /**
   * Variables and state by name, as of the engine's optimizers: for `webgpu-optim/checkpoint`. Variables that are gone have none.
   *
   * @throws {LifecycleError}
   */
  async stateDict(): Promise<StateDict> {
    const { backend, engine, parking } = this.#alive("stateDict");
    if (this.#pending)
      throw new LifecycleError("stateDict: what was loaded is taken up by the next step; ask after it");
    const live = [...this.#known.keys()].flatMap((name) => tfEngine().registeredVariables[name] ?? []);
    // Gradients of before may lie in buffers that are parameters by now.
    parking.enter(this.#known);
    for (const variable of live) engine.attach(variable.name, { param: { buffer: ownBufferOf(backend, variable) } });
    parking.leave(live.map(({ name }) => name));
    submitHeldBack(backend);
    const dict = await engine.stateDict();
    const names = new Set(live.map(({ name }) => name));
    const tensors = Object.entries(dict.tensors).filter(([name]) => names.has(name));
    return { ...dict, tensors: Object.fromEntries(tensors) };
  }

  /**
   * Loads what `stateDict` gave: the state, and the values of those variables that exist.
   *
   * @throws {StateDictError} if it does not fit. Nothing has been changed then.
   */
  async loadStateDict(dict: StateDict): Promise<void> {
    await this.ready();
    const { registeredVariables } = tfEngine();
    checkDict(dict, registeredVariables);
    await this.#restore("loadStateDict", { iterations: dict.stepsApplied + dict.stepsSkipped, dict });
    tidy(() => {
      for (const [name, { param, shape }] of Object.entries(dict.tensors))
        registeredVariables[name]?.assign(tensor(param, [...shape], "float32"));
    });
  }

  /** A new learning rate, for all groups, from the next step on. */
  setLearningRate(lr: number | Schedule): void {
    // In changes of options, undefined is none.
    if (lr === undefined) throw new OptionError("setLearningRate", "lr", "must be a number or a schedule", lr);
    this.set({ lr });
  }

  /** As `set` of the engine's optimizers: changes options of every group from the next step on. @throws {OptionError} */
  set(changes: GroupOptions & Record<string, unknown>): void {
    this.#alive("set").engine.set(changes);
    this.#changes.add(undefined, changes);
  }

  /** As `setGroup` of the engine's optimizers. @throws {OptionError} */
  setGroup(group: string | number, changes: GroupOptions & Record<string, unknown>): void {
    this.#alive("setGroup").engine.setGroup(group, changes);
    this.#changes.add(group, changes);
  }

  /** Which variable is in which group, with what lr, decay and mode: a table in text. Variables are there once they have stepped. */
  table(): string {
    return this.#alive("table").engine.table();
  }

  /** Calls `listener` with the figures of every monitored step. Returns what ends it. @throws {OptionError} without `monitor`. */
  on(event: "figures", listener: (figures: Figures) => void): () => void {
    return this.#alive("on").engine.on(event, listener);
  }

  /** The figures of every monitored step that arrives from now on. @throws {OptionError} without `monitor`. */
  figures(): AsyncIterableIterator<Figures> {
    return this.#alive("figures").engine.figures();
  }

  /** Figures that were computed but not delivered. */
  get figuresDropped(): number {
    return this.#running?.engine.figuresDropped ?? 0;
  }

  /** Resolves when the figures of all steps so far have been delivered. */
  async flush(): Promise<void> {
    await this.#alive("flush").engine.flush();
  }

  /** Frees the state. Variables stay. */
  override dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#running?.engine.destroy();
    this.#running?.parking.destroy();
    for (const { tensor: old } of this.#weights) old.dispose();
    this.#weights = [];
    this.#pending = undefined;
  }

  async #open(): Promise<void> {
    const backend = await openBackend("fused");
    const { engine, open } = await openEngine(backend.device, { ...this.#options, rule: this.#rule });
    try {
      this.#changes.apply(engine);
      if (this.#disposed) throw new LifecycleError("fused: the optimizer is disposed of");
    } catch (error) {
      engine.destroy();
      throw error;
    }
    this.#running = { backend, engine, open, parking: new Parking(backend.device, engine) };
  }

  #alive(where: string): Running {
    if (this.#disposed) throw new LifecycleError(`${where}: the optimizer is disposed of`);
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#running)
      throw new LifecycleError(`${where}: its kernels are not compiled yet: await fused(...), or optimizer.ready()`);
    return this.#running;
  }

  /** Updates a variable by the sum of earlier micro-batches; in this one it has no gradient, and its tensor is parked. */
  #recall(name: string): void {
    const { backend, engine, parking } = this.#alive("recall");
    const variable = tfEngine().registeredVariables[name];
    if (variable?.shape.join() === this.#known.get(name)?.join()) {
      engine.attach(name, { param: { buffer: ownBufferOf(backend, variable as Variable) } });
      parking.leave([name]);
    } else this.#present.delete(name);
  }

  /** Adds tensors to the engine. */
  #join(params: readonly AttachedParam[]): void {
    const { open } = this.#alive("join");
    const accepted = open.add(params);
    accepted.catch((error: unknown) => {
      this.#failure = error;
    });
    for (const { name, shape } of params) this.#known.set(name, shape);
  }

  /** Loads the pending state, before the first step. */
  #load(state: Readonly<Record<string, TensorState>>): void {
    const { open, parking } = this.#alive("load");
    const dict = this.#pending?.dict as StateDict;
    // State without a variable so far stays: its variable may come. One by one, since they share their memory.
    for (const [name, { shape, slots }] of Object.entries(state)) {
      if (!this.#known.has(name) && Object.keys(slots).length > 0) this.#join([parking.place(name, shape)]);
    }
    // Parameters of state dicts are loaded too. Those of the variables are what they are.
    parking.enter(this.#known);
    const tensors = [...this.#known].map(([name, shape]) => {
      const param = new Float32Array(shape.reduce((n, d) => n * d, 1));
      return [name, { ...state[name], param }];
    });
    try {
      open.load({ ...dict, tensors: Object.fromEntries(tensors) });
    } catch (error) {
      // The engine has the tensors by now, and must not step without their state.
      this.#failure = error;
      throw error;
    }
    this.#pending = undefined;
  }

  async #restore(where: string, saved: Saved): Promise<void> {
    const { engine, parking } = this.#alive(where);
    if (this.#known.size === 0) {
      const { stepsApplied, stepsSkipped, tensors } = saved.dict;
      const nothing = stepsApplied + stepsSkipped === 0 && Object.keys(tensors).length === 0;
      this.#pending = nothing ? undefined : saved;
    } else {
      const states = assign(
        saved.dict,
        [...this.#known].map(([name, shape]) => ({ name, shape })),
      );
      const left = Object.keys(states).filter((name) => !this.#known.has(name));
      if (left.length > 0) throw new StateDictError(left.map((name) => `there is no variable ${name}`));
      // The engine's state dicts have parameters too. These are TF.js's, which may have given their buffers to others by now.
      parking.enter(this.#known);
      const now = await engine.stateDict();
      const tensors = Object.entries(now.tensors).map(([name, { param }]) => [name, { ...states[name], param }]);
      await engine.loadStateDict({ ...saved.dict, tensors: Object.fromEntries(tensors) });
    }
    this.iterations_ = saved.iterations;
    this.#microBatch = 0;
    this.#present.clear();
  }
}
