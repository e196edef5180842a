/** From a model to the list of kernels that one step runs. */
import type { BufferSlice } from "../engine/options.ts";
import { OptionError } from "../errors.ts";
import { GradientSums, type Share } from "./gradient-sums.ts";
import {
  activationBytes,
  type BackwardSite,
  type MakeRunnable,
  type Place,
  Region,
  type Runnable,
  type Site,
} from "./layer.ts";
import type { ByteInput } from "./linear.ts";
import type { Loss, LossSite } from "./loss.ts";
import type { Model, ModelNode } from "./model.ts";
import { Relus } from "./relus.ts";
import type { Value } from "./value.ts";

/** A kernel on its places. */
export interface Recorded {
  readonly label: string;
  readonly kernel: Promise<Runnable<string>>;
  readonly places: Readonly<Record<string, Place>>;
  readonly writes: readonly string[];
}

/** What all lists of a plan have in common. */
export interface Surroundings {
  readonly model: Model;
  readonly loss: Loss;
  readonly rows: number;
  readonly bytes: ByteInput | undefined;
  readonly wantsInputGradient: boolean;
  readonly input: BufferSlice;
  readonly target: BufferSlice;
  readonly batch: BufferSlice;
  readonly random: BufferSlice;
  readonly outcomes: BufferSlice;
  readonly records: BufferSlice;
  kernel<Size, Options, R extends Runnable<string>>(
    label: string,
    make: MakeRunnable<Size, Options, R>,
    size: Size,
    options: Options,
  ): Promise<R>;
  tensor(name: string): { readonly param: BufferSlice; readonly grad: BufferSlice };
  buffer(name: string): BufferSlice;
  constant(name: string, values: Float32Array<ArrayBuffer>): BufferSlice;
}

/** A list of kernels, and the places in it that somebody may want to read. */
export interface Lowered {
  readonly recorded: readonly Recorded[];
  /** So many of the list lead to the output. */
  readonly forward: number;
  readonly output: Place;
  readonly inputGradient: Place | undefined;
}

/** The kernels of a training step, or of an evaluation. */
export function lower(around: Surroundings, training: boolean): Lowered {
  return new Lowering(around, training).run();
}

class Lowering {
  readonly #around: Surroundings;
  readonly #training: boolean;
  readonly #relus: Relus;
  readonly #recorded: Recorded[] = [];
  readonly #places = new Map<Value, Place>();
  readonly #workspaces = new Map<string, Region>();
  readonly #shares = new Map<Value, Share[]>();
  readonly #sums: GradientSums;
  readonly #needed: ReadonlySet<Value>;

