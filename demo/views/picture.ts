/** The picture that the regression learns, and what it has learned of it. */
import type { Samples } from "../live-training.ts";
import type { OpenView } from "./view.ts";

export const picture: OpenView = ({ network, panel }) => {
  const { data, test, count } = network.subject.loaded;
  const { body, note } = panel("The picture, and what has been learned of it");
  body.className = "pair";
  const side = Math.sqrt(count);
  const canvasOf = (label: string) => {
    const canvas = body.appendChild(document.createElement("canvas"));
    canvas.width = canvas.height = side;
    canvas.role = "img";
    canvas.ariaLabel = label;
    return canvas;
  };
  const [original, learned] = [canvasOf("The picture"), canvasOf("What has been learned of it")];
  paint(original, data.target);
  return async () => {
    // Between the pixels that it is trained on.
    const colours = await network.predict(test.input as Samples);
    const error = colours.reduce((sum, value, k) => sum + (value - test.target[k]!) ** 2, 0) / colours.length;
    note(`signal to noise ${(-10 * Math.log10(error)).toFixed(1)} dB`);
    paint(learned, colours);
  };
};

/** Red, green and blue of each pixel, 0 to 1. */
function paint(canvas: HTMLCanvasElement, colours: ArrayLike<number>): void {
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(canvas.width, canvas.height);
  // The bytes of an image are clamped.
  for (let k = 0; k < canvas.width * canvas.height; k++)
    image.data.set([255 * colours[3 * k]!, 255 * colours[3 * k + 1]!, 255 * colours[3 * k + 2]!, 255], 4 * k);
  context.putImageData(image, 0, 0);
}
