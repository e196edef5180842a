/** Dynamic loss scaling. */
import { LifecycleError, OptionError } from "../errors.ts";
import { compileKernel } from "../host/pipelines.ts";
import { readRanges } from "../host/read-ranges.ts";
import { inScopes } from "../host/scopes.ts";
import { LOSS_SCALE, Words } from "../kernels/layouts.ts";
import { UPDATE_LOSS_SCALE } from "../kernels/loss-scale.ts";
import { checkKeys, checkNumber } from "./checks.ts";

/** Options of dynamic loss scaling; names and defaults as `torch.amp.GradScaler`. */
export interface LossScaleOptions {
  /** First scale; default 65536. */
  initial?: number;
  /** > 1; default 2. */
  growthFactor?: number;
  /** In (0, 1); default 0.5. */
  backoffFactor?: number;
  /** Good steps in a row before the scale grows; default 2000. */
  growthInterval?: number;
}

/** Where a loss scale stands. */
export interface LossScaleState {
  readonly scale: number;
  /** Good steps since the last change. */
  readonly growthTracker: number;
}

const USAGE = 0x80 | 0x4 | 0x8;

/** Buffer of a loss scale: `struct LossScale`, the scale itself first. */
function createScaleBuffer(device: GPUDevice, label: string, options: LossScaleOptions = {}): GPUBuffer {
  const where = "lossScale";
  checkKeys(where, "", options, ["initial", "growthFactor", "backoffFactor", "growthInterval"]);
  const { initial = 65_536, growthFactor = 2, backoffFactor = 0.5, growthInterval = 2000 } = options;
  checkNumber(where, "initial", initial, { min: 2 ** -126, max: 2 ** 127 });
  checkNumber(where, "growthFactor", growthFactor, { min: 1, max: 2 ** 64 });
  if (growthFactor === 1) throw new OptionError(where, "growthFactor", "must be > 1", growthFactor);
  checkNumber(where, "backoffFactor", backoffFactor, { min: 2 ** -64, max: 1, open: true });
  checkNumber(where, "growthInterval", growthInterval, { min: 1, max: 2 ** 31, whole: true });
  const words = new Words(LOSS_SCALE.length);
  words.write(LOSS_SCALE, 0, {
    scale: initial,
    growth_factor: growthFactor,
    backoff_factor: backoffFactor,
    growth_interval: growthInterval,
  });
  const buffer = device.createBuffer({ label: `${label} loss scale`, size: 32, usage: USAGE });
  device.queue.writeBuffer(buffer, 0, words.u32);
  return buffer;
}

/** The buffer of an optimizer's loss scale: its own, or that of a shared scaler. @throws {OptionError} */
export function openScale(
  device: GPUDevice,
  label: string,
  lossScale: LossScaleOptions | LossScaler | undefined,
): { scale: GPUBuffer; ownsScale: boolean } {
  if (lossScale instanceof LossScaler) return { scale: lossScale.binding.buffer, ownsScale: false };
  return { scale: createScaleBuffer(device, label, lossScale), ownsScale: true };
}

/** Reads a scale; waits for the GPU. */
export async function readScale(device: GPUDevice, label: string, buffer: GPUBuffer): Promise<LossScaleState> {
  const [data] = await readRanges(device, label, [{ buffer, offset: 0, size: LOSS_SCALE.length * 4 }]);
  return decodeScale(data as ArrayBuffer);
}

/** Where a loss scale stands, from its buffer's bytes. */
export function decodeScale(data: ArrayBuffer): LossScaleState {
  const { scale, growth_tracker } = new Words(data).read(LOSS_SCALE, 0);
  return { scale, growthTracker: growth_tracker };
}

/** Sets a scale. */
export function writeScale(device: GPUDevice, buffer: GPUBuffer, state: LossScaleState): void {
  const at = (name: string): number => LOSS_SCALE.findIndex(([field]) => field === name) * 4;
  device.queue.writeBuffer(buffer, at("scale"), new Float32Array([state.scale]));
  device.queue.writeBuffer(buffer, at("growth_tracker"), new Uint32Array([state.growthTracker, 0]));
}

/**
 * A loss scale shared by several optimizers, as one `torch.amp.GradScaler` for several. Each optimizer skips by its own
 * gradients; call {@link update} after all have stepped.
 */
export class LossScaler {
  /** The scale as a float32 at offset 0: multiply the loss by it in your own kernels. */
  readonly binding: { readonly buffer: GPUBuffer; readonly offset: number; readonly size: number };
  readonly #device: GPUDevice;
  readonly #pipeline: GPUComputePipeline;
  readonly #bindings: GPUBindGroup;
  #destroyed = false;

  /** Use {@link createLossScaler}. */
  constructor(device: GPUDevice, buffer: GPUBuffer, pipeline: GPUComputePipeline, bindings: GPUBindGroup) {
    this.#device = device;
    this.#pipeline = pipeline;
    this.#bindings = bindings;
    this.binding = { buffer, offset: 0, size: 4 };
  }

  /**
   * Ends a step: backs off if any optimizer met a non-finite gradient since the last update, else counts towards growth.
   *
   * @throws {LifecycleError} if the scaler is destroyed.
   */
  update(encoder?: GPUCommandEncoder): void {
    this.#alive("update");
    if (encoder !== undefined && typeof encoder?.beginComputePass !== "function")
      throw new OptionError("LossScaler.update", "encoder", "must be a GPUCommandEncoder", encoder);
    const own = encoder ?? this.#device.createCommandEncoder({ label: "loss scale" });
    const pass = own.beginComputePass({ label: "loss scale" });
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(0, this.#bindings);
    pass.dispatchWorkgroups(1);
    pass.end();
    if (!encoder) this.#device.queue.submit([own.finish()]);
  }

  /** Scale and growth tracker; waits for the GPU. @throws {LifecycleError} if the scaler is destroyed. */
  async read(): Promise<LossScaleState> {
    this.#alive("read");
    return readScale(this.#device, "loss scale", this.binding.buffer);
  }

  /** Frees the scale. */
  destroy(): void {
    this.#destroyed = true;
    this.binding.buffer.destroy();
  }

  #alive(where: string): void {
    if (this.#destroyed) throw new LifecycleError(`LossScaler.${where}: the scaler is destroyed`);
  }
}

/**
 * A loss scale for several optimizers: give it to each as `lossScale`.
 *
 * @throws {OptionError} for a bad option. @throws {DeviceError} {@link ShaderError} if the device refuses it, or is lost.
 */
export async function createLossScaler(device: GPUDevice, options: LossScaleOptions = {}): Promise<LossScaler> {
  const where = "createLossScaler";
  if (typeof device?.createComputePipelineAsync !== "function")
    throw new OptionError(where, "device", "must be a GPUDevice", device);
  const made: GPUBuffer[] = [];
  try {
    const buffer = await inScopes(device, where, () => {
      made.push(createScaleBuffer(device, "shared", options));
      return made[0] as GPUBuffer;
    });
    const { pipeline, layout } = await compileKernel(device, "update loss scale", UPDATE_LOSS_SCALE, {}, {});
    const bindings = device.createBindGroup({
      label: "loss scale",
      layout,
      entries: [{ binding: 0, resource: { buffer } }],
    });
    return new LossScaler(device, buffer, pipeline, bindings);
  } catch (error) {
    for (const buffer of made) buffer.destroy();
    throw error;
  }
}
