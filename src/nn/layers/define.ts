/** What the layers of this library have in common: checks of their options. */
import { checkBoolean, checkKeys, checkNumber } from "../../engine/checks.ts";
import { OptionError } from "../../errors.ts";
import type { Initializer } from "../init.ts";
import type { Layer } from "../layer.ts";
import { Value } from "../value.ts";

/** Options of every layer. */
export interface LayerOptions {
  /** Its tensors are `name.weight` and so on; default kind and number, `conv1`. */
  readonly name?: string | undefined;
}

/** How parameters begin; default as in PyTorch's layer of the same name. */
export interface InitOptions {
  readonly weightInit?: Initializer | undefined;
  readonly biasInit?: Initializer | undefined;
}

/** @throws {OptionError} for an option that the layer does not have, or a bad name. */
export function checkOptions(where: string, options: LayerOptions, known: readonly string[]): void {
  // A model was given the function, and not the layer that it makes.
  if (options instanceof Value)
    throw new OptionError(where, "options", `must not be a value: write ${where}()`, options.name);
  checkKeys(where, "", options, ["name", ...known]);
  const { name } = options as LayerOptions;
  if (name !== undefined && (typeof name !== "string" || name === ""))
    throw new OptionError(where, "name", "must be a text", name);
  const { bias = true, weightInit, biasInit, tied } = options as Record<string, unknown>;
  checkBoolean(where, "bias", bias);
  for (const [option, init] of Object.entries({ weightInit, biasInit })) {
    if (init !== undefined && typeof init !== "function")
      throw new OptionError(where, option, "must be an initializer such as kaimingNormal()", init);
  }
  if (tied !== undefined && typeof (tied as Layer | null)?.infer !== "function")
    throw new OptionError(where, "tied", "must be a layer", tied);
}

/** A whole number of at least `min`. */
export function checkCount(where: string, option: string, value: unknown, min = 1): asserts value is number {
  checkNumber(where, option, value, { min, max: 2 ** 24, whole: true });
}

/** One number for both directions, or `[vertical, horizontal]`. */
export type Pair = number | readonly [vertical: number, horizontal: number];

/** @throws {OptionError} */
export function pairOf(where: string, option: string, value: unknown, min: number): readonly [number, number] {
  const pair: unknown = typeof value === "number" ? [value, value] : value;
  if (!Array.isArray(pair) || pair.length !== 2)
    throw new OptionError(where, option, "must be a number or [vertical, horizontal]", value);
  for (const [i, extent] of pair.entries())
    checkCount(where, typeof value === "number" ? option : `${option}[${i}]`, extent, min);
  return [pair[0], pair[1]];
}
