/** Float64 twin of pooling, written from the definition. Arrays as in PyTorch, `[n, c, h, w]`. */

export interface Pool2dSizes {
  samples: number;
  channels: number;
  inHeight: number;
  inWidth: number;
  outHeight: number;
  outWidth: number;
  kernel: readonly [number, number];
  stride: readonly [number, number];
  padding: readonly [number, number];
}

/** Every window's values, those of the padding being `undefined`. */
function pool(x: ArrayLike<number>, s: Pool2dSizes, reduce: (values: (number | undefined)[]) => number): Float64Array {
  const y = new Float64Array(s.samples * s.channels * s.outHeight * s.outWidth);
  let at = 0;
  for (let plane = 0; plane < s.samples * s.channels; plane++)
    for (let v = 0; v < s.outHeight; v++)
      for (let u = 0; u < s.outWidth; u++) {
        const values: (number | undefined)[] = [];
        for (let i = 0; i < s.kernel[0]; i++)
          for (let j = 0; j < s.kernel[1]; j++) {
            const line = v * s.stride[0] + i - s.padding[0];
            const column = u * s.stride[1] + j - s.padding[1];
            const inside = line >= 0 && line < s.inHeight && column >= 0 && column < s.inWidth;
            values.push(inside ? x[(plane * s.inHeight + line) * s.inWidth + column] : undefined);
          }
        y[at++] = reduce(values);
      }
  return y;
}

export function maxPool2d(x: ArrayLike<number>, s: Pool2dSizes): Float64Array {
  return pool(x, s, (values) => Math.max(...values.map((v) => v ?? Number.NEGATIVE_INFINITY)));
}

export function averagePool2d(x: ArrayLike<number>, s: Pool2dSizes): Float64Array {
  return pool(x, s, (values) => values.reduce<number>((sum, v) => sum + (v ?? 0), 0) / values.length);
}
