/** Running what makes or binds buffers, so that what the device refuses is an error here and not an event somewhere. */
import { DeviceError } from "../errors.ts";

/**
 * Runs `make` within error scopes. What it does after it first waits is not watched.
 *
 * @throws {DeviceError} if the device refused something, has no memory for it, or is lost.
 */
export async function inScopes<T>(device: GPUDevice, where: string, make: () => T): Promise<T> {
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  const making = new Promise<T>((resolve) => resolve(make()));
  const scopes = [device.popErrorScope(), device.popErrorScope()] as const;
  // All are awaited in any case, so that none rejects unheard.
  const [made, invalid, memory] = await Promise.allSettled([making, ...scopes]);
  if (made.status === "rejected") {
    if (!(made.reason instanceof RangeError)) throw made.reason;
    throw new DeviceError(`${where}: out of memory: ${made.reason.message}`, { cause: made.reason });
  }
  // A device that is gone reports nothing, and seems to take everything.
  const lost = await Promise.race([device.lost, undefined]);
  if (lost || invalid.status === "rejected" || memory.status === "rejected")
    throw new DeviceError(`${where}: the device is lost: ${lost?.message || lost?.reason || "it reports no errors"}`);
  if (memory.value) throw new DeviceError(`${where}: out of memory: ${memory.value.message}`);
  if (invalid.value) {
    throw new DeviceError(
      `${where}: the device refused a buffer (destroyed, of another device, or too large): ${invalid.value.message}`,
    );
  }
  return made.value;
}
