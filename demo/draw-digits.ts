/** A picture of digits. */
import { cssColor } from "./css-color.ts";
import type { Split } from "./mnist/idx.ts";

/** The first hundred digits of a split, those in another colour that `right` is false for. */
export function drawDigits(
  canvas: HTMLCanvasElement,
  { pixels, pixelsPerImage }: Split,
  right: readonly boolean[],
): void {
  canvas.width = canvas.height = 280;
  const context = canvas.getContext("2d")!;
  const rgb = (property: string) => [1, 3, 5].map((i) => Number.parseInt(cssColor(property).slice(i, i + 2), 16));
  const [paper, ink, wrong] = ["--panel", "--text", "--wrong"].map(rgb);
  for (let k = 0; k < 100; k++) {
    const image = context.createImageData(28, 28);
    for (let i = 0; i < pixelsPerImage; i++) {
      const strength = pixels[k * pixelsPerImage + i]! / 255;
      const color = [0, 1, 2].map((c) => paper![c]! + strength * ((right[k] ? ink! : wrong!)[c]! - paper![c]!));
      image.data.set([...color, 255], 4 * i);
    }
    context.putImageData(image, 28 * (k % 10), 28 * Math.floor(k / 10));
  }
}
