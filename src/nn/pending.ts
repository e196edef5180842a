// Temporary.
import type { Operation } from "./dispatch.ts";
export type Activation = "relu" | "leakyRelu" | "gelu" | "geluTanh" | "silu" | "tanh" | "sigmoid";
// biome-ignore lint: temporary
const no = (): Promise<Operation<any>> => Promise.reject(new Error("not yet"));
// biome-ignore lint: temporary
type F = (d: GPUDevice, l: string, s: any, o: any) => Promise<Operation<any>>;
export const add: F = no,
  addTo: F = no,
  copyFeatures: F = no,
  activationForward: F = no,
  activationBackward: F = no;
