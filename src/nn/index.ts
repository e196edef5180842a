/** `webgpu-optim/nn`: small networks trained wholly on the GPU. */

export type { BatchRecord } from "./batch.ts";
export { checkGradients, type GradientCheck, type GradientCheckOptions, type Reference } from "./check-gradients.ts";
export { type CompileOptions, compile, type OptimizerChoice, type TensorSource } from "./compile.ts";
export { type Dispatch, encodeDispatches, Operation } from "./dispatch.ts";
export { graph, residual, sequential } from "./graph.ts";
export {
  constant,
  type Initializer,
  type KaimingOptions,
  kaimingNormal,
  kaimingUniform,
  type Nonlinearity,
  normal,
  ones,
  uniform,
  xavierNormal,
  xavierUniform,
  zeros,
} from "./init.ts";
export type { Steps } from "./kernels/steps.ts";
export type { BackwardSite, BufferDef, Inferred, Layer, ParamDef, Place, Site } from "./layer.ts";
export { Region } from "./layer.ts";
export { gelu, leakyRelu, relu, sigmoid, silu, tanh } from "./layers/activations.ts";
export { type BatchNormOptions, batchNorm, type NormOptions } from "./layers/batch-norm.ts";
export { type ConvTranspose2dOptions, convTranspose2d } from "./layers/conv-transpose2d.ts";
export { type Conv2dOptions, conv2d } from "./layers/conv2d.ts";
export type { InitOptions, LayerOptions, Pair } from "./layers/define.ts";
export { dropout } from "./layers/dropout.ts";
export { embedding, positionalEmbedding } from "./layers/embedding.ts";
export { type LinearOptions, linear } from "./layers/linear.ts";
export { add, concat } from "./layers/merge.ts";
export { avgPool2d, globalAvgPool2d, maxPool2d, type PoolOptions } from "./layers/pool2d.ts";
export { groupNorm, type LayerNormOptions, layerNorm, rmsNorm } from "./layers/segment-norm.ts";
export { flatten, reshape } from "./layers/shape.ts";
export { softmax } from "./layers/softmax.ts";
export type { Loss, LossSite, TargetKind } from "./loss.ts";
export { bceWithLogits, type CrossEntropyOptions, crossEntropy, huber, l1, mse } from "./losses.ts";
export { Model, type ModelTensor } from "./model.ts";
export { type BatchChoice, Plan, type PlanList } from "./plan.ts";
export { type Random, randomStream, shuffled } from "./random.ts";
export type { Shape } from "./shape.ts";
export type { AugmentOptions } from "./trainer/augment.ts";
export type { FitCheckpoint } from "./trainer/checkpoint.ts";
export { readFitCheckpoint, writeFitCheckpoint } from "./trainer/checkpoint-file.ts";
export type { DataSet, DataSource } from "./trainer/data.ts";
export type { EarlyStoppingOptions } from "./trainer/early-stopping.ts";
export type { EpochSummary, FitEvent, FitResult, StepRecord, StopReason } from "./trainer/events.ts";
export { fit } from "./trainer/fit.ts";
export type { FitOptions, FitSchedule, FitSubject } from "./trainer/options.ts";
export type { Evaluation } from "./trainer/sums.ts";
export type { Training } from "./trainer/training.ts";
export { type Part, Value } from "./value.ts";
export { type WgslBinding, type WgslKernel, wgslKernel } from "./wgsl-kernel.ts";
