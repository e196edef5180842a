/** Anchors: values that decay pulls toward instead of zero. Loaded only where a group has `toward`. */
import { OptionError } from "../errors.ts";
import { slotRanges, type Tensor } from "../host/memory.ts";
import type { Group } from "./groups.ts";

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

/** Puts the anchors of tensors into their slot: the parameters as they are now, or the values given. */
export function writeAnchors(
  device: GPUDevice,
  label: string,
  groups: readonly Group[],
  tensors: readonly Tensor[],
  slot: number,
): void {
  const encoder = device.createCommandEncoder({ label: `${label} anchors` });
  for (const tensor of tensors) {
    const toward = groups[tensor.group]?.toward;
    for (const { buffer, offset, size, from, count } of toward === undefined ? [] : slotRanges(tensor, slot)) {
      if (toward === "initial")
        encoder.copyBufferToBuffer(tensor.param.buffer, tensor.param.offset + from * 4, buffer, offset, size);
      else if (toward)
        device.queue.writeBuffer(buffer, offset, toward[tensor.name] as Float32Array<ArrayBuffer>, from, count);
    }
  }
  device.queue.submit([encoder.finish()]);
}
