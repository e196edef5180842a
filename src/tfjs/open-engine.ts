/** The engine's optimizer for variables that are not there yet. */
import type { OpenParams } from "../engine/add-params.ts";
import { createOptimizer } from "../engine/create-optimizer.ts";
import type { GroupOptions } from "../engine/groups.ts";
import type { Optimizer } from "../engine/optimizer.ts";
import type { OptimizerOptions } from "../engine/options.ts";
import { OptionError } from "../errors.ts";

/** An optimizer, and how tensors get into it. */
export interface OpenEngine {
  readonly engine: Optimizer;
  readonly open: OpenParams;
}

type Options = Omit<OptimizerOptions, "params">;

// The engine begins with a tensor; without elements, it makes way for the first others.
const PLACEHOLDER = "(no variable yet)";
// The engine would choose by the number of elements, which is not known yet: this serves some 10^5 to 10^7 on a GPU.
const CHUNK = 4096;

/** @throws as `createOptimizer` */
export async function openEngine(device: GPUDevice, options: Options): Promise<OpenEngine> {
  if (options.storage !== undefined)
    throw new OptionError(
      "fused",
      "storage",
      "must not be given: variables of TensorFlow.js are float32",
      options.storage,
    );
  const { orthogonalizes, name } = options.rule?.definition ?? {};
  if (orthogonalizes)
    throw new OptionError(
      "fused",
      "rule",
      "must not be one that orthogonalizes matrices: variables come one by one",
      name,
    );
  const software = device.adapterInfo?.isFallbackAdapter === true;
  const params = [{ name: PLACEHOLDER, shape: [0] }];
  const engine = await createOptimizer(device, { ...withAnchor(options), params }, software ? {} : { chunk: CHUNK });
  try {
    return { engine, open: await engine.openParams() };
  } catch (error) {
    engine.destroy();
    throw error;
  }
}

/** The placeholder may be in a group that is pulled toward given values: then it needs some. */
function withAnchor(options: Options): Options {
  const anchored = <T extends GroupOptions>(group: T): T =>
    typeof group?.toward === "object" && group.toward !== null
      ? { ...group, toward: { ...group.toward, [PLACEHOLDER]: new Float32Array(0) } }
      : group;
  const { groups } = options;
  return { ...anchored(options), ...(Array.isArray(groups) && { groups: groups.map(anchored) }) };
}
