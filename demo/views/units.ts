/** The hidden units of the perceptron, as images of what they look for. */
import { drawUnits } from "../pictures.ts";
import type { OpenView } from "./view.ts";

const COLUMNS = 16;

export const units: OpenView = ({ network, panel }) => {
  const { body } = panel("What the 128 hidden units look for");
  const canvas = body.appendChild(document.createElement("canvas"));
  canvas.id = "units";
  canvas.role = "img";
  canvas.ariaLabel = "Weights of the hidden units as images";
  return async () => drawUnits(canvas, await network.training.optimizer.readParam("fc1.weight"), COLUMNS);
};
