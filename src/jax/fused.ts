/** The fused optimizer over pytrees of jax-js arrays. */
import { getWebGPUDevice, type Array as JaxArray, numpy as np } from "@jax-js/jax";
import { createOptimizer } from "../engine/create-optimizer.ts";
import type { Optimizer } from "../engine/optimizer.ts";
import type { AttachedParam, OptimizerOptions } from "../engine/options.ts";
import type { Rule } from "../engine/rule.ts";
import type { StateDict } from "../engine/state.ts";
import { LifecycleError, OptionError } from "../errors.ts";
import { checkReferences, type Gradients, type Leaves, leavesOf, rebuild } from "./leaves.ts";
import { bufferOf, findSlots, owned } from "./ownership.ts";

/** Everything that `createOptimizer` takes, but for the parameters. */
export type FusedOptions = Omit<OptimizerOptions, "rule" | "params" | "storage">;

/** What can be asked and changed between steps; as documented at {@link Optimizer}. */
export type Controls = Pick<
  Optimizer,
  | "set"
  | "setGroup"
  | "freeze"
  | "unfreeze"
  | "table"
  | "groups"
  | "on"
  | "figures"
  | "figuresDropped"
  | "flush"
  | "readLossScale"
>;

/** An optimizer in the shape of optax: it holds no state itself. */
export interface FusedTransformation {
  /**
   * State for these parameters: zeros, by the path of each array in the tree. Uses jax-js's device.
   *
   * Takes over its argument, as functions of jax-js do: pass `tree.ref(params)` to keep them.
   *
   * @throws {OptionError} for a bad option, and for arrays that are not float32 or not on the WebGPU backend.
   */
  init(params: unknown): Promise<FusedState>;
  /**
   * One update. **It returns the new parameters**, not differences to be added: there is no `applyUpdates` after it.
   *
   * Takes over `grads` and `params`. A parameter is updated in place, and its array returned, if nothing else holds it; otherwise
   * (another `.ref`, a view, an operation that is not evaluated yet) it is copied first, and the others keep the old values.
   * Leaves may come in any order; a parameter that is absent, or whose gradient is null, is left alone.
   *
   * @throws {OptionError} for a tree, dtype, shape or backend that does not fit. Nothing has been changed or taken over then.
   * @throws {LifecycleError} if the state is disposed of or the device lost.
   */
  update<Params>(grads: Gradients<NoInfer<Params>>, state: FusedState, params: Params): [Params, FusedState];
}

/**
 * `optax.adamw(...)` and its like, in one fused pass: `fused(adamw(), { lr: 3e-4, weightDecay: 0.1, clip: { globalNorm: 1 } })`.
 *
 * @param rule as of `createOptimizer`, and so are the options. Groups match paths: `layers.0.w`.
 * @throws {OptionError} for options that `createOptimizer` takes and this does not; `init` finds whatever else is wrong with them
 */
export function fused(rule: Rule, options: FusedOptions = {}): FusedTransformation {
  if (typeof options !== "object" || options === null)
    throw new OptionError("fused", "options", "must be an object", options);
  if (Object.hasOwn(options, "params"))
    throw new OptionError(
      "fused",
      "params",
      "must not be given: init() takes them",
      (options as { params: unknown }).params,
    );
  return {
    init: (params) => openState({ ...options, rule }, params),
    update: (grads, state, params) => {
      if (!(state instanceof FusedState)) throw new OptionError("update", "state", "must be what init() gave", state);
      return [state.advance(grads, params), state];
    },
  };
}

async function openState(options: Omit<OptimizerOptions, "params">, given: unknown): Promise<FusedState> {
  if (options.storage !== undefined)
    throw new OptionError("fused", "storage", "must not be given: arrays of jax-js are float32", options.storage);
  const leaves = leavesOf("init", "params", given);
  checkReferences("init", ["params", leaves]);
  const slots = await findSlots();
  const state = new FusedState(getWebGPUDevice(), slots);
  try {
    await state.open(options, leaves);
  } catch (error) {
    state.dispose();
    throw error;
  }
  for (const array of leaves.values()) array?.dispose();
  return state;
}

/** State of a tree of parameters, on the GPU, by name. Updates change it in place: it is no value, and cannot be kept for later. */
export class FusedState {
  readonly #device: GPUDevice;
  readonly #slots: Awaited<ReturnType<typeof findSlots>>;
  readonly #shapes = new Map<string, readonly number[]>();
  #optimizer: Optimizer | undefined;
  /** Bound in place of what a tensor that is left alone does not have. Nothing reads or writes it. */
  #spares: { param: JaxArray; grad: JaxArray } | undefined;
  #copies = 0;

  /** Use `init`. */
  constructor(device: GPUDevice, slots: Awaited<ReturnType<typeof findSlots>>) {
    this.#device = device;
    this.#slots = slots;
  }

