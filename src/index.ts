/** webgpu-optim: `torch.optim` for WebGPU. */

export { createOptimizer, type Tuning } from "./engine/create-optimizer.ts";
export type { DecayMode } from "./engine/decay.ts";
export type { Figures, GroupFigures, NormFigures } from "./engine/figures.ts";
export {
  type CautiousUpdate,
  decayGroups,
  type GroupOptions,
  type GroupSpec,
  type Match,
  type RuleSpec,
  type TensorInfo,
} from "./engine/groups.ts";
export { createLossScaler, type LossScaleOptions, LossScaler, type LossScaleState } from "./engine/loss-scaler.ts";
export type { Optimizer, TensorHandle } from "./engine/optimizer.ts";
export type {
  ArenaParam,
  AttachedParam,
  AverageOptions,
  BufferSlice,
  ClipOptions,
  LookaheadOptions,
  OptimizerOptions,
  ParamSpec,
  StorageOptions,
} from "./engine/options.ts";
export { type Plateau, type PlateauOptions, type PlateauState, reduceOnPlateau } from "./engine/plateau.ts";
export type { Preset, PresetOptions } from "./engine/presets.ts";
export * as presets from "./engine/presets.ts";
export {
  type Carry,
  defineRule,
  type HyperOptions,
  type HyperValue,
  type Recursion,
  type Rule,
  type RuleDefinition,
  type StateFormat,
} from "./engine/rule.ts";
export * from "./engine/rules.ts";
export {
  constant,
  cosine,
  cosineAnnealing,
  exponential,
  inverseSqrt,
  linear,
  multiStep,
  noam,
  polynomial,
  type Schedule,
  stepDecay,
  type WsdOptions,
  wsd,
} from "./engine/schedules.ts";
export { chained, delay, lambda, multiplicative, sequential, warmup } from "./engine/schedules-compose.ts";
export {
  type CyclicShape,
  cyclic,
  cyclicMomentum,
  type OneCycleShape,
  oneCycle,
  oneCycleMomentum,
  warmRestarts,
} from "./engine/schedules-cyclic.ts";
export type { GroupState, StateDict, TensorState } from "./engine/state.ts";
export { DeviceError, LifecycleError, OptimError, OptionError, ShaderError, StateDictError } from "./errors.ts";
export type { ElementType } from "./host/number-format.ts";
