/** webgpu-optim/checkpoint: checkpoint files, and the way to and from PyTorch. */

export type { StateDict, TensorState } from "../engine/state.ts";
export { CheckpointError } from "../errors.ts";
export { type Checkpoint, type ReadOptions, readCheckpoint, type WriteOptions, writeCheckpoint } from "./checkpoint.ts";
export {
  type Dtype,
  readSafetensors,
  type SafeTensor,
  type SafetensorsFile,
  writeSafetensors,
} from "./safetensors.ts";
export {
  type FromTorchOptions,
  fromTorch,
  fromTorchGroup,
  type TorchGroup,
  type TorchOptimizer,
  type TorchStateDict,
  type TorchTensor,
  type TorchValue,
  toTorch,
} from "./torch.ts";
export { fromFloats, toFloats } from "./values.ts";