  /** Learning rates, groups, figures. */
  get optimizer(): Controls {
    return this.#engine("optimizer");
  }

  /** How many parameters had to be copied so far, since something else still held them. */
  get copies(): number {
    return this.#copies;
  }

  /** @internal */
  async open(options: Omit<OptimizerOptions, "params">, leaves: Leaves): Promise<void> {
    const { specs, free } = this.#specs(leaves);
    try {
      this.#optimizer = await createOptimizer(this.#device, { ...options, params: specs });
    } finally {
      free();
    }
    for (const { name, shape } of specs) this.#shapes.set(name, shape);
  }

  /** Adds parameters, named as in a tree of their own; their state begins at zero. Takes over its argument. @throws {OptionError} */
  async extend(params: unknown): Promise<void> {
    const engine = this.#engine("extend");
    const leaves = leavesOf("extend", "params", params);
    checkReferences("extend", ["params", leaves]);
    const { specs, free } = this.#specs(leaves);
    try {
      await engine.addParams(specs);
    } finally {
      free();
    }
    for (const { name, shape } of specs) this.#shapes.set(name, shape);
    for (const array of leaves.values()) array?.dispose();
  }

  /** @internal See {@link FusedTransformation.update}. */
  advance<Params>(grads: unknown, params: Params): Params {
    const engine = this.#engine("update");
    const values = this.#known("update", "params", leavesOf("update", "params", params));
    const slopes = this.#known("update", "grads", leavesOf("update", "grads", grads, true));
    for (const name of values.keys())
      if (!slopes.has(name)) throw new OptionError("update", `grads.${name}`, "must be an array or null", undefined);
    for (const name of slopes.keys())
      if (!values.has(name))
        throw new OptionError("update", `params.${name}`, "must be there, as its gradient is", undefined);
    checkReferences("update", ["params", values], ["grads", slopes]);

    // What the gradients are computed from may be the parameters: submit that before anything is written.
    const gradients = new Map([...slopes].map(([name, array]) => [name, array && bufferOf(array)]));
    for (const array of values.values()) if (array) bufferOf(array);

    const idle = [...this.#shapes.keys()].filter((name) => !gradients.get(name));
    const spares = idle.length > 0 ? this.#openSpares() : undefined;
    const updated: JaxArray[] = [];
    for (const [name, array] of values) {
      const { array: own, copied } = owned(array as JaxArray, this.#slots);
      this.#copies += Number(copied);
      updated.push(own);
      const grad = gradients.get(name) ?? (spares as GPUBuffer[])[1];
      engine.attach(name, { param: { buffer: bufferOf(own) }, grad: { buffer: grad as GPUBuffer } });
    }
    if (spares) {
      const [param, grad] = spares;
      for (const name of idle)
        if (!values.has(name)) engine.attach(name, { param: { buffer: param }, grad: { buffer: grad } });
      const without = new Set(idle);
      engine.withoutGrad(({ name }) => without.has(name));
    } else this.#closeSpares();
    engine.step();
    for (const array of slopes.values()) array?.dispose();
    return rebuild(params, updated);
  }

  /**
   * Parameters, state and counts by name, exact; as `Optimizer.stateDict`. Takes over its argument, which must be the whole tree.
   *
   * @throws {OptionError} {@link LifecycleError}
   */
  async stateDict(params: unknown): Promise<StateDict> {
    const engine = this.#engine("stateDict");
    const leaves = this.#whole("stateDict", params);
    this.#attach(engine, leaves);
    const saved = await engine.stateDict();
    for (const array of leaves.values()) array.dispose();
    return saved;
  }

  /**
   * Loads a state dict, and gives the parameters with the values that were saved. Takes over `params`, the whole tree.
   *
   * @throws {StateDictError} with all differences. Neither state nor parameters have been changed then.
   */
  async loadStateDict<Params>(saved: StateDict, params: Params): Promise<Params> {
    const engine = this.#engine("loadStateDict");
    const leaves = this.#whole("loadStateDict", params);
    const ours = new Map([...leaves].map(([name, { shape }]) => [name, np.zeros(shape, { device: "webgpu" })]));
    try {
      this.#attach(engine, ours);
      await engine.loadStateDict(saved);
    } catch (error) {
      for (const array of ours.values()) array.dispose();
      throw error;
    }
    for (const array of leaves.values()) array.dispose();
    return rebuild(params, ours.values());
  }

  /**
   * New arrays with the parameters to evaluate: the average with `ema` or `swa`, x with Schedule-Free rules, else equal values.
   * Training goes on with the parameters themselves. Takes over its argument, the whole tree.
   *
   * @throws {OptionError} {@link LifecycleError}
   */
  evalParams<Params>(params: Params): Params {
    const engine = this.#engine("evalParams");
    const leaves = this.#whole("evalParams", params);
    const copies = new Map([...leaves].map(([name, array]) => [name, array.mul(1)]));
    this.#attach(engine, copies);
    engine.eval();
    // What the engine brings back, the trained values, nobody needs: the arrays of the caller still have them.
    const [param, grad] = this.#openSpares();
    for (const name of copies.keys()) engine.attach(name, { param: { buffer: param }, grad: { buffer: grad } });
    engine.train();
    return rebuild(params, copies.values());
  }

  /**
   * For rules that estimate something beside their steps, as `sophiag` its Hessian: takes gradients of that kind into the state,
   * without an update. Takes over both arguments, whole trees.
   *
   * @throws {OptionError} if no rule estimates, and for trees that do not fit. @throws {LifecycleError}
   */
  estimate<Params>(grads: NoInfer<Params>, params: Params): void {
    const engine = this.#engine("estimate");
    const values = this.#whole("estimate", params);
    const slopes = this.#whole("estimate", grads, "grads");
    checkReferences("estimate", ["params", values], ["grads", slopes]);
    for (const [name, array] of values)
      engine.attach(name, { param: { buffer: bufferOf(array) }, grad: { buffer: bufferOf(slopes.get(name)!) } });
    engine.estimate();
    for (const array of [...values.values(), ...slopes.values()]) array.dispose();
  }

  /** Frees the state. Parameters are not its own. */
  dispose(): void {
    this.#optimizer?.destroy();
    this.#optimizer = undefined;
    this.#closeSpares();
  }

  /** Binds parameters, and no gradients: the buffers of the last ones may be parameters by now. */
  #attach(engine: Optimizer, leaves: ReadonlyMap<string, JaxArray>): void {
    const [, grad] = this.#openSpares();
    for (const [name, array] of leaves)
      engine.attach(name, { param: { buffer: bufferOf(array) }, grad: { buffer: grad } });
  }

  /** Tensors as the engine takes them. To be freed when it has. */
  #specs(leaves: Leaves): { specs: AttachedParam[]; free: () => void } {
    const copies: JaxArray[] = [];
    const seen = new Set<GPUBuffer>();
    const arrays = [...leaves] as [string, JaxArray][];
    const [, grad] = this.#openSpares(arrays.map(([, { size }]) => size));
    const specs = arrays.map(([name, array]) => {
      let buffer = bufferOf(array);
      // The same array in two places becomes two parameters, as they are from the first update on.
      if (seen.has(buffer)) {
        const copy = array.ref.mul(1);
        copies.push(copy);
        buffer = bufferOf(copy);
      }
      seen.add(buffer);
      return { name, shape: array.shape, param: { buffer }, grad: { buffer: grad } };
    });
    const free = (): void => {
      for (const copy of copies) copy.dispose();
    };
    return { specs, free };
  }

