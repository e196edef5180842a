/** Are the gradients of a layer the slopes of what it computes? Against finite differences in float64. */
import { checkKeys, checkNumber } from "../engine/checks.ts";
import { OptionError } from "../errors.ts";
import { compile } from "./compile.ts";
import { graph } from "./graph.ts";
import type { Loss } from "./loss.ts";
import { OwnTensors } from "./own-tensors.ts";
import { unpackRows } from "./packing.ts";
import { randomStream, shuffled } from "./random.ts";
import { readSlices } from "./read-slices.ts";
import { type Shape, sizeOf } from "./shape.ts";
import type { Part } from "./value.ts";

/**
 * What a layer computes, in float64.
 *
 * @param input `[samples, ...input shape]`
 * @param params values by full name, such as `scale1.weight`
 * @returns `[samples, ...output shape]`
 */
export type Reference = (
  input: Float64Array,
  params: Readonly<Record<string, Float64Array>>,
  samples: number,
) => ArrayLike<number>;

/** Options of {@link checkGradients}. */
export interface GradientCheckOptions {
  /** Shape of one sample's input. */
  readonly input: Shape;
  /** Default 3. */
  readonly samples?: number;
  /** Of input, parameters and the weights of the outputs; default 0. */
  readonly seed?: number;
  /** Inputs are uniform in +- this; default 1. */
  readonly scale?: number;
  /**
   * What the layer computes, in float64. The differences are then good to about 1e-9, and the forward kernels are checked as
   * well. Without it the differences are those of the float32 kernels themselves, which are good to some 1e-3.
   */
  readonly reference?: Reference;
  /** Most elements of a tensor that are looked at, chosen at random; default all with a reference, else 24. */
  readonly elements?: number;
  /** Largest error, relative to the largest slope of the tensor; default 1e-4, without a reference 1e-2. */
  readonly tolerance?: number;
}

/** What was found. */
export interface GradientCheck {
  /** Every error is at most the tolerance. */
  readonly passed: boolean;
  /**
   * By tensor, `input` or a parameter's name: the largest difference between gradient and slope, as a share of the tensor's
   * largest slope. With a reference also `output`: the same of the forward kernels.
   */
  readonly errors: Readonly<Record<string, number>>;
}

const WHERE = "checkGradients";
const KNOWN = ["input", "samples", "seed", "scale", "reference", "elements", "tolerance"];
/** Random streams, far above those of the parameters. */
const STREAM = { input: 2 ** 20, weights: 2 ** 20 + 1, choice: 2 ** 20 + 2, noise: 2 ** 20 + 3 } as const;
/** Steps of central differences: where truncation, h^2, is about rounding, eps / h. */
const STEP = { float64: 2 ** -17, float32: 2 ** -6 } as const;

/** The sum of outputs times targets: its gradient is what stands there as target. */
const weightedSum: Loss = {
  kind: "weightedSum",
  target: "values",
  gradientIsTarget: true,
  check: () => {},
  record: () => {},
};

/**
 * Compares the gradients that a layer (or several) gives with finite differences, for random inputs, parameters and output
 * gradients. Keep sizes small, and away from kinks: where ReLU bends there is no slope.
 *
 * @throws {OptionError} for a bad option, or a layer that does not fit its input.
 */
