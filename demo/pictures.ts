/** Images of weights and of digits. */
import { cssColor } from "./css-color.ts";

const SIDE = 28;
/** Of an image. */
export const PIXELS = SIDE * SIDE;

/**
 * Draws the weights of each hidden unit as an image of what it looks for: one colour where ink speaks for it, the other one where
 * ink speaks against it.
 *
 * @param weights `[units, 28 * 28]`
 */
export function drawUnits(canvas: HTMLCanvasElement, weights: Float32Array, columns: number): void {
  const size = PIXELS;
  const units = weights.length / size;
  const gap = 2;
  const width = columns * (SIDE + gap) - gap;
  const height = Math.ceil(units / columns) * (SIDE + gap) - gap;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(width, height);
  const [ground, plus, minus] = ["--panel", "--series-2", "--series-1"].map(rgb) as [Rgb, Rgb, Rgb];
  let square = 0;
  for (const w of weights) square += w * w;
  // Three standard deviations are the full colour.
  const scale = 1 / (3 * Math.sqrt(square / weights.length));
  for (let unit = 0; unit < units; unit++) {
    const left = (unit % columns) * (SIDE + gap);
    const top = Math.floor(unit / columns) * (SIDE + gap);
    for (let k = 0; k < size; k++) {
      const w = weights[unit * size + k]! * scale;
      const color = w > 0 ? plus : minus;
      const strength = Math.min(1, Math.abs(w));
      const at = 4 * ((top + Math.floor(k / SIDE)) * width + left + (k % SIDE));
      for (let c = 0; c < 3; c++) image.data[at + c] = ground[c]! + strength * (color[c]! - ground[c]!);
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

/** The image that begins at pixel `index * PIXELS`; 0 is background, 255 ink. */
export function digit(pixels: ArrayLike<number>, index: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = SIDE;
  canvas.height = SIDE;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(SIDE, SIDE);
  const ink = rgb("--text");
  for (let k = 0; k < PIXELS; k++) {
    image.data.set(ink, 4 * k);
    image.data[4 * k + 3] = pixels[index * PIXELS + k]!;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

type Rgb = [number, number, number];

function rgb(property: string): Rgb {
  const hex = cssColor(property);
  return [1, 3, 5].map((k) => Number.parseInt(hex.slice(k, k + 2), 16)) as Rgb;
}
