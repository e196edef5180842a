/**
 * One AdamW step, ours against peers and floors: the results are checked first, then all are timed in turns.
 */
import { compare, type Make } from "./compare.ts";
import { copies, stream } from "./impl/floors.ts";
import { jaxAdamw } from "./impl/jax-js.ts";
import { ours, type Variant, variants } from "./impl/ours.ts";
import { tfjsAdam } from "./impl/tfjs.ts";
import type { Suite } from "./suite.ts";

const baseline = "ours" satisfies Variant;

const implementations = new Map<string, Make>([
  ...Object.keys(variants).map((name): [string, Make] => [name, (device, t) => ours(device, t, name as Variant)]),
  ["tfjs", (_, tensors) => tfjsAdam(tensors)],
  ["jax-js", (_, tensors) => jaxAdamw(tensors)],
  ["stream", stream],
  ["copy", copies],
]);

export const update: Suite = async (context) => {
  const { cases, impls } = context.request;
  const unknown = impls.filter((name) => !implementations.has(name));
  if (unknown.length)
    throw new Error(`no implementation "${unknown[0]}"; there are ${[...implementations.keys()].join(", ")}`);
  // The baseline always runs: every ratio is to it.
  const chosen = [...implementations].filter(
    ([name]) => name === baseline || impls.length === 0 || impls.includes(name),
  );
  for (const caseName of cases) await compare(context, "update", caseName, chosen, baseline);
};
