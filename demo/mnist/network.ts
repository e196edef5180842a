/** The network of the standard run. */
import { linear, type Model, relu, sequential } from "../../src/nn/index.ts";
import { PIXELS, SIZES } from "./recipe.ts";

/** The perceptron: tensors `fc1.weight`, `fc1.bias`, `fc2.weight`, `fc2.bias`. */
export function network(): Model {
  return sequential([PIXELS], [linear(SIZES[1]), relu(), linear(SIZES[2])]);
}
