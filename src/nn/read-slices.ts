/** Reading back, outside of steps. */
import type { BufferSlice } from "../engine/options.ts";
import { readRanges } from "../host/read-ranges.ts";

/**
 * The bytes of these ranges, of what has been submitted so far.
 *
 * @throws {DeviceError} if a buffer cannot be read. @throws {LifecycleError} if the device is lost meanwhile.
 */
export function readSlices(device: GPUDevice, slices: readonly BufferSlice[]): Promise<ArrayBuffer[]> {
  const ranges = slices.map(({ buffer, offset = 0, size = buffer.size - offset }) => ({ buffer, offset, size }));
  return readRanges(device, "nn", ranges);
}
