/** Parameters and gradients in 16 bits. */
import grads from "../../shaders/grads/half.wgsl?raw";
import half from "../../shaders/lib/half.wgsl?raw";
import params from "../../shaders/params/half.wgsl?raw";
import type { ElementType, Storage } from "./storage.ts";

/** `storage`, which takes four elements at a time, with parameters and gradients of these types. */
export function withTypes(storage: Storage, param: ElementType, grad: ElementType): Storage {
  return {
    ...storage,
    name: `${storage.name} ${param} ${grad}`,
    files: {
      ...storage.files,
      ...(param !== "f32" && { params: { path: "params/half.wgsl", text: params } }),
      ...(grad !== "f32" && { grads: { path: "grads/half.wgsl", text: grads } }),
      "lib/half": { path: "lib/half.wgsl", text: half },
    },
    constants: {
      ...(param !== "f32" && { params: { PARAMS_F16: Number(param === "f16") } }),
      ...(grad !== "f32" && { grads: { GRADS_F16: Number(grad === "f16") } }),
    },
  };
}
