/** Float64 twin of convolutions, written from the definition: every tap adds its product. Arrays as in PyTorch, `[n, c, h, w]`. */

export interface Conv2dSizes {
  samples: number;
  inChannels: number;
  inHeight: number;
  inWidth: number;
  outChannels: number;
  outHeight: number;
  outWidth: number;
  kernel: readonly [number, number];
  stride: readonly [number, number];
  padding: readonly [number, number];
  dilation: readonly [number, number];
  groups: number;
}

type Values = ArrayLike<number>;

/** Calls `visit` with the places of x, W and y (and its channel) that each product of the convolution joins. */
function everyProduct(s: Conv2dSizes, visit: (x: number, w: number, y: number) => void): void {
  const insPerGroup = s.inChannels / s.groups;
  const outsPerGroup = s.outChannels / s.groups;
  for (let n = 0; n < s.samples; n++)
    for (let o = 0; o < s.outChannels; o++)
      for (let c = 0; c < insPerGroup; c++) {
        const inChannel = Math.floor(o / outsPerGroup) * insPerGroup + c;
        for (let v = 0; v < s.outHeight; v++)
          for (let u = 0; u < s.outWidth; u++)
            for (let i = 0; i < s.kernel[0]; i++) {
              const line = v * s.stride[0] + i * s.dilation[0] - s.padding[0];
              if (line < 0 || line >= s.inHeight) continue;
              for (let j = 0; j < s.kernel[1]; j++) {
                const column = u * s.stride[1] + j * s.dilation[1] - s.padding[1];
                if (column < 0 || column >= s.inWidth) continue;
                visit(
                  ((n * s.inChannels + inChannel) * s.inHeight + line) * s.inWidth + column,
                  ((o * insPerGroup + c) * s.kernel[0] + i) * s.kernel[1] + j,
                  ((n * s.outChannels + o) * s.outHeight + v) * s.outWidth + u,
                );
              }
            }
      }
}

const inSize = (s: Conv2dSizes) => s.samples * s.inChannels * s.inHeight * s.inWidth;
const outSize = (s: Conv2dSizes) => s.samples * s.outChannels * s.outHeight * s.outWidth;
const weightSize = (s: Conv2dSizes) => (s.outChannels * s.inChannels * s.kernel[0] * s.kernel[1]) / s.groups;

/** Adds `bias[c]` to every pixel of channel c. */
function addBias(y: Float64Array, bias: Values, plane: number): Float64Array {
  return y.map((v, k) => v + bias[Math.floor(k / plane) % bias.length]!);
}

/** The sum of each channel's pixels over all samples. */
function channelSums(dy: Values, channels: number, plane: number): Float64Array {
  const sums = new Float64Array(channels);
  for (let k = 0; k < dy.length; k++) sums[Math.floor(k / plane) % channels]! += dy[k]!;
  return sums;
}

export function conv2d(x: Values, weight: Values, bias: Values, s: Conv2dSizes): Float64Array {
  const y = new Float64Array(outSize(s));
  everyProduct(s, (i, w, o) => {
    y[o]! += x[i]! * weight[w]!;
  });
  return addBias(y, bias, s.outHeight * s.outWidth);
}

export function conv2dBackward(dy: Values, x: Values, weight: Values, s: Conv2dSizes) {
  const dx = new Float64Array(inSize(s));
  const dWeight = new Float64Array(weightSize(s));
  everyProduct(s, (i, w, o) => {
    dx[i]! += dy[o]! * weight[w]!;
    dWeight[w]! += dy[o]! * x[i]!;
  });
  return { dx, dWeight, dBias: channelSums(dy, s.outChannels, s.outHeight * s.outWidth) };
}

/** The transposed convolution: `in` and `out` of `s` are those of the convolution that it is the transpose of. */
export function convTranspose2d(x: Values, weight: Values, bias: Values, s: Conv2dSizes): Float64Array {
  const y = new Float64Array(inSize(s));
  everyProduct(s, (i, w, o) => {
    y[i]! += x[o]! * weight[w]!;
  });
  return addBias(y, bias, s.inHeight * s.inWidth);
}

export function convTranspose2dBackward(dy: Values, x: Values, weight: Values, s: Conv2dSizes) {
  const dx = new Float64Array(outSize(s));
  const dWeight = new Float64Array(weightSize(s));
  everyProduct(s, (i, w, o) => {
    dx[o]! += dy[i]! * weight[w]!;
    dWeight[w]! += dy[i]! * x[o]!;
  });
  return { dx, dWeight, dBias: channelSums(dy, s.inChannels, s.inHeight * s.inWidth) };
}
