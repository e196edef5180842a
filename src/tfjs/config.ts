/** An optimizer's options as JSON, for `model.save({ includeOptimizer: true })` and back. */
import { OptionError } from "../errors.ts";

const WHERE = "getConfig";

/**
 * JSON of options without functions. TF.js turns snake_case into camelCase in every text of a saved model, names of variables
 * included: so no underscore is left.
 *
 * @throws {OptionError} for what JSON cannot hold.
 */
export function toJson(options: object): string {
  return JSON.stringify(plain("", options)).replaceAll("_", "\\u005f");
}

/** The inverse of {@link toJson}. */
export function fromJson(text: string): Record<string, unknown> {
  return JSON.parse(text, (_, value) => {
    if (Array.isArray(value?.$regexp)) return new RegExp(value.$regexp[0], value.$regexp[1]);
    return typeof value?.$number === "string" ? Number(value.$number) : value;
  });
}

function plain(path: string, value: unknown): unknown {
  if (typeof value === "function" || ArrayBuffer.isView(value)) {
    const what = typeof value === "function" ? "a function" : "an array";
    const how = "save the weights alone (optimizer.getWeights, or stateDict) and make the optimizer anew";
    throw new OptionError(
      WHERE,
      path,
      `must not be ${what} where the optimizer is saved with the model; ${how}`,
      value,
    );
  }
  if (value instanceof RegExp) return { $regexp: [value.source, value.flags] };
  if (typeof value === "number" && !Number.isFinite(value)) return { $number: String(value) };
  if (Array.isArray(value)) return value.map((item, i) => plain(`${path}[${i}]`, item));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, plain(path ? `${path}.${key}` : key, item)]));
}
