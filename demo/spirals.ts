/** Three spiral arms, which no straight line separates, and a picture of what a network makes of the plane. */
import { cssColor } from "./css-color.ts";
import { uniform } from "./mnist/random.ts";

export const CLASSES = 3;

export interface Spirals {
  readonly count: number;
  /** `[count, 2]`, within the unit circle. */
  readonly points: Float32Array<ArrayBuffer>;
  /** `[count]`, 0 to 2. */
  readonly labels: Uint32Array<ArrayBuffer>;
}

/** `perArm` points on each arm, a little off it. */
export function spirals(perArm: number): Spirals {
  const count = CLASSES * perArm;
  const noise = uniform(1, 0, count, 0.12);
  const points = new Float32Array(2 * count);
  const labels = Uint32Array.from({ length: count }, (_, i) => i % CLASSES);
  labels.forEach((arm, i) => {
    const radius = (Math.floor(i / CLASSES) + 1) / perArm;
    const angle = 4 * radius + (2 * Math.PI * arm) / CLASSES + noise[i]!;
    points.set([radius * Math.sin(angle), radius * Math.cos(angle)], 2 * i);
  });
  return { count, points, labels };
}

/** A dense layer: `weight` is `[inputs, outputs]`. All but the last are followed by tanh. */
export interface DenseLayer {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** Scores of the classes. */
export function evaluate(layers: readonly DenseLayer[], input: ArrayLike<number>): ArrayLike<number> {
  return layers.reduce((values, { weight, bias }, l) => {
    const outputs = bias.length;
    const sums = Float32Array.from(bias);
    for (let i = 0; i < values.length; i++)
      for (let o = 0; o < outputs; o++) sums[o]! += values[i]! * weight[i * outputs + o]!;
    return l < layers.length - 1 ? sums.map(Math.tanh) : sums;
  }, input);
}

function largest(values: ArrayLike<number>): number {
  let best = 0;
  for (let c = 1; c < values.length; c++) if (values[c]! > values[best]!) best = c;
  return best;
}

/** The fraction of the points that a network puts into their class. */
export function accuracy(layers: readonly DenseLayer[], { points, labels, count }: Spirals): number {
  let right = 0;
  labels.forEach((label, i) => {
    right += Number(largest(evaluate(layers, [points[2 * i]!, points[2 * i + 1]!])) === label);
  });
  return right / count;
}

/** Paints the plane in the colours of the classes, and the points onto it. */
export function drawPlane(canvas: HTMLCanvasElement, layers: readonly DenseLayer[], { points, labels }: Spirals): void {
  const cells = 76;
  const scale = 5;
  canvas.width = canvas.height = cells * scale;
  const context = canvas.getContext("2d")!;
  const colors = Array.from({ length: CLASSES }, (_, c) => cssColor(`--series-${c + 1}`));
  for (let y = 0; y < cells; y++) {
    for (let x = 0; x < cells; x++) {
      const at = [x, y].map((cell) => (2.2 * (cell + 0.5)) / cells - 1.1);
      context.fillStyle = `${colors[largest(evaluate(layers, at))]}50`;
      context.fillRect(x * scale, y * scale, scale, scale);
    }
  }
  labels.forEach((label, i) => {
    const [x, y] = [points[2 * i]!, points[2 * i + 1]!].map((v) => ((v + 1.1) / 2.2) * canvas.width);
    context.fillStyle = colors[label]!;
    context.beginPath();
    context.arc(x!, y!, 2.5, 0, 2 * Math.PI);
    context.fill();
  });
}
