/**
 * State slots that belong to no rule: masters of 16-bit parameters, anchors (values that decay pulls toward instead of zero), slow
 * weights, averages. Loaded only where there are any.
 */
import { OptionError } from "../errors.ts";
import type { Tensor, TensorSpec, Window } from "../host/memory.ts";
import { writeSlot } from "../host/state-layout.ts";
import type { Group } from "./groups.ts";
import type { OptimizerParts, RulePart } from "./optimizer.ts";
import { extraSlot } from "./overrides.ts";

/** Values given to `toward` must be there and fit. @throws {OptionError} */
export function checkAnchors(
  where: string,
  groups: readonly Group[],
  tensors: readonly { name: string; size: number; group: number }[],
): void {
  for (const { name, size, group } of tensors) {
    const toward = groups[group]?.toward;
    if (typeof toward !== "object") continue;
    const values = Object.hasOwn(toward, name) ? toward[name] : undefined;
    if (!(values instanceof Float32Array) || values.length !== size)
      throw new OptionError(where, `toward: ${name}`, `must be a Float32Array of ${size} elements`, values);
  }
}

/**
 * Puts into the slots that belong to no rule what they begin with: the parameters as they are now, or the values given for anchors. In
 * float32, where these are known, also where the parameters themselves have 16 bits.
 *
 * @param specs what the tensors, which lie in `windows`, were made from.
 */
export function fillExtraSlots(
  { device, step, rules, groups, settled }: Pick<OptimizerParts, "device" | "step" | "rules" | "groups" | "settled">,
  windows: readonly Window[],
  tensors: readonly Tensor[],
  specs: readonly TensorSpec[],
): void {
  const encoder = device.createCommandEncoder({ label: `${settled.label} begin` });
  step.encodeBegin(encoder, windows);
  device.queue.submit([encoder.finish()]);
  const dataOf = new Map(settled.master ? specs.map(({ name, data }) => [name, data] as const) : []);
  for (const tensor of tensors) {
    const { overrides } = rules[tensor.rule] as RulePart;
    const toward = groups[tensor.group]?.toward;
    for (const name of overrides.extraSlots) {
      const anchor = name === "anchor" && typeof toward === "object" ? toward[tensor.name] : undefined;
      const values = anchor ?? dataOf.get(tensor.name);
      const slot = extraSlot(overrides, name) as number;
      if (values && (overrides.begins.slots >> slot) & 1) writeSlot(device.queue, tensor, slot, values);
    }
  }
}
