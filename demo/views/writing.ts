/** Sentences that the character model writes. */
import { randomStream } from "../../src/nn/index.ts";
import { ALPHABET, beginnings, CONTEXT, isWord, tokensOf } from "../examples/charlm.ts";
import type { OpenView } from "./view.ts";

const LINES = 6;
const LENGTH = 60;
/** Below 1, what is likely becomes likelier. */
const TEMPERATURE = 0.8;

export const writing: OpenView = ({ network, panel }) => {
  const { body, note } = panel("What it writes");
  body.className = "lines";
  let drawing = 0;
  return async () => {
    const begun = beginnings(LINES);
    const lines = [...begun];
    const random = randomStream(1, drawing++);
    for (let at = 0; at < LENGTH; at++) {
      // A character of every line at once.
      const logits = await network.predict(tokensOf(lines.map((line) => line.slice(-CONTEXT)).join("")));
      for (let k = 0; k < LINES; k++) {
        const row = logits.subarray(k * ALPHABET.length, (k + 1) * ALPHABET.length);
        lines[k] += ALPHABET[sample(row, (random.uniform(at * LINES + k) + 1) / 2)]!;
      }
    }
    let [words, known] = [0, 0];
    body.replaceChildren(
      ...lines.map((line, k) => {
        const paragraph = document.createElement("p");
        const given = paragraph.appendChild(document.createElement("span"));
        given.className = "quiet";
        given.textContent = begun[k]!;
        // Words that the text does not have stand out; the first and the last one may be parts.
        const parts = line.slice(begun[k]!.length).split(/([ .]+)/);
        for (const [i, part] of parts.entries()) {
          const whole = i > 0 && i < parts.length - 1 && /[a-z]/.test(part);
          const good = !whole || isWord(part);
          words += Number(whole);
          known += Number(whole && good);
          paragraph.append(good ? part : Object.assign(document.createElement("b"), { textContent: part }));
        }
        return paragraph;
      }),
    );
    note(`${known} of ${words} words are words`);
  };
};

/** The class where the sum of the probabilities passes `uniform`, in [0, 1). */
function sample(logits: Float32Array, uniform: number): number {
  const largest = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp((logit - largest) / TEMPERATURE));
  let rest = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  const found = weights.findIndex((weight) => {
    rest -= weight;
    return rest < 0;
  });
  return Math.max(found, 0);
}
