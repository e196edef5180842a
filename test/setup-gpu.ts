import { afterEach, expect } from "vitest";
import { destroyFreshDevices, takeGpuErrors } from "./browser/device.ts";

afterEach(async () => {
  const errors = await takeGpuErrors();
  destroyFreshDevices();
  expect(errors, "WebGPU errors that reached no error scope").toEqual([]);
});
