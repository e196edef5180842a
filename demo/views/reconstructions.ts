/** Digits, and what the autoencoder makes of them. */
import type { Samples } from "../live-training.ts";
import { digit, PIXELS } from "../pictures.ts";
import type { OpenView } from "./view.ts";

const SHOWN = 14;

export const reconstructions: OpenView = ({ network, panel }) => {
  const { body } = panel("Test images, and drawn from 16 numbers");
  body.className = "digits";
  const pixels = (network.subject.loaded.test.input as Samples).slice(0, SHOWN * PIXELS);
  const figures = Array.from({ length: SHOWN }, () => body.appendChild(document.createElement("figure")));
  return async () => {
    const logits = await network.predict(pixels);
    const bytes = Uint8Array.from(logits, (logit) => 255 / (1 + Math.exp(-logit)));
    for (const [k, figure] of figures.entries()) figure.replaceChildren(digit(pixels, k), digit(bytes, k));
  };
};
