/** What a test asks of its device: the descriptor of requestDevice(), and two wishes of its own. */
export interface TestDeviceOptions extends GPUDeviceDescriptor {
  /** Of the adapter. "compatibility" gives the lowest limits: 128 invocations, 16 KiB uniforms. Default "core". */
  featureLevel?: "core" | "compatibility";
  /** Not the cached device but one of the test's own, for losing it or counting its memory; destroyed after the test. */
  fresh?: boolean;
}

const cached = new Map<string, Promise<GPUDevice>>();
const fresh = new Set<GPUDevice>();
const alive = new Set<GPUDevice>();
const errors: string[] = [];

/**
 * A device whose errors fail the running test unless an error scope catches them: test/setup-gpu.ts looks after each test.
 * Equal options get the same device, through all test files.
 */
export function testDevice(options: TestDeviceOptions = {}): Promise<GPUDevice> {
  if (options.fresh) {
    return openDevice(options).then((device) => {
      fresh.add(device);
      return device;
    });
  }
  const key = JSON.stringify(options, (_, value: unknown) => (isIterable(value) ? [...value] : value));
  const device = cached.get(key) ?? openDevice(options, () => cached.delete(key));
  cached.set(key, device);
  return device;
}

/** Waits until the GPU has done what was submitted and returns the errors that reached no error scope since last time. */
export async function takeGpuErrors(): Promise<string[]> {
  // An error travels the same way as the answer to this question, ahead of it. It is rejected when a device is lost.
  await Promise.allSettled([...alive].map((device) => device.queue.onSubmittedWorkDone()));
  // Its event is dispatched in a task of its own.
  await new Promise((resolve) => setTimeout(resolve));
  return errors.splice(0);
}

/** Destroys the devices that the test asked for as `fresh`. */
export function destroyFreshDevices(): void {
  for (const device of fresh) device.destroy();
  fresh.clear();
}

async function openDevice(options: TestDeviceOptions, onLost?: () => void): Promise<GPUDevice> {
  const { featureLevel = "core", fresh: _, ...descriptor } = options;
  if (!navigator.gpu) throw new Error("this browser has no WebGPU (or the page is not a secure context)");
  const adapter = await navigator.gpu.requestAdapter({ featureLevel });
  if (!adapter) throw new Error("this browser has no WebGPU adapter; see the switches in test/browser/launch.ts");
  const device = await adapter.requestDevice(descriptor);
  watchDevice(device, onLost);
  return device;
}

/** Makes the errors of a device that a library has opened fail the running test too. Once per device. */
export function watchDevice(device: GPUDevice, onLost?: () => void): void {
  alive.add(device);
  device.addEventListener("uncapturederror", ({ error }) => {
    errors.push(`${error.constructor.name} on device "${device.label}": ${error.message}`);
  });
  device.lost.then(({ reason, message }) => {
    alive.delete(device);
    onLost?.();
    if (reason !== "destroyed") errors.push(`device "${device.label}" was lost (${reason}): ${message}`);
  });
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}
