/**
 * One step on the GPU, in order: measure, control, update, summarize. Reading `encode` from top to bottom is the data flow.
 * Everything is made beforehand; a step only sets pipelines and bind groups.
 */
import { DeviceError } from "../errors.ts";
import type { Variant } from "../kernels/stage.ts";
import { Bindings } from "./bindings.ts";
import type { Memory, Tensor, Window } from "./memory.ts";
import type { NewtonSchulz } from "./newton-schulz.ts";
import type { PassTimer } from "./pass-timer.ts";
import { Stages, serves } from "./stages.ts";
import { HEADER_STRIDE, StepBuffers } from "./step-buffers.ts";
import type { RuleKernels, StepOptions } from "./step-options.ts";

/** What one call of `encode` does. */
export interface StepPlan {
  readonly slot: number;
  readonly figures: boolean;
  readonly accumulate: "no" | "first" | "more";
  /** False for a micro-batch that is only summed. */
  readonly update: boolean;
}

/** Encodes steps. */
export class StepEncoder {
  readonly #device: GPUDevice;
  readonly #memory: Memory;
  readonly #options: StepOptions;
  readonly buffers: StepBuffers;
  readonly #stages: Stages;
  readonly #bindings: Bindings;
  readonly #newtonSchulz = new Map<Window, NewtonSchulz>();

  /** Makes the buffers; pipelines come with {@link compile}. */
  constructor(device: GPUDevice, memory: Memory, options: StepOptions) {
    this.#device = device;
    this.#memory = memory;
    this.#options = options;
    this.buffers = new StepBuffers(device, memory, options);
    this.#stages = new Stages(device, options);
    this.#bindings = new Bindings(device, options.label, memory, this.buffers);
  }

  /**
   * Compiles what `windows` with these tensors need and is not compiled yet.
   *
   * @throws {ShaderError} if the device refuses a kernel. @throws {DeviceError} if a matrix does not fit into a binding.
   */
  async compile(
    windows: readonly Window[] = this.#memory.windows,
    tensors: readonly Tensor[] = this.#memory.tensors,
  ): Promise<void> {
    await this.#stages.compile(windows);
    await this.#compileMatrices(windows, tensors);
  }

