/** The device limits that shape buffers and dispatches; tests inject smaller ones to reach rare paths cheaply. */
import { DeviceError } from "../errors.ts";

export interface Limits {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxComputeWorkgroupsPerDimension: number;
}

/** Limits of `device`, lowered by `injected`. */
export function resolveLimits(device: GPUDevice, injected: Partial<Limits> = {}): Limits {
  const {
    maxBufferSize,
    maxStorageBufferBindingSize,
    maxComputeWorkgroupsPerDimension,
    maxStorageBuffersPerShaderStage,
  } = device.limits;
  if (maxStorageBuffersPerShaderStage < 8) {
    throw new DeviceError(
      `createOptimizer: the update kernel binds 8 storage buffers, the device allows ${maxStorageBuffersPerShaderStage}`,
    );
  }
  return {
    maxBufferSize: Math.min(maxBufferSize, injected.maxBufferSize ?? Infinity),
    maxStorageBufferBindingSize: Math.min(
      maxStorageBufferBindingSize,
      injected.maxStorageBufferBindingSize ?? Infinity,
    ),
    maxComputeWorkgroupsPerDimension: Math.min(
      maxComputeWorkgroupsPerDimension,
      injected.maxComputeWorkgroupsPerDimension ?? Infinity,
    ),
  };
}
