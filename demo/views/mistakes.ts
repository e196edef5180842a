/** Test images that are taken for something else. */
import type { Samples } from "../live-training.ts";
import { digit, PIXELS } from "../pictures.ts";
import type { OpenView } from "./view.ts";

/** Test images that are looked at, spread over all of them (in some sets they are sorted), and how many are shown at most. */
const LOOKED_AT = 1000;
const SHOWN = 28;

export const mistakes: OpenView = ({ network, panel }) => {
  const { test, names } = network.subject.loaded;
  const { body, note } = panel("What it still gets wrong");
  body.className = names ? "digits wide" : "digits";
  const all = test.target.length;
  const count = Math.min(LOOKED_AT, all);
  const chosen = spread(
    Array.from(test.target, (_, k) => k),
    count,
  );
  const pixels = new Uint8Array(count * PIXELS);
  const input = test.input as Samples;
  for (const [k, index] of chosen.entries())
    pixels.set(input.subarray(index * PIXELS, (index + 1) * PIXELS), k * PIXELS);
  const labels = chosen.map((index) => test.target[index]!);
  const nameOf = (label: number) => names?.[label] ?? String(label);
  return async () => {
    const scores = await network.predict(pixels);
    const predicted = labels.map((_, k) =>
      largest(scores.subarray((k * scores.length) / count, ((k + 1) * scores.length) / count)),
    );
    const wrong = labels.flatMap((label, k) => (predicted[k] === label ? [] : [k]));
    note(`${wrong.length} of ${count.toLocaleString("en")} test images`);
    body.replaceChildren(
      ...spread(wrong, SHOWN).map((k) => {
        const figure = document.createElement("figure");
        figure.append(digit(pixels, k));
        const caption = figure.appendChild(document.createElement("figcaption"));
        caption.append(`${nameOf(labels[k]!)} as `);
        caption.appendChild(document.createElement("b")).textContent = nameOf(predicted[k]!);
        return figure;
      }),
    );
  };
};

/** So many of the values (or all of them), at equal distances. */
function spread<T>(values: readonly T[], count: number): T[] {
  if (values.length <= count) return [...values];
  return Array.from({ length: count }, (_, k) => values[Math.floor((k * values.length) / count)]!);
}

function largest(values: Float32Array): number {
  return values.reduce((best, value, k) => (value > values[best]! ? k : best), 0);
}
