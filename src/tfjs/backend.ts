/**
 * TensorFlow.js's WebGPU backend, as far as the adapter needs it, and how its buffers are written in place. TF.js takes tensors for
 * immutable: it shares their memory, keeps their values on the CPU, and holds work back. Each of these is dealt with here.
 */
import { engine, getBackend, ready, type Tensor, type Variable } from "@tensorflow/tfjs-core";
import { OptionError } from "../errors.ts";

/** What the backend keeps of a tensor. */
interface TensorData {
  /** A buffer, once the tensor is on the GPU. */
  readonly resource?: GPUBuffer | null;
  /** Values on the CPU: before the upload, and after a read. */
  values: unknown;
  /** The buffer is the user's: `tf.tensor({ buffer, zeroCopy: true })`. */
  readonly external?: boolean;
}

/** `WebGPUBackend` of `@tensorflow/tfjs-backend-webgpu` 4.22. */
export interface Backend {
  readonly device: GPUDevice;
  readonly tensorMap: { get(dataId: object): TensorData };
  /** Holds up to 15 dispatches that have not been submitted. Private in TF.js's types, and there in every build of it. */
  readonly commandEncoder: GPUCommandEncoder | null;
  refCount(dataId: object): number;
  uploadToGPU(dataId: object): void;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

const METHODS = [
  "refCount",
  "uploadToGPU",
  "ensureCommandEncoderReady",
  "endComputePassEncoder",
  "submitQueue",
] as const;

/** The current backend, when TF.js has one. @throws {OptionError} if it is not the one of WebGPU. */
export async function openBackend(where: string): Promise<Backend> {
  // Without any backend this rejects, and says less than the check below.
  await ready().catch(() => {});
  const backend = getBackend() ? (engine().backend as unknown as Partial<Backend>) : undefined;
  const fits =
    typeof backend?.device?.createComputePipelineAsync === "function" &&
    typeof backend.tensorMap?.get === "function" &&
    METHODS.every((method) => typeof backend[method] === "function");
  if (!fits) throw wrongBackend(where);
  return backend as Backend;
}

/** Refuses to go on where another backend has been set since. @throws {OptionError} */
export function checkBackend(where: string, backend: Backend): void {
  if ((engine().backend as unknown) !== backend) throw wrongBackend(where, "the WebGPU backend it was made on");
}

function wrongBackend(where: string, which = "TensorFlow.js's WebGPU backend"): OptionError {
  const how = 'import "@tensorflow/tfjs-backend-webgpu" and await tf.setBackend("webgpu")';
  return new OptionError(where, "backend", `must be ${which} (${how})`, getBackend());
}

/** The buffer of a tensor that is only read. A tensor that is still on the CPU is uploaded. */
export function bufferOf(backend: Backend, tensor: Tensor): GPUBuffer {
  backend.uploadToGPU(tensor.dataId);
  return backend.tensorMap.get(tensor.dataId).resource as GPUBuffer;
}

/** The buffer of a variable, which may be written: what shares it keeps its values in a copy of its own. */
export function ownBufferOf(backend: Backend, variable: Variable): GPUBuffer {
  backend.uploadToGPU(variable.dataId);
  const { external } = backend.tensorMap.get(variable.dataId);
  if (external || backend.refCount(variable.dataId) > 1) {
    // TF.js's own copy on the GPU, bit for bit. The variable moves there; whoever shared its memory stays.
    const { tensorRef } = variable.dataToGPU();
    variable.assign(tensorRef as Tensor<typeof variable.rankType>);
    tensorRef.dispose();
  }
  const data = backend.tensorMap.get(variable.dataId);
  neverOnCpu(data);
  return data.resource as GPUBuffer;
}

/**
 * Keeps TF.js from remembering the values of a variable: they would be those of some earlier step. A read that is under way when
 * the optimizer steps ends after it, so forgetting them at each step is not enough.
 */
function neverOnCpu(data: TensorData): void {
  if (Object.getOwnPropertyDescriptor(data, "values")?.get) return;
  Object.defineProperty(data, "values", { get: () => null, set: () => {}, enumerable: true, configurable: true });
}

/** TF.js's open encoder, outside of any pass; what it holds runs before what is added. */
export function openEncoder(backend: Backend): GPUCommandEncoder {
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  return backend.commandEncoder as GPUCommandEncoder;
}

/** Submits what TF.js holds back. */
export function submitHeldBack(backend: Backend): void {
  openEncoder(backend);
  backend.submitQueue();
}
