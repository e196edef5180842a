/**
 * What is updated: the lists of tensors, with seeded values. The same data goes to every implementation.
 */

/** One tensor of a case: values of the parameter and of its gradient, both row-major. */
export interface CaseTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly param: Float32Array<ArrayBuffer>;
  readonly grad: Float32Array<ArrayBuffer>;
}

export const caseNames = ["cnn", "mlp", "many", "big", "mixed"] as const;
export type CaseName = (typeof caseNames)[number];

/** Shapes of the tensors of a case, in the order in which they are handed to an optimizer. */
export function caseShapes(name: CaseName): number[][] {
  switch (name) {
    case "cnn":
      return [[3, 3, 1, 32], [32], [3, 3, 32, 64], [64], [1600, 128], [128], [128, 10], [10]];
    case "mlp":
      return [[784, 512], [512], [512, 256], [256], [256, 10], [10]];
    case "many":
      return Array.from({ length: 24 }, () => [[256, 256], [256]]).flat();
    case "big":
      return [[4_194_304]];
    case "mixed":
      return mixedShapes();
  }
}

/**
 * 500 tensors whose sizes are spread evenly over the scale 1 .. 8191 and are all odd, so none is a multiple of 4:
 * every tensor has a tail that is no full vec4.
 */
function mixedShapes(): number[][] {
  const next = random(500);
  return Array.from({ length: 500 }, () => [Math.floor(2 ** (13 * next())) | 1]);
}

/**
 * Values of a case. Parameters are uniform in [-0.05, 0.05) as after a usual initialization. Gradients are uniform in
 * [-0.02, 0.02), so a few of them come close to eps = 1e-8 and none is a float32 denormal.
 */
export function caseTensors(name: CaseName): CaseTensor[] {
  return caseShapes(name).map((shape, i) => {
    const next = random(7919 * (i + 1));
    const size = shape.reduce((a, b) => a * b, 1);
    const fill = (range: number) => Float32Array.from({ length: size }, () => (2 * next() - 1) * range);
    return { name: `t${i}.${shape.length > 1 ? "weight" : "bias"}`, shape, param: fill(0.05), grad: fill(0.02) };
  });
}

/** mulberry32: 32 bits of state, equal numbers on every machine. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}
