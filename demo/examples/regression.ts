/** Regression: a small perceptron learns a picture as a function of place, three colours of two coordinates. */
import { adam, cosine } from "../../src/index.ts";
import { gelu, linear, mse, sequential } from "../../src/nn/index.ts";
import type { Example } from "./example.ts";

const SIDE = 64;
/** Waves along x, y and both diagonals, each as sine and cosine, of so many frequencies. */
const FREQUENCIES = 4;
const FEATURES = 8 * FREQUENCIES;

/** The picture: red, green and blue in [0, 1] at a place of the unit square. Rings, a wave and a disk with a sharp edge. */
function colour(x: number, y: number): [number, number, number] {
  const ring = 0.5 + 0.5 * Math.cos(18 * Math.hypot(x - 0.35, y - 0.4));
  const wave = 0.5 + 0.5 * Math.sin(9 * x + 6 * Math.sin(5 * y));
  const disk = Math.hypot(x - 0.68, y - 0.66) < 0.2 ? 1 : 0;
  return [0.8 * ring + 0.2 * disk, wave, 0.6 * disk + 0.4 * y];
}

/** Places in the middle of the pixels, moved by `shift` pixels, and their colours. */
function picture(shift: number) {
  const input = new Float32Array(SIDE * SIDE * FEATURES);
  const target = new Float32Array(SIDE * SIDE * 3);
  for (let k = 0; k < SIDE * SIDE; k++) {
    const [x, y] = [((k % SIDE) + 0.5 + shift) / SIDE, (Math.floor(k / SIDE) + 0.5 + shift) / SIDE];
    for (let f = 0; f < FREQUENCIES; f++) {
      [x, y, x + y, x - y].forEach((phase, direction) => {
        const angle = Math.PI * 2 ** f * phase;
        input[k * FEATURES + 8 * f + 2 * direction] = Math.sin(angle);
        input[k * FEATURES + 8 * f + 2 * direction + 1] = Math.cos(angle);
      });
    }
    target.set(colour(x, y), 3 * k);
  }
  return { input, target };
}

export const regression: Example = {
  load: async () => ({ data: picture(0), test: picture(0.5), count: SIDE * SIDE }),
  recipe: (steps) => ({
    model: sequential([FEATURES], [linear(64), gelu(), linear(64), gelu(), linear(3)]),
    loss: mse(),
    optimizer: { rule: adam(), lr: cosine(1e-2, steps, { etaMin: 1e-4 }) },
  }),
  report: async (_, testLoss) => [["signal to noise", `${(-10 * Math.log10(testLoss)).toFixed(1)} dB`]],
};
