/** Pytrees as lists of named arrays, and what is wrong with them. */
import { Array as JaxArray, tree } from "@jax-js/jax";
import { OptionError } from "../errors.ts";

/** A tree like `Params` with gradients for leaves; null where a parameter has none in this step. */
export type Gradients<Params> = Params extends JaxArray
  ? JaxArray | null
  : { [Key in keyof Params]: Gradients<Params[Key]> };

/** Leaves by name, in the order of `jax.tree.flatten`. */
export type Leaves = ReadonlyMap<string, JaxArray | null>;

/** Name of a tree that is a single array. */
const ROOT = "params";

/**
 * The arrays of a tree by the path that leads to them, joined by dots: `{ layers: [{ w, b }] }` has `layers.0.w` and `layers.0.b`.
 *
 * @throws {OptionError} for leaves that are no float32 arrays on jax-js's WebGPU backend, and for two paths with equal names.
 */
export function leavesOf(where: string, option: string, given: unknown, mayBeNull = false): Leaves {
  const leaves = new Map<string, JaxArray | null>();
  for (const [path, value] of walk(given, "")) {
    const name = path || ROOT;
    const at = path === "" ? option : `${option}.${path}`;
    if (leaves.has(name)) throw new OptionError(where, at, "must be the only path with this name", name);
    if (!(value === null && mayBeNull)) checkArray(where, at, value);
    leaves.set(name, value as JaxArray | null);
  }
  if (leaves.size === 0) throw new OptionError(where, option, "must hold at least one array", given);
  return leaves;
}

/** Paths and leaves, where jax-js sees them: in arrays and in plain objects. */
function* walk(value: unknown, path: string): Generator<[path: string, leaf: unknown]> {
  const plain = typeof value === "object" && value !== null && value.constructor === Object;
  if (!plain && !Array.isArray(value)) yield [path, value];
  else for (const [key, child] of Object.entries(value)) yield* walk(child, path === "" ? key : `${path}.${key}`);
}

function checkArray(where: string, option: string, value: unknown): void {
  if (!(value instanceof JaxArray)) {
    const traced = typeof value === "object" && value !== null && "aval" in value;
    throw new OptionError(
      where,
      option,
      traced
        ? "must be an array with values: call the optimizer outside of jit, grad and vmap"
        : "must be an array of this @jax-js/jax",
      traced ? "a tracer" : value,
    );
  }
  if (value.device !== "webgpu") {
    throw new OptionError(
      where,
      option,
      'must be on the WebGPU backend (await init("webgpu"), then defaultDevice("webgpu") or devicePut(params, "webgpu"))',
      value.device,
    );
  }
  if (value.dtype !== "float32")
    throw new OptionError(where, option, "must be float32 (astype converts)", value.dtype as string);
}

/** Every reference that is handed over must be there to be taken. @throws {OptionError} */
export function checkReferences(where: string, ...trees: readonly (readonly [option: string, leaves: Leaves])[]): void {
  const taken = new Map<JaxArray, number>();
  for (const [option, leaves] of trees) {
    for (const [name, array] of leaves) {
      if (!array) continue;
      const times = (taken.get(array) ?? 0) + 1;
      taken.set(array, times);
      if (array.refCount < times) {
        const must =
          times === 1 ? "must not have been used up: pass .ref to what came before" : "is passed twice: pass .ref";
        throw new OptionError(where, `${option}.${name}`, must, `an array with ${array.refCount} references`);
      }
    }
  }
}

/** A tree with other leaves. */
export function rebuild<Tree>(like: Tree, leaves: Iterable<JaxArray>): Tree {
  return tree.unflatten(tree.structure(like as never), leaves) as Tree;
}

/** Names and shapes of a tree's arrays, for `decayGroups` and the like. The arrays stay yours. @throws {OptionError} */
export function named(params: unknown): { name: string; shape: readonly number[] }[] {
  return [...leavesOf("named", "params", params)].map(([name, array]) => ({ name, shape: (array as JaxArray).shape }));
}
