import { EMPTY_HASH, elementCount, generate, hash, initialValues, words } from "../../reference/prng.ts";
import {
  array,
  type Check,
  type Checked,
  checkLength,
  count,
  finite,
  flag,
  GoldenError,
  index,
  nonNegative,
  object,
  oneOf,
  positive,
  record,
  refine,
  text,
  uint32,
} from "./check.ts";
import {
  type CheckedTensor,
  checkedTensor,
  checkSize,
  identity,
  optionValue,
  seed,
  shape,
  valueSpec,
} from "./tensor.ts";

const activation = oneOf("relu", "tanh", "gelu", "gelu_tanh", "silu", "sigmoid");
const mlp = object({ type: oneOf("mlp"), sizes: array(count, { min: 2 }), activation, layerNorm: flag });
const cnn = object({
  type: oneOf("cnn"),
  channels: array(count, { length: 2 }),
  batchNorm: flag,
  activation,
  convBias: flag,
});

export type E2eModel = Checked<typeof mlp> | Checked<typeof cnn>;

const model: Check<E2eModel> = (value, path) => {
  const type = oneOf("mlp", "cnn")((value as { type?: unknown } | null)?.type, `${path}.type`);
  return type === "mlp" ? mlp(value, path) : cnn(value, path);
};

const losses = array(finite);

const shapeOfCase = object(
  {
    ...identity.required,
    model,
    data: object(
      { samples: count, batch: count, classes: count, inputShape: shape, noiseScale: finite },
      { targets: count },
    ),
    loss: oneOf("crossEntropy", "mse"),
    seed,
    steps: count,
    optimizer: text,
    groups: array(object({ params: array(text, { min: 1 }), options: record(optionValue) }), { min: 1 }),
    params: array(object({ name: text, shape, init: valueSpec }), { min: 1 }),
    inputHash: uint32,
    inputHead: array(finite),
    labels: array(index),
    init: array(array(finite)),
    firstGrad: array(checkedTensor()),
    lossF64: losses,
    lossF32: losses,
    lossSens: array(nonNegative),
    final: array(checkedTensor()),
    evalLossF64: finite,
    evalLossF32: finite,
  },
  {
    ...identity.optional,
    lrFactor: array(nonNegative),
    clipNorm: positive,
    gradNorms: checkedTensor(),
    buffers: record(checkedTensor()),
    evalAccuracy: nonNegative,
  },
);

/** A complete small training run. */
export type E2eCase = Checked<typeof shapeOfCase>;

export const e2eCase = refine(shapeOfCase, (value, path) => {
  const { data, params, steps, loss } = value;
  const lengths: readonly [keyof E2eCase, number][] = [
    ["labels", data.samples],
    ["inputHead", Math.min(8, data.samples * elementCount(data.inputShape))],
    ["lossF64", steps],
    ["lossF32", steps],
    ["lossSens", steps],
    ["init", params.length],
    ["firstGrad", params.length],
    ["final", params.length],
  ];
  for (const [field, length] of lengths) checkLength(value[field] as unknown[], `${path}.${field}`, length);
  if (value.lrFactor) checkLength(value.lrFactor, `${path}.lrFactor`, steps);
  params.forEach((param, k) => {
    const size = elementCount(param.shape);
    checkLength(value.init[k]!, `${path}.init[${k}]`, size);
    for (const field of ["firstGrad", "final"] as const) {
      checkSize(value[field][k] as CheckedTensor, `${path}.${field}[${k}]`, size);
    }
  });
  if (value.gradNorms) checkSize(value.gradNorms, `${path}.gradNorms`, steps);
  both(path, "clipNorm", value.clipNorm !== undefined, "gradNorms", value.gradNorms !== undefined);
  both(path, "data.targets", data.targets !== undefined, "loss mse", loss === "mse");
  both(path, "evalAccuracy", value.evalAccuracy !== undefined, "loss crossEntropy", loss === "crossEntropy");
  const batchNorm = value.model.type === "cnn" && value.model.batchNorm;
  both(path, "buffers", value.buffers !== undefined, "model.batchNorm", batchNorm);
  if (data.batch > data.samples)
    throw new GoldenError(`${path}.data.batch must be at most the ${data.samples} samples, got ${data.batch}`);
  checkGroups(value, path);
});