  #openSpares(sizes: readonly number[] = []): [GPUBuffer, GPUBuffer] {
    const most = Math.max(1, ...sizes, ...[...this.#shapes.values()].map((shape) => shape.reduce((n, d) => n * d, 1)));
    if (this.#spares && this.#spares.param.size < most) this.#closeSpares();
    const zeros = (): JaxArray => np.zeros([most], { device: "webgpu" });
    this.#spares ??= { param: zeros(), grad: zeros() };
    return [bufferOf(this.#spares.param), bufferOf(this.#spares.grad)];
  }

  #closeSpares(): void {
    this.#spares?.param.dispose();
    this.#spares?.grad.dispose();
    this.#spares = undefined;
  }

  /** Leaves whose names and shapes are those of this state. */
  #known(where: string, option: string, leaves: Leaves): Leaves {
    for (const [name, array] of leaves) {
      const shape = this.#shapes.get(name);
      if (!shape) {
        const must = `must be among the paths of this state (${[...this.#shapes.keys()].join(", ")}); extend() adds others`;
        throw new OptionError(where, option, must, name);
      }
      if (array && array.shape.join() !== shape.join())
        throw new OptionError(where, `${option}.${name}`, `must have shape [${shape}]`, array.shape);
    }
    return leaves;
  }

  #whole(where: string, tree: unknown, option = "params"): ReadonlyMap<string, JaxArray> {
    const leaves = this.#known(where, option, leavesOf(where, option, tree));
    for (const name of this.#shapes.keys())
      if (!leaves.has(name)) throw new OptionError(where, `${option}.${name}`, "must be an array", undefined);
    checkReferences(where, [option, leaves]);
    return leaves as ReadonlyMap<string, JaxArray>;
  }

  #engine(where: string): Optimizer {
    if (!this.#optimizer) throw new LifecycleError(`${where}: the state is disposed of`);
    return this.#optimizer;
  }
}
