/** A tiny language model: the next character from the last 24, after Bengio et al. (2003). */
import { adamw, decayGroups } from "../../src/index.ts";
import {
  crossEntropy,
  embedding,
  flatten,
  gelu,
  layerNorm,
  linear,
  sequential,
  type Training,
} from "../../src/nn/index.ts";
import type { Example } from "./example.ts";
import { write } from "./grammar.ts";
import { warmCosine } from "./warm-cosine.ts";

/** Characters that the next one is told from. */
export const CONTEXT = 24;
export const ALPHABET = " .abcdefghijklmnopqrstuvwxyz";
const TRAINING = write(60_000, 1);
const TEST = write(6_000, 2);

export const tokensOf = (text: string) => Uint32Array.from(text, (character) => ALPHABET.indexOf(character));

const WORDS = new Set(TRAINING.text.split(/[ .]+/));

/** Whether the text has this word. */
export const isWord = (word: string) => WORDS.has(word);

/** Beginnings of `CONTEXT` characters, from the text that it has not seen. */
export const beginnings = (count: number) =>
  Array.from({ length: count }, (_, k) => {
    const from = TEST.text.indexOf(". ", k * Math.floor(TEST.text.length / (count + 1))) + 2;
    return TEST.text.slice(from, from + CONTEXT);
  });

/** Every window of the text, and the character behind it. */
function windows(text: string) {
  const tokens = tokensOf(text);
  const count = tokens.length - CONTEXT;
  const input = new Uint32Array(count * CONTEXT);
  for (let k = 0; k < count; k++) input.set(tokens.subarray(k, k + CONTEXT), k * CONTEXT);
  return { input, target: tokens.subarray(CONTEXT) };
}

export const charlm: Example = {
  load: async () => ({ data: windows(TRAINING.text), test: windows(TEST.text), count: TRAINING.text.length - CONTEXT }),
  recipe(steps) {
    const hidden = () => [linear(96), layerNorm(), gelu()];
    const model = sequential(
      [CONTEXT],
      [embedding(ALPHABET.length, 8), flatten(), hidden(), hidden(), linear(ALPHABET.length)],
    );
    return {
      model,
      loss: crossEntropy(),
      optimizer: {
        rule: adamw(),
        lr: warmCosine(4e-3, steps),
        groups: decayGroups(model.params, { weightDecay: 0.01 }),
        clip: { globalNorm: 1 },
      },
    };
  },
  report: async (training, testLoss) => [
    ["nats a character", `${testLoss.toFixed(3)}; those that the grammar has: ${TEST.entropy.toFixed(3)}`],
    ["it writes", await continuation(training, TEST.text.slice(0, CONTEXT), 100)],
  ],
};

/** What the model takes to be most likely, character by character. */
async function continuation(training: Training, begin: string, length: number): Promise<string> {
  let text = begin;
  while (text.length < begin.length + length) {
    const logits = await training.predict(tokensOf(text.slice(-CONTEXT)));
    text += ALPHABET[logits.indexOf(Math.max(...logits))];
  }
  return text;
}
