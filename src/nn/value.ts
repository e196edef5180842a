/** Symbolic values: what flows through a model, known by its shape, while the model is being built. */
import { OptionError } from "../errors.ts";
import type { Inferred, Layer } from "./layer.ts";
import { checkShape, type Shape } from "./shape.ts";

/** What a value can be sent through: a layer, a function of values, or a list of these. */
export type Part = Layer | ((value: Value) => Value) | readonly Part[];

/** Names of layers in one graph: given ones, or prefix and number, counted from 1. */
class Names {
  readonly #names = new Map<Layer, string>();
  readonly #taken = new Set<string>();
  readonly #counts = new Map<string, number>();

  of(layer: Layer): string {
    const known = this.#names.get(layer);
    if (known !== undefined) return known;
    const name = layer.name ?? this.#next(layer.prefix);
    if (this.#taken.has(name)) throw new OptionError(layer.kind, "name", "must be unique in the model", name);
    this.#taken.add(name);
    this.#names.set(layer, name);
    return name;
  }

  #next(prefix: string): string {
    const count = (this.#counts.get(prefix) ?? 0) + 1;
    this.#counts.set(prefix, count);
    const name = `${prefix}${count}`;
    return this.#taken.has(name) ? this.#next(prefix) : name;
  }
}

/** What flows through a model: an activation of one sample, known by its shape. */
export class Value {
  readonly shape: Shape;
  /** What made it; undefined for the input of the model. */
  readonly layer: Layer | undefined;
  /** Name of the layer; `input` for the input. */
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly inferred: Inferred;
  readonly #names: Names;

  private constructor(names: Names, name: string, layer: Layer | undefined, inputs: readonly Value[], made: Inferred) {
    this.#names = names;
    this.name = name;
    this.layer = layer;
    this.inputs = inputs;
    this.inferred = made;
    this.shape = made.output;
  }

  /** The input of a new graph. */
  static input(shape: Shape): Value {
    return new Value(new Names(), "input", undefined, [], { output: shape });
  }

  /**
   * `layer` applied to these values.
   *
   * @throws {OptionError} naming the layer and the shapes, if it cannot take them.
   */
  static apply(layer: Layer, inputs: readonly Value[]): Value {
    if (!Array.isArray(inputs)) throw new OptionError(layer.kind, "inputs", "must be a list of values", inputs);
    const stranger = inputs.findIndex((input) => !(input instanceof Value));
    if (stranger >= 0)
      throw new OptionError(layer.kind, `inputs[${stranger}]`, "must be a value of the graph", inputs[stranger]);
    const [first] = inputs as readonly Value[];
    if (!first) throw new OptionError(layer.kind, "inputs", "must be at least one value", inputs);
    const name = first.#names.of(layer);
    if (inputs.some((input) => input.#names !== first.#names))
      throw new OptionError(name, "inputs", "must be values of one graph", inputs.length);
    const { arity = 1 } = layer;
    if (arity !== "any" && inputs.length !== arity)
      throw new OptionError(name, "inputs", `must be ${arity}`, inputs.length);
    const shapes = inputs.map(({ shape }) => shape);
    const made = layer.infer(shapes, name);
    checkShape(name, "output", made.output);
    return new Value(first.#names, name, layer, inputs, made);
  }

  /**
   * Through these parts, one after the other.
   *
   * @throws {OptionError} naming the layer and the shapes, if one does not fit.
   */
  pipe(...parts: readonly Part[]): Value {
    return parts.reduce<Value>((value, part) => {
      if (Array.isArray(part)) return value.pipe(...(part as readonly Part[]));
      if (typeof part !== "function") return Value.apply(checkLayer(part), [value]);
      const made: unknown = part(value);
      if (!(made instanceof Value)) throw new OptionError("pipe", "part", "must return a value of the graph", made);
      return made;
    }, this);
  }
}

function checkLayer(part: unknown): Layer {
  const { kind, infer, forward, view } = (part ?? {}) as Partial<Layer>;
  if (typeof kind === "string" && typeof infer === "function" && (view || typeof forward === "function"))
    return part as Layer;
  throw new OptionError("pipe", "part", "must be a layer, a function of values, or a list of these", part);
}
