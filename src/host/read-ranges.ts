/** Reads what lies on the device, once, for whoever waits for it. */
import { DeviceError, LifecycleError } from "../errors.ts";
import type { BufferRange } from "./memory.ts";

const MAP_READ = 0x1;
const COPY_DST = 0x8;

/**
 * Reads ranges of buffers, for state dicts and tests; one staging buffer, one submission.
 *
 * @throws {DeviceError} if a buffer cannot be read: a copy that the device refuses would leave zeros, which nobody must get.
 * @throws {LifecycleError} if the device is lost meanwhile.
 */
export async function readRanges(
  device: GPUDevice,
  label: string,
  ranges: readonly BufferRange[],
): Promise<ArrayBuffer[]> {
  const size = ranges.reduce((sum, r) => sum + r.size, 0);
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  const staging = device.createBuffer({ label: `${label} read`, size: Math.max(4, size), usage: MAP_READ | COPY_DST });
  const encoder = device.createCommandEncoder({ label: `${label} read` });
  let at = 0;
  for (const r of ranges) {
    if (r.size > 0) encoder.copyBufferToBuffer(r.buffer, r.offset, staging, at, r.size);
    at += r.size;
  }
  device.queue.submit([encoder.finish()]);
  const mapping = staging.mapAsync(MAP_READ);
  const scopes = [device.popErrorScope(), device.popErrorScope()] as const;
  try {
    const [mapped, ...errors] = await Promise.allSettled([mapping, ...scopes]);
    for (const error of errors) {
      if (error.status === "fulfilled" && error.value)
        throw new DeviceError(
          `${label}: cannot be read (a buffer destroyed or without usage COPY_SRC, or out of memory): ${error.value.message}`,
        );
    }
    if (mapped.status === "rejected")
      throw new LifecycleError(`${label}: the device was lost while it was read`, { cause: mapped.reason });
    const all = staging.getMappedRange();
    at = 0;
    return ranges.map((r) => {
      at += r.size;
      return all.slice(at - r.size, at);
    });
  } finally {
    staging.destroy();
  }
}