export async function checkGradients(
  device: GPUDevice,
  part: Part,
  options: GradientCheckOptions,
): Promise<GradientCheck> {
  checkKeys(WHERE, "", options, KNOWN);
  const { input: shape, samples = 3, seed = 0, scale = 1, reference } = options as unknown as GradientCheckOptions;
  const { elements = reference ? Infinity : 24, tolerance = reference ? 1e-4 : 1e-2 } = options;
  checkNumber(WHERE, "samples", samples, { min: 1, max: 1024, whole: true });
  checkNumber(WHERE, "tolerance", tolerance, { min: 0 });
  const model = graph(shape, (value) => value.pipe(part));
  if (model.inputKind !== "floats") throw new OptionError(WHERE, "input", "must be floats", model.inputKind);

  const uniform = (stream: number, size: number, bound: number) => {
    const random = randomStream(seed, stream);
    return Float32Array.from({ length: size }, (_, k) => bound * random.uniform(k));
  };
  const input = uniform(STREAM.input, samples * sizeOf(shape), scale);
  const weights = uniform(STREAM.weights, samples * sizeOf(model.output), 1);
  const params = model.init(seed).map(({ data, ...tensor }, i) => {
    // Ones and zeros as they are would hide mistakes.
    const noise = uniform(STREAM.noise + i, data.length, 0.2);
    return { ...tensor, data: data.map((v, k) => v + noise[k]!) };
  });
  const tensors = new OwnTensors(device, params);
  const loss = weightedSum;
  const plan = await compile(device, model, {
    batchSize: samples,
    loss,
    optimizer: tensors,
    inputGradient: true,
  }).catch((error) => {
    tensors.destroy();
    throw error;
  });
  try {
    const outputs = async () => {
      plan.write(input, weights);
      const encoder = device.createCommandEncoder({ label: "nn.check" });
      plan.encode(encoder);
      device.queue.submit([encoder.finish()]);
      const [words] = (await readSlices(device, [plan.train.output])) as [ArrayBuffer];
      return unpackRows(new Float32Array(words), samples, sizeOf(model.output));
    };
    const weigh = (output: ArrayLike<number>) => weights.reduce((sum, w, i) => sum + w * output[i]!, 0);
    const values = new Map<string, Float32Array<ArrayBuffer>>(params.map(({ name, data }) => [name, data]));
    const exact = new Map([...values].map(([name, data]) => [name, Float64Array.from(data)]));
    const exactInput = Float64Array.from(input);
    /** Slopes of the weighted sum along one element, in float64 or of the kernels. */
    const slopeAt = async (name: string, k: number): Promise<number> => {
      const tensor = reference
        ? name === "input"
          ? exactInput
          : exact.get(name)!
        : name === "input"
          ? input
          : values.get(name)!;
      const before = tensor[k]!;
      const sums: number[] = [];
      for (const way of [1, -1]) {
        tensor[k] = before + way * (reference ? STEP.float64 : STEP.float32);
        if (reference) sums.push(weigh(reference(exactInput, Object.fromEntries(exact), samples)));
        else {
          if (name !== "input") tensors.write(name, tensor as Float32Array<ArrayBuffer>);
          sums.push(weigh(await outputs()));
        }
      }
      tensor[k] = before;
      if (!reference && name !== "input") tensors.write(name, tensor as Float32Array<ArrayBuffer>);
      return (sums[0]! - sums[1]!) / (2 * (reference ? STEP.float64 : STEP.float32));
    };
    const errors: Record<string, number> = {};
    const got = await outputs();
    if (reference) errors.output = relativeError(got, reference(exactInput, Object.fromEntries(exact), samples));
    const slices = [plan.train.inputGradient!, ...params.map(({ name }) => tensors.tensor(name).grad)];
    const [first, ...others] = (await readSlices(device, slices)).map((words) => new Float32Array(words));
    const gradients = { input: unpackRows(first!, samples, sizeOf(shape)) } as Record<string, Float32Array>;
    params.forEach(({ name }, i) => {
      gradients[name] = others[i]!;
    });
    for (const [name, gradient] of Object.entries(gradients)) {
      const chosen = Array.from(shuffled(seed, STREAM.choice, gradient.length)).slice(0, elements);
      const slopes: number[] = [];
      for (const k of chosen) slopes.push(await slopeAt(name, k));
      errors[name] = relativeError(
        chosen.map((k) => gradient[k]!),
        slopes,
      );
    }
    return { passed: Object.values(errors).every((error) => error <= tolerance), errors };
  } finally {
    plan.destroy();
    tensors.destroy();
  }
}

function relativeError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length)
    throw new OptionError(WHERE, "reference", `must return ${got.length} values`, want.length);
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < want.length; i++) {
    const off = Math.abs(got[i]! - want[i]!);
    // Written so that NaN stays.
    if (!(off <= difference)) difference = off;
    largest = Math.max(largest, Math.abs(want[i]!));
  }
  return largest === 0 ? difference : difference / largest;
}