  constructor(around: Surroundings, training: boolean) {
    this.#around = around;
    this.#training = training;
    this.#relus = new Relus(around.model);
    this.#needed = neededGradients(around.model, around.wantsInputGradient);
    this.#sums = new GradientSums(around.rows, (label, make, size, options, places, writes) =>
      this.#record(label, around.kernel(label, make, size, options), places, writes),
    );
  }

  run(): Lowered {
    const { model, loss, rows, input, target } = this.#around;
    this.#places.set(model.inputValue, input);
    for (const node of model.nodes) this.#forward(node);
    const forward = this.#recorded.length;
    const output = this.#place(model.outputValue);
    const bytes = activationBytes(rows, model.output);
    const outputGradient = loss.gradientIsTarget ? target : new Region(`${loss.kind}.outputGradient`, bytes);
    loss.record(this.#lossSite(output, outputGradient));
    if (this.#training) {
      this.#share(model.outputValue, { place: outputGradient, owned: !loss.gradientIsTarget });
      for (const node of model.nodes.toReversed()) this.#backward(node);
    }
    const wanted = this.#training && this.#around.wantsInputGradient;
    const inputGradient = wanted ? this.#sum("input", model.inputValue)?.place : undefined;
    return { recorded: this.#recorded, forward, output, inputGradient };
  }

  #record(label: string, kernel: Promise<Runnable<string>>, places: Recorded["places"], writes: readonly string[]) {
    this.#recorded.push({ label, kernel, places, writes });
  }

  /** Where a value lies; a view has no place of its own. */
  #place(value: Value): Place {
    const { rows } = this.#around;
    const maker = this.#relus.seenThrough(value);
    // A layer that ends with ReLU writes what the ReLU would have made.
    const held = this.#relus.fusedInto(maker) ?? maker;
    let place = this.#places.get(held);
    if (!place) {
      place = new Region(held.name, activationBytes(rows, held.shape));
      this.#places.set(held, place);
    }
    return place;
  }

  #forward(node: ModelNode): void {
    if (node.layer.view || this.#relus.isFused(node.value)) return;
    node.layer.forward(this.#site(node, "forward"));
  }

  #backward(node: ModelNode): void {
    const { value, layer } = node;
    if (layer.view || !this.#needed.has(value)) return;
    const sum = this.#sum(value.name, value);
    if (!sum) throw new OptionError(value.name, "backward", "must get a gradient from a layer behind it", undefined);
    const [input] = value.inputs as [Value];
    // The layers behind have masked it already, or the layer before will.
    if (this.#relus.isRelu(node) && (this.#relus.isMasked(value) || this.#relus.isMaskedByMaker(value))) {
      if (this.#needed.has(input)) this.#share(input, sum);
      return;
    }
    if (!layer.backward)
      throw new OptionError(value.name, "backward", `is missing in the layer ${layer.kind}`, undefined);
    const given = new Set<number>();
    layer.backward(this.#backwardSite(node, sum.place, given));
    this.#sums.flush();
    value.inputs.forEach((from, i) => {
      if (this.#needed.has(from) && !given.has(i))
        throw new OptionError(value.name, "backward", `must give a gradient to input ${i}`, undefined);
    });
  }

  #share(value: Value, share: Share): void {
    const held = this.#relus.seenThrough(value);
    const list = this.#shares.get(held) ?? [];
    list.push(share);
    this.#shares.set(held, list);
  }

  /** The sum of all gradients that a value has been given. */
  #sum(label: string, value: Value): Share | undefined {
    const held = this.#relus.seenThrough(value);
    const [first, ...others] = (this.#shares.get(held) ?? []).toSorted((a, b) => Number(b.owned) - Number(a.owned));
    if (!first) return undefined;
    let sum = first;
    for (const { place } of others) sum = this.#sums.add(`${label}.gradientSum`, held.shape, sum, place);
    this.#shares.set(held, [sum]);
    return sum;
  }

  #site({ value, layer, params, buffers }: ModelNode, way: string): Site {
    const around = this.#around;
    const find = (names: Readonly<Record<string, string>>, name: string): string => {
      const full = Object.hasOwn(names, name) ? names[name] : undefined;
      if (full === undefined) throw new OptionError(value.name, name, "must be a tensor that infer() has named", name);
      return full;
    };
    const placeOf = (of: Value) => this.#place(of);
    return {
      name: value.name,
      rows: around.rows,
      training: this.#training,
      inputShapes: value.inputs.map(({ shape }) => shape),
      outputShape: value.shape,
      batch: around.batch,
      random: around.random,
      stream: around.model.nodes.findIndex((node) => node.value === value),
      relu: this.#relus.fusedInto(value) !== undefined,
      bytes: this.#relus.seenThrough(inputAt(value, 0)) === around.model.inputValue ? around.bytes : undefined,
      input: (index = 0) => this.#place(inputAt(value, index)),
      get output() {
        return placeOf(value);
      },
      passInput: () => {
        this.#places.set(value, this.#place(inputAt(value, 0)));
      },
      param: (name) => around.tensor(find(params, name)).param,
      buffer: (name) => around.buffer(find(buffers, name)),
      workspace: (name, bytes) => {
        // The value's place in the model, since a layer may stand in it twice.
        const key = `${around.model.nodes.findIndex((node) => node.value === value)}.${name}`;
        const region = this.#workspaces.get(key) ?? new Region(`${value.name}.${name}`, bytes);
        this.#workspaces.set(key, region);
        return region;
      },
      kernel: (make, size, options) => around.kernel(`${layer.kind}.${way}`, make, size, options),
      run: (kernel, places, writes) => this.#record(`${value.name}.${way}`, kernel, places, writes),
    };
  }

  #backwardSite(node: ModelNode, outputGradient: Place, given: Set<number>): BackwardSite {
    const { value, params } = node;
    const { rows, tensor } = this.#around;
    const gradientOf = (name: string) => {
      const full = params[name];
      const def = value.inferred.params?.[name];
      if (full === undefined || !def)
        throw new OptionError(value.name, name, "must be a parameter that infer() has named", name);
      return { name: full, shape: def.shape, grad: tensor(full).grad };
    };
    return {
      ...this.#site(node, "backward"),
      output: this.#place(value),
      outputGradient,
      outputRelu: this.#relus.masksItsOutput(value),
      inputRelu: (index = 0) => this.#relus.isMasked(this.#relus.seenThrough(inputAt(value, index))),
      inputGradient: (index = 0) => {
        const input = inputAt(value, index);
        if (!this.#needed.has(input)) return undefined;
        const region = new Region(`${value.name}.inputGradient${index || ""}`, activationBytes(rows, input.shape));
        this.#share(input, { place: region, owned: true });
        given.add(index);
        return region;
      },
      passGradient: (index, place) => {
        const input = inputAt(value, index);
        if (!this.#needed.has(input)) return;
        this.#share(input, { place, owned: false });
        given.add(index);
      },
      paramGradient: (name) => this.#sums.place(gradientOf(name)),
      paramGradients: (...names) => {
        const { places, accumulate } = this.#sums.places(names.map(gradientOf));
        return { places: Object.fromEntries(names.map((name, i) => [name, places[i]!])), accumulate } as never;
      },
    };
  }

  #lossSite(output: Place, outputGradient: Place): LossSite {
    const { loss, model, rows, batch, target, outcomes, records, constant, kernel } = this.#around;
    return {
      rows,
      training: this.#training,
      shape: model.output,
      batch,
      output,
      outputGradient,
      target,
      outcomes,
      records,
      constant,
      kernel: (make, size, options) => kernel(loss.kind, make, size, options),
      run: (made, places, writes) => this.#record(loss.kind, made, places, writes),
    };
  }
}

function inputAt(value: Value, index: number): Value {
  const input = value.inputs[index];
  if (!input) throw new OptionError(value.name, "input", `must be below ${value.inputs.length}`, index);
  return input;
}

/** Values whose gradients lead to that of a parameter, or of the input if that is wanted. */
function neededGradients(model: Model, input: boolean): Set<Value> {
  const needed = new Set<Value>(input ? [model.inputValue] : []);
  for (const { value, params } of model.nodes) {
    if (Object.keys(params).length > 0 || value.inputs.some((from) => needed.has(from))) needed.add(value);
  }
  return needed;
}
