/**
 * The typed errors of webgpu-optim. Every error is thrown before anything has been changed and names the rule or
 * function, the option and the value. Numeric trouble in training (a non-finite gradient) is data, not an error.
 */

/** Base of all errors of this library: `error instanceof OptimError`. */
export class OptimError extends Error {
  override name = "OptimError";
}

/** An option, argument or input has a wrong type or value: `adamw: betas[1] must be in [0, 1), got 1.5`. */
export class OptionError extends OptimError {
  override name = "OptionError";
  /** Rule or function that refused. */
  readonly where: string;
  /** Path of the option, such as `betas[1]` or `groups[2].match`. */
  readonly option: string;
  /** The offending value. */
  readonly value: unknown;

  constructor(where: string, option: string, must: string, value: unknown) {
    super(`${where}: ${option} ${must}, got ${show(value)}`);
    this.where = where;
    this.option = option;
    this.value = value;
  }
}

/** The device lacks something, such as a limit; or it is lost. */
export class DeviceError extends OptimError {
  override name = "DeviceError";
}

/** A shader or pipeline was refused by the device; the message names the `.wgsl` file and line. */
export class ShaderError extends OptimError {
  override name = "ShaderError";
}

/** A call came at a wrong moment: the optimizer is destroyed, or its device is lost. */
export class LifecycleError extends OptimError {
  override name = "LifecycleError";
}

/** A state dict does not fit the optimizer. Nothing was loaded. */
export class StateDictError extends OptimError {
  override name = "StateDictError";
  /** One line per difference. */
  readonly differences: readonly string[];

  constructor(differences: readonly string[]) {
    super(`loadStateDict: the state does not fit this optimizer; nothing was changed\n  ${differences.join("\n  ")}`);
    this.differences = differences;
  }
}

/** A checkpoint file is broken, or what it holds cannot be put into the form asked for. Nothing was read in part. */
export class CheckpointError extends OptimError {
  override name = "CheckpointError";
}

/** A value as it stands in an error message: short, and never failing. Of a class other than `Object`, its name. */
function show(value: unknown, depth = 3): string {
  try {
    if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
    if (typeof value === "function") return `function ${value.name}`;
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value !== "object" || value === null || value instanceof RegExp) return String(value);
    const kind = Object.getPrototypeOf(value)?.constructor?.name ?? "Object";
    if (ArrayBuffer.isView(value)) return `${kind}(${value.byteLength} bytes)`;
    const list = Array.isArray(value);
    if (depth === 0 || (!list && kind !== "Object")) return kind;
    // JSON's way of writing, with the numbers that it lacks.
    const inner = Object.entries(value).map(([key, v]) => (list ? "" : `"${key}":`) + show(v, depth - 1));
    const text = list ? `[${inner}]` : `{${inner}}`;
    return text.length > 80 ? `${text.slice(0, 77)}...` : text;
  } catch {
    return typeof value;
  }
}
