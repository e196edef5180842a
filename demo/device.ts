/** A GPU device for the page, or the reason why there is none, in words for whoever opened it. */

export interface PageDevice {
  device: GPUDevice;
  /** What the device is called. */
  name: string;
}

/** @throws Error whose message is to be shown */
export async function findAdapter(): Promise<GPUAdapter> {
  if (!isSecureContext) {
    throw new Error(
      `WebGPU needs a secure context, and ${location.origin} is none.\nOpen this page over https, or on this computer under http://localhost.`,
    );
  }
  if (!navigator.gpu) {
    throw new Error(
      "This browser has no WebGPU.\nIt is in Chrome and Edge from 113 on, on Android from 121, in Safari from 26, in Firefox from 141 on Windows and 145 on Apple silicon.",
    );
  }
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new Error(
      "This browser has WebGPU, but found no GPU that it trusts.\nLook at chrome://gpu. On Linux start Chrome with --enable-unsafe-webgpu --enable-features=Vulkan.",
    );
  }
  return adapter;
}

/** @throws as {@link findAdapter} */
export async function openDevice(): Promise<PageDevice> {
  const adapter = await findAdapter();
  const device = await adapter.requestDevice({ label: "demo" });
  const { description, vendor, architecture } = adapter.info;
  const name = description || [vendor, architecture].filter(Boolean).join(" ") || "an unnamed GPU";
  return { device, name: adapter.info.isFallbackAdapter ? `${name}, in software` : name };
}
