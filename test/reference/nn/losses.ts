/** Float64 twins of the losses, each the mean over a batch, as PyTorch defines them. */

type Values = ArrayLike<number>;

/** `torch.nn.CrossEntropyLoss(weight, label_smoothing)` of `labels.length` rows of logits. */
export function crossEntropy(logits: Values, labels: Values, weights: Values, smoothing: number): number {
  const classes = weights.length;
  let loss = 0;
  let total = 0;
  for (let r = 0; r < labels.length; r++) {
    const z = Array.from({ length: classes }, (_, c) => logits[r * classes + c]!);
    const largest = Math.max(...z);
    const logSum = largest + Math.log(z.reduce((sum, v) => sum + Math.exp(v - largest), 0));
    const nll = z.map((v) => logSum - v);
    loss += (1 - smoothing) * weights[labels[r]!]! * nll[labels[r]!]!;
    nll.forEach((v, c) => {
      loss += (smoothing / classes) * weights[c]! * v;
    });
    total += weights[labels[r]!]!;
  }
  return loss / total;
}

const each =
  (f: (x: number, t: number) => number) =>
  (x: Values, t: Values): number => {
    let sum = 0;
    for (let k = 0; k < x.length; k++) sum += f(x[k]!, t[k]!);
    return sum / x.length;
  };

export const mse = each((x, t) => (x - t) ** 2);
export const l1 = each((x, t) => Math.abs(x - t));
export const huber = (delta: number) =>
  each((x, t) => (Math.abs(x - t) <= delta ? (x - t) ** 2 / 2 : delta * (Math.abs(x - t) - delta / 2)));
export const bceWithLogits = each((x, t) => Math.log1p(Math.exp(-Math.abs(x))) + Math.max(x, 0) - x * t);