  /** Makes the orthogonalization of what lies in these windows. */
  async #compileMatrices(windows: readonly Window[], tensors: readonly Tensor[]): Promise<void> {
    const { rules, label, limits, workgroup } = this.#options;
    for (const window of windows) {
      const { orthogonalizes } = rules[window.rule] as RuleKernels;
      const inside = tensors.flatMap((t) =>
        t.pieces.flatMap((p) => (p.window === window ? [{ tensor: t, ...p }] : [])),
      );
      if (!orthogonalizes || inside.length === 0) continue;
      const { createNewtonSchulz } = await import("./newton-schulz.ts");
      const { slot, matrices } = orthogonalizes;
      const made = await createNewtonSchulz(this.#device, {
        label,
        limits,
        workgroup: Math.max(4, workgroup),
        buffer: window.state.buffer,
        range: window.state,
        matrices: inside.map(({ tensor, at }) => {
          if (tensor.pieces.length > 1)
            throw new DeviceError(`${label}: ${tensor.name} is too large for a binding of this device`);
          return { ...matrices(tensor), offset: slot * window.stride + at };
        }),
      });
      this.#newtonSchulz.set(window, made);
    }
  }

  get timer(): PassTimer | undefined {
    return this.#options.timer;
  }

  /** Forgets what was made for windows that do not join after all. */
  drop(windows: readonly Window[]): void {
    for (const window of windows) {
      this.#newtonSchulz.get(window)?.destroy();
      this.#newtonSchulz.delete(window);
    }
  }

  /** Records one step. */
  encode(encoder: GPUCommandEncoder, { slot, figures, accumulate, update }: StepPlan): void {
    const { label, measure, rules, timer } = this.#options;
    const timed = figures ? timer : undefined;
    this.buffers.encodeTensors(encoder);
    const pass = encoder.beginComputePass({ label: `${label} step`, ...(timed && { timestampWrites: timed.writes }) });
    if (accumulate !== "no") this.#overWindows(pass, slot, accumulate === "first" ? "accumulate first" : "accumulate");
    if (update) {
      if (measure) {
        this.#overWindows(pass, slot, "measure");
        this.#once(pass, slot, "control");
      }
      this.#overWindows(pass, slot, "clip units");
      this.#overWindows(pass, slot, "factor");
      this.#overWindows(pass, slot, "prepare", (rule) => !rules[rule]?.estimates);
      this.#once(pass, slot, "settle");
      for (const window of this.#memory.windows) this.#newtonSchulz.get(window)?.encode(pass);
      this.#overWindows(pass, slot, figures ? "update figures" : "update");
      if (figures) this.#once(pass, slot, "summarize");
    }
    pass.end();
    timed?.resolve(encoder, this.buffers.figures);
  }

  /** Records what rules do beside steps: an estimate from the gradients as they are now, or the parameters to evaluate. */
  encodeBeside(encoder: GPUCommandEncoder, slot: number, what: "estimate" | "evaluate"): void {
    const { label, rules } = this.#options;
    this.buffers.encodeTensors(encoder);
    const pass = encoder.beginComputePass({ label: `${label} ${what}` });
    if (what === "estimate") this.#overWindows(pass, slot, "prepare", (rule) => rules[rule]?.estimates === true);
    else this.#overWindows(pass, slot, what);
    pass.end();
  }

  /** Records what makes slots that begin with the parameters. */
  encodeBegin(encoder: GPUCommandEncoder, windows: readonly Window[]): void {
    const pass = encoder.beginComputePass({ label: `${this.#options.label} begin` });
    this.#overWindows(pass, 0, "begin", () => true, windows);
    pass.end();
  }

  /**
   * Binds and submits everything once, without a dispatch: a buffer that is destroyed or of another device is found now, and the
   * first step finds its bind groups made. To be called within an error scope.
   *
   * @param windows may be some that are still to be added.
   */
  rehearse(windows: readonly Window[] = this.#memory.windows): void {
    const { label } = this.#options;
    const encoder = this.#device.createCommandEncoder({ label: `${label} rehearse` });
    const pass = encoder.beginComputePass({ label: `${label} rehearse` });
    for (const stage of this.#stages.all) {
      pass.setPipeline(stage.pipeline);
      if (!stage.storage) pass.setBindGroup(0, this.#bindings.shared(stage), [0]);
      const bindingsOf = this.#bindings.over(stage);
      for (const window of windows) if (serves(stage, window)) pass.setBindGroup(0, bindingsOf(window), [0]);
    }
    pass.end();
    this.#device.queue.submit([encoder.finish()]);
  }

  #overWindows(
    pass: GPUComputePassEncoder,
    slot: number,
    variant: Variant,
    concerns: (rule: number) => boolean = () => true,
    windows: readonly Window[] = this.#memory.windows,
  ): void {
    const most = this.#options.limits.maxComputeWorkgroupsPerDimension;
    const offsets = [slot * HEADER_STRIDE];
    for (const stage of this.#stages.of(variant)) {
      if (!concerns(stage.rule ?? 0)) continue;
      pass.setPipeline(stage.pipeline);
      const bindingsOf = this.#bindings.over(stage);
      for (const window of windows) {
        if (!serves(stage, window)) continue;
        pass.setBindGroup(0, bindingsOf(window), offsets);
        pass.dispatchWorkgroups(Math.min(window.chunkEnd - window.chunkBegin, most));
      }
    }
  }

  #once(pass: GPUComputePassEncoder, slot: number, variant: Variant): void {
    for (const stage of this.#stages.of(variant)) {
      pass.setPipeline(stage.pipeline);
      pass.setBindGroup(0, this.#bindings.shared(stage), [slot * HEADER_STRIDE]);
      pass.dispatchWorkgroups(1);
    }
  }

  /** Frees what this has made. */
  destroy(): void {
    this.drop([...this.#newtonSchulz.keys()]);
    this.buffers.destroy();
    this.#options.timer?.destroy();
  }
}
