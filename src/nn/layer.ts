/**
 * What a layer is: a value that knows the shape of its output, its tensors, and how to record its kernels. The layers of this
 * library and those of its users are made the same way; docs/training-kit.md shows one.
 */
import type { BufferSlice } from "../engine/options.ts";
import { quadsOf } from "./activation.ts";
import type { Operation } from "./dispatch.ts";
import type { Initializer } from "./init.ts";
import type { Steps } from "./kernels/steps.ts";
import type { ByteInput } from "./linear.ts";
import { type Shape, sizeOf } from "./shape.ts";

/** GPU memory that a plan gives a place to: known by identity until then. Its contents do not outlive a step. */
export class Region {
  readonly label: string;
  readonly bytes: number;

  constructor(label: string, bytes: number) {
    this.label = label;
    this.bytes = bytes;
  }
}

/** Bytes of an activation of this shape in so many rows. */
export function activationBytes(rows: number, shape: Shape): number {
  return rows * quadsOf(sizeOf(shape)) * 16;
}

/** Memory of the plan, or somebody's buffer. */
export type Place = Region | BufferSlice;

/** What can be recorded. */
export type Runnable<Name extends string> = Operation<Name> | Steps<Name>;

/** Makes a kernel for these sizes and options. */
export type MakeRunnable<Size, Options, R extends Runnable<string>> = (
  device: GPUDevice,
  label: string,
  size: Size,
  options: Options,
) => Promise<R>;

/** A parameter of a layer. */
export interface ParamDef {
  readonly shape: Shape;
  readonly init: Initializer;
  /** It is the tensor `name` of this layer: its gradient is the sum over all uses, and it is updated once. */
  readonly tied?: { readonly layer: Layer; readonly name: string } | undefined;
}

/** A tensor that forward writes and nobody differentiates, such as running statistics. */
export interface BufferDef {
  readonly shape: Shape;
  /** What every element begins with. */
  readonly value: number;
}

/** What a layer does with inputs of given shapes. */
export interface Inferred {
  readonly output: Shape;
  readonly params?: Readonly<Record<string, ParamDef>>;
  readonly buffers?: Readonly<Record<string, BufferDef>>;
}

/** What the elements of an activation are. Only the input of a model is anything but floats. */
export type ElementKind = "floats" | "tokens";

/** A layer. It has no state: the same value in two places of a model shares its parameters, as a module of PyTorch does. */
export interface Layer {
  /** `conv2d`, for tables and messages. */
  readonly kind: string;
  /** Its tensors are `prefix1.weight`, `prefix2.weight` and so on, unless it has a name. */
  readonly prefix: string;
  /** Its tensors are `name.weight` and so on. */
  readonly name?: string | undefined;
  /** Inputs that it takes; default 1. */
  readonly arity?: number | "any";
  /** What it reads; default floats. */
  readonly reads?: ElementKind;
  /** Of tokens, how many there are: those from 0 on. */
  readonly vocabulary?: number;
  /** It can read an input of bytes, which {@link Site.bytes} says the meaning of. */
  readonly readsBytes?: boolean;
  /** It changes what features mean, and nothing in memory: no kernel is run. */
  readonly view?: boolean;
  /** Forward can end with ReLU, if {@link Site.relu} says so. */
  readonly endsWithRelu?: boolean;
  /** Backward can begin with the ReLU that forward ended with, if {@link BackwardSite.outputRelu} says so. */
  readonly masksOutput?: boolean;
  /** The gradients of its inputs can be those before the ReLU that made them, if {@link BackwardSite.inputRelu} says so. */
  readonly masksInput?: boolean;
  /**
   * Output shape and tensors.
   *
   * @param where name of the layer, for messages
   * @throws {OptionError} if it cannot take these inputs.
   */
  infer(inputs: readonly Shape[], where: string): Inferred;
  /** Records the kernels from inputs to output; not called for a `view`. */
  forward(site: Site): void;
  /**
   * Records the kernels from {@link BackwardSite.outputGradient} to the gradients of inputs and parameters; not called for a
   * `view`. Absent: the layer cannot be trained through.
   */
  backward?(site: BackwardSite): void;
}

/** A place in a model where a layer stands, in a plan for batches of a fixed capacity. */
export interface Site {
  /** Name of the layer: `conv1`. */
  readonly name: string;
  /** Rows of all activations: the capacity, rounded up to a multiple of 8. Only the first {@link batch}.count rows count. */
  readonly rows: number;
  /** For training; else for evaluation, where nothing is dropped and running statistics are used. */
  readonly training: boolean;
  readonly inputShapes: readonly Shape[];
  readonly outputShape: Shape;
  /** Uniform `struct Batch` of `shaders/nn/lib/batch.wgsl`: first, count, slot. */
  readonly batch: BufferSlice;
  /** Uniform `vec4u`: seed, number of the training step. */
  readonly random: BufferSlice;
  /** A number of this layer's own in the model, for random streams. */
  readonly stream: number;
  /** Forward ends with `max(y, 0)`; only where {@link Layer.endsWithRelu}. */
  readonly relu: boolean;
  /** The input is bytes and stands for these numbers; only `linear` and `conv2d` take them. */
  readonly bytes: ByteInput | undefined;
  /** `[rows, features]`, the row stride a whole number of vec4f, zero behind the last feature. */
  input(index?: number): Place;
  /** Laid out as inputs are; all of it must be written, padding and rows behind the batch included. */
  readonly output: Place;
  /** The output is the input, where it lies: nothing is run. */
  passInput(): void;
  /** A parameter, contiguous and row-major. */
  param(name: string): BufferSlice;
  /** A buffer of the layer. */
  buffer(name: string): BufferSlice;
  /** Memory that forward leaves for backward: the same name is the same memory. */
  workspace(name: string, bytes: number): Region;
  /** The kernel that `make` makes for these sizes and options; compiled once for the whole plan. */
  kernel<Size, Options, R extends Runnable<string>>(
    make: MakeRunnable<Size, Options, R>,
    size: Size,
    options: Options,
  ): Promise<R>;
  /**
   * Records a kernel.
   *
   * @param writes which of the places it writes. They end up in other buffers than what it reads, as WebGPU wants it.
   */
  run<Name extends string>(
    kernel: Promise<Runnable<Name>>,
    places: Readonly<Record<Name, Place>>,
    writes: readonly NoInfer<Name>[],
  ): void;
}

/** The place of a layer in the way back. */
export interface BackwardSite extends Site {
  /** Laid out as the output; 0 in rows behind the batch. Must not be changed: others may read it too. */
  readonly outputGradient: Place;
  /** Take the gradient as that behind the final ReLU, and mask it by {@link Site.output}; only where {@link Layer.masksOutput}. */
  readonly outputRelu: boolean;
  /** Mask the gradient of this input: 0 where the input is <= 0; only where {@link Layer.masksInput}. */
  inputRelu(index?: number): boolean;
  /** Where the gradient of this input goes; undefined if nobody asks for it. All of it must be written. */
  inputGradient(index?: number): Region | undefined;
  /** The gradient of this input is what already lies there. */
  passGradient(index: number, place: Place): void;
  /** Where a parameter's gradient goes, for kernels that only overwrite. */
  paramGradient(name: string): Place;
  /**
   * The same for parameters of kernels that can add; one answer for all of them.
   *
   * @returns places by name, and whether to add
   */
  paramGradients<Name extends string>(
    ...names: readonly Name[]
  ): { readonly places: Readonly<Record<Name, Place>>; readonly accumulate: boolean };
}
