/** Layers that only change what features mean: nothing is moved in memory. */
import { OptionError } from "../../errors.ts";
import type { Layer } from "../layer.ts";
import { checkShape, type Shape, showShape, sizeOf } from "../shape.ts";
import { checkOptions, type LayerOptions } from "./define.ts";

const never = (): void => {};

/** `[channels, height, width]` as `[features]`, in that order. */
export function flatten(options: LayerOptions = {}): Layer {
  checkOptions("flatten", options, []);
  const infer: Layer["infer"] = ([shape = []]) => ({ output: [sizeOf(shape)] });
  return { kind: "flatten", prefix: "flatten", name: options.name, view: true, infer, forward: never };
}

/** The same elements in another shape, such as `[8, 7, 7]` for `[392]`. @throws {OptionError} */
export function reshape(to: Shape, options: LayerOptions = {}): Layer {
  checkShape("reshape", "to", to);
  checkOptions("reshape", options, []);
  const infer: Layer["infer"] = ([shape = []], where) => {
    if (sizeOf(shape) !== sizeOf(to))
      throw new OptionError(where, "input", `must have ${sizeOf(to)} elements for ${showShape(to)}`, shape);
    return { output: [...to] };
  };
  return { kind: "reshape", prefix: "reshape", name: options.name, view: true, infer, forward: never };
}
