/** What `applyGradients` is given: variables by name, and their gradients. */
import { engine, type NamedTensorMap, type Tensor, type Variable } from "@tensorflow/tfjs-core";
import { OptionError } from "../errors.ts";
import type { NamedTensor } from "./weights.ts";

/** A variable and its gradient: both float32, of one shape, with elements. */
export interface Pair {
  readonly variable: Variable;
  readonly gradient: Tensor;
}

/**
 * Variables that have a gradient.
 *
 * @param known shapes by name, which the variables must have. @throws {OptionError}
 */
export function pairsOf(
  where: string,
  given: NamedTensorMap | readonly NamedTensor[],
  known: ReadonlyMap<string, readonly number[]>,
): Pair[] {
  if (typeof given !== "object" || given === null)
    throw new OptionError(where, "gradients", "must be tensors by name, or a list of { name, tensor }", given);
  const named = Array.isArray(given)
    ? given.map((g: NamedTensor, i) => {
        if (typeof g?.name !== "string" || !("tensor" in g))
          throw new OptionError(where, `gradients[${i}]`, "must be { name, tensor }", g);
        return [g.name, g.tensor] as const;
      })
    : Object.entries(given as NamedTensorMap);
  const { registeredVariables } = engine();
  const names = new Set<string>();
  return named.flatMap(([name, gradient]): Pair[] => {
    if (names.has(name)) throw new OptionError(where, "gradients", "must name each variable once", name);
    names.add(name);
    // TF.js takes null for "no gradient".
    if (gradient === null || gradient === undefined) return [];
    const variable = registeredVariables[name];
    if (!variable) throw new OptionError(where, "gradients", "must be of variables", name);
    const { dtype, shape, size } = variable;
    if (dtype !== "float32") throw new OptionError(where, name, "must be float32", dtype);
    const of = `gradient of ${name}`;
    if (gradient.isDisposed) throw new OptionError(where, of, "must not be disposed of", name);
    if (gradient.dtype !== "float32") throw new OptionError(where, of, "must be float32", gradient.dtype);
    if (gradient.shape.join() !== shape.join())
      throw new OptionError(where, of, `must have shape [${shape}]`, gradient.shape);
    const before = known.get(name);
    if (before && before.join() !== shape.join())
      throw new OptionError(where, name, `must have shape [${before}], since a variable of this name had it`, shape);
    return size === 0 ? [] : [{ variable, gradient }];
  });
}
