/** Float64 twins of normalizations, written from the papers. Arrays as in PyTorch. */

type Values = ArrayLike<number>;

/** Normalizes the elements of `x` for which `groupOf` gives the same number together; scale and shift by `weightOf`. */
export function normalize(
  x: Values,
  weight: Values,
  bias: Values,
  options: { eps: number; centered?: boolean; groupOf: (k: number) => number; weightOf: (k: number) => number },
): { y: Float64Array; means: Map<number, number>; variances: Map<number, number>; counts: Map<number, number> } {
  const { eps, centered = true, groupOf, weightOf } = options;
  const means = new Map<number, number>();
  const variances = new Map<number, number>();
  const counts = new Map<number, number>();
  const add = (map: Map<number, number>, key: number, value: number) => map.set(key, (map.get(key) ?? 0) + value);
  for (let k = 0; k < x.length; k++) {
    add(counts, groupOf(k), 1);
    add(means, groupOf(k), centered ? x[k]! : 0);
  }
  for (const [key, sum] of means) means.set(key, sum / counts.get(key)!);
  for (let k = 0; k < x.length; k++) add(variances, groupOf(k), (x[k]! - means.get(groupOf(k))!) ** 2);
  for (const [key, sum] of variances) variances.set(key, sum / counts.get(key)!);
  const y = Float64Array.from(x, (v, k) => {
    const z = (v - means.get(groupOf(k))!) / Math.sqrt(variances.get(groupOf(k))! + eps);
    return z * weight[weightOf(k)]! + (bias[weightOf(k)] ?? 0);
  });
  return { y, means, variances, counts };
}