function both(path: string, a: string, hasA: boolean, b: string, hasB: boolean): void {
  if (hasA !== hasB) throw new GoldenError(`${path}.${a} must be there exactly if there is ${b}`);
}

/** Each parameter is in exactly one group. */
function checkGroups({ params, groups }: E2eCase, path: string): void {
  const owners = new Map(params.map(({ name }) => [name, 0]));
  if (owners.size !== params.length) throw new GoldenError(`${path}.params must have different names`);
  groups.forEach((group, g) => {
    group.params.forEach((name, i) => {
      const owned = owners.get(name);
      if (owned === undefined) throw new GoldenError(`${path}.groups[${g}].params[${i}] is no parameter: "${name}"`);
      owners.set(name, owned + 1);
    });
  });
  for (const [name, owned] of owners) {
    if (owned !== 1)
      throw new GoldenError(`${path}.groups must have parameter ${name} once, but have it ${owned} times`);
  }
}

/** Streams of the generator. */
const STREAM = { labels: 0x3000, noise: 0x3001, means: 0x3002, targets: 0x3003 } as const;
const NORMAL = { kind: "normal", scale: 1 } as const;

/** What a case trains with. */
export interface E2eInputs {
  /** `[samples, ...inputShape]` */
  readonly input: Float32Array;
  readonly labels: Uint32Array;
  /** `[samples, targets]`; undefined where the labels are the targets. */
  readonly targets: Float32Array | undefined;
  readonly params: readonly Float32Array[];
}

export function e2eInputs({ data, seed, params }: E2eCase): E2eInputs {
  const { samples, classes, noiseScale, targets: width } = data;
  const size = elementCount(data.inputShape);
  const labels = Uint32Array.from({ length: samples }, (_, n) => words(seed, STREAM.labels, 0, n).w1 % classes);
  const noise = generate(NORMAL, seed, STREAM.noise, 0, samples * size);
  const means = generate(NORMAL, seed, STREAM.means, 0, classes * size);
  const input = noise.map((x, k) => noiseScale * x + means[labels[Math.floor(k / size)]! * size + (k % size)]!);
  const rows = width === undefined ? undefined : generate(NORMAL, seed, STREAM.targets, 0, classes * width);
  const targets =
    rows &&
    Float32Array.from({ length: samples * width! }, (_, k) => {
      return rows[labels[Math.floor(k / width!)]! * width! + (k % width!)]!;
    });
  return {
    input,
    labels,
    targets,
    params: params.map(({ init, shape }, k) => initialValues(init, seed, k, elementCount(shape))),
  };
}

/** Compares the generated inputs with what the file says of them. @throws GoldenError where they differ. */
export function checkE2eInputs(value: E2eCase, path: string): void {
  const { input, labels, params } = e2eInputs(value);
  const hashed = hash(input, EMPTY_HASH);
  if (hashed !== value.inputHash)
    throw new GoldenError(
      `${path}.inputHash is ${value.inputHash}, but the inputs that the case describes have ${hashed}`,
    );
  const compare = (field: string, stated: readonly number[], made: ArrayLike<number>) => {
    const wrong = stated.findIndex((x, k) => Math.fround(x) !== made[k]);
    if (wrong >= 0)
      throw new GoldenError(`${path}.${field}[${wrong}] is ${stated[wrong]}, but the case describes ${made[wrong]}`);
  };
  compare("inputHead", value.inputHead, input);
  compare("labels", value.labels, labels);
  value.init.forEach((values, k) => {
    compare(`init[${k}]`, values, params[k]!);
  });
}
