/**
 * State slots that belong to no rule: anchors (values that decay pulls toward instead of zero), slow weights, averages. Loaded only
 * where there are any.
 */
import { OptionError } from "../errors.ts";
import { rangeOf, slotPieces, type Tensor } from "../host/memory.ts";
import type { Group } from "./groups.ts";
import { extraSlot, type Overrides } from "./overrides.ts";

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
 * Puts what they begin with into the slots that belong to no rule: anchors are the parameters as they are now, or the values
 * given; slow weights and averages the parameters.
 */
export function fillExtraSlots(
  device: GPUDevice,
  label: string,
  rules: readonly { readonly overrides: Overrides }[],
  groups: readonly Group[],
  tensors: readonly Tensor[],
): void {
  const encoder = device.createCommandEncoder({ label: `${label} anchors` });
  for (const tensor of tensors) {
    const { overrides } = rules[tensor.rule] as { overrides: Overrides };
    const toward = groups[tensor.group]?.toward;
    for (const name of overrides.extraSlots) {
      if (name === "anchor" && toward === undefined) continue;
      const values = name === "anchor" && typeof toward === "object" ? toward[tensor.name] : undefined;
      for (const piece of slotPieces(tensor, extraSlot(overrides, name) as number)) {
        const { from, count } = piece;
        const { buffer, offset, size } = rangeOf(piece);
        if (values) device.queue.writeBuffer(buffer, offset, values as Float32Array<ArrayBuffer>, from, count);
        else encoder.copyBufferToBuffer(tensor.param.buffer, tensor.param.offset + from * 4, buffer, offset, size);
      }
    }
  }
  device.queue.submit([encoder.finish()]);
}
