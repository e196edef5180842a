/**
 * Float64 twin of the training kit's kernels: dense layers, ReLU, softmax and cross-entropy, written from the formulas.
 * Matrices are row-major arrays of numbers; `weight` is `[outFeatures, inFeatures]` as in PyTorch.
 */

export interface LinearSizes {
  rows: number;
  inFeatures: number;
  outFeatures: number;
}

type Values = ArrayLike<number>;

/** `y = x W^T + b` */
export function linearForward(x: Values, weight: Values, bias: Values, sizes: LinearSizes): Float64Array {
  const { rows, inFeatures, outFeatures } = sizes;
  const y = new Float64Array(rows * outFeatures);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outFeatures; o++) {
      let sum = bias[o]!;
      for (let i = 0; i < inFeatures; i++) sum += x[r * inFeatures + i]! * weight[o * inFeatures + i]!;
      y[r * outFeatures + o] = sum;
    }
  }
  return y;
}

/** `dx = dy W`, `dW = dy^T x`, `db = sum of dy over the rows` */
export function linearBackward(
  dy: Values,
  x: Values,
  weight: Values,
  sizes: LinearSizes,
): { dx: Float64Array; dWeight: Float64Array; dBias: Float64Array } {
  const { rows, inFeatures, outFeatures } = sizes;
  const dx = new Float64Array(rows * inFeatures);
  const dWeight = new Float64Array(outFeatures * inFeatures);
  const dBias = new Float64Array(outFeatures);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outFeatures; o++) {
      const d = dy[r * outFeatures + o]!;
      dBias[o]! += d;
      for (let i = 0; i < inFeatures; i++) {
        dx[r * inFeatures + i]! += d * weight[o * inFeatures + i]!;
        dWeight[o * inFeatures + i]! += d * x[r * inFeatures + i]!;
      }
    }
  }
  return { dx, dWeight, dBias };
}

/** `max(z, 0)` */
export function relu(z: Float64Array): Float64Array {
  return z.map((v) => Math.max(v, 0));
}

/** The gradient before a ReLU whose output is `y`. */
export function reluBackward(dy: Float64Array, y: Values): Float64Array {
  return dy.map((d, i) => (y[i]! > 0 ? d : 0));
}

/** Per row `-log softmax(z)[label]` and the class of the largest logit, and the gradient of the mean of the losses. */
export function softmaxCrossEntropy(
  logits: Values,
  labels: ArrayLike<number>,
  classes: number,
): { losses: number[]; predicted: number[]; gradient: Float64Array } {
  const rows = labels.length;
  const gradient = new Float64Array(rows * classes);
  const losses: number[] = [];
  const predicted: number[] = [];
  for (let r = 0; r < rows; r++) {
    const z = Array.from({ length: classes }, (_, c) => logits[r * classes + c]!);
    const largest = Math.max(...z);
    const sum = z.reduce((s, v) => s + Math.exp(v - largest), 0);
    z.forEach((v, c) => {
      gradient[r * classes + c] = (Math.exp(v - largest) / sum - (c === labels[r] ? 1 : 0)) / rows;
    });
    losses.push(Math.log(sum) + largest - z[labels[r]!]!);
    predicted.push(z.indexOf(largest));
  }
  return { losses, predicted, gradient };
}

/** A perceptron with one hidden layer. */
export interface Mlp {
  weight1: Values;
  bias1: Values;
  weight2: Values;
  bias2: Values;
}

export interface MlpSizes {
  inFeatures: number;
  hidden: number;
  classes: number;
}

/** The mean loss of a batch and the gradient of every parameter. */
export function mlpLossAndGradients(
  x: Values,
  labels: ArrayLike<number>,
  mlp: Mlp,
  { inFeatures, hidden, classes }: MlpSizes,
): { loss: number; gradients: Record<keyof Mlp, Float64Array> } {
  const rows = labels.length;
  const first = { rows, inFeatures, outFeatures: hidden };
  const second = { rows, inFeatures: hidden, outFeatures: classes };
  const h = relu(linearForward(x, mlp.weight1, mlp.bias1, first));
  const logits = linearForward(h, mlp.weight2, mlp.bias2, second);
  const { losses, gradient } = softmaxCrossEntropy(logits, labels, classes);
  const back2 = linearBackward(gradient, h, mlp.weight2, second);
  const back1 = linearBackward(reluBackward(back2.dx, h), x, mlp.weight1, first);
  return {
    loss: losses.reduce((sum, l) => sum + l, 0) / rows,
    gradients: { weight1: back1.dWeight, bias1: back1.dBias, weight2: back2.dWeight, bias2: back2.dBias },
  };
}
