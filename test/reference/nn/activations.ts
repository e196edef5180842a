/** Float64 twins of activation functions and softmax. */
import type { Activation } from "../../../src/nn/kernels/activations.ts";

/** The error function: its power series where that converges fast, else a continued fraction of 1 - erf. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 80; n++) {
      term *= -(x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = z;
  for (let n = 60; n >= 1; n--) fraction = z + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * fraction));
}

export const ACTIVATIONS: Readonly<Record<Activation, (x: number, slope: number) => number>> = {
  relu: (x) => Math.max(x, 0),
  leakyRelu: (x, slope) => (x > 0 ? x : slope * x),
  gelu: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
  geluTanh: (x) => (x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))) / 2,
  silu: (x) => x / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

/** Softmax of each `size` neighbouring values. */
export function softmax(x: ArrayLike<number>, size: number): Float64Array {
  const y = new Float64Array(x.length);
  for (let begin = 0; begin < x.length; begin += size) {
    const values = Array.from({ length: size }, (_, i) => x[begin + i]!);
    const largest = Math.max(...values);
    const sum = values.reduce((s, v) => s + Math.exp(v - largest), 0);
    values.forEach((v, i) => {
      y[begin + i] = Math.exp(v - largest) / sum;
    });
  }
  return y;
}
