/** Building models: layers applied to symbolic values, one after the other or in any order. */
import { OptionError } from "../errors.ts";
import { add } from "./layers/merge.ts";
import { Model } from "./model.ts";
import { checkShape, type Shape } from "./shape.ts";
import { type Part, Value } from "./value.ts";

/**
 * Layers one after the other.
 *
 * @param input shape of one sample: `[784]`, or `[1, 28, 28]` for `[channels, height, width]`
 * @throws {OptionError} naming the layer and the shapes, where they do not fit.
 */
export function sequential(input: Shape, parts: readonly Part[]): Model {
  if (!Array.isArray(parts)) throw new OptionError("sequential", "parts", "must be a list of layers", parts);
  return graph(input, (value) => value.pipe(...parts));
}

/**
 * Layers in any order: `build` gets the input and returns the output.
 *
 * @throws {OptionError} naming the layer and the shapes, where they do not fit.
 */
export function graph(input: Shape, build: (input: Value) => Value): Model {
  checkShape("graph", "input", input);
  if (typeof build !== "function")
    throw new OptionError("graph", "build", "must be a function from the input to the output", build);
  const begin = Value.input([...input]);
  const end: unknown = build(begin);
  if (!(end instanceof Value)) throw new OptionError("graph", "build", "must return a value of the graph", end);
  return new Model(begin, end);
}

/** `x -> main(x) + shortcut(x)`; without a shortcut, `x` itself is added. */
export function residual(main: Part, shortcut: Part = []): (value: Value) => Value {
  return (value) => add(value.pipe(main), value.pipe(shortcut));
}
