/**
 * A text of the project's own: sentences of a small grammar. Its entropy is known, so that one can tell how much of what there is
 * to learn a model has learned.
 */
import { type Random, randomStream } from "../../src/nn/index.ts";

const ANIMALS = ["cat", "dog", "owl", "fox", "goose", "horse", "mouse", "raven"];
const ADJECTIVES = ["old", "small", "quiet", "hungry", "clever", "brown"];
const VERBS = ["see", "follow", "hear", "wake", "chase"];
const PLACES = ["by the river", "in the barn", "under the moon", "behind the hill"];
const NUMBERS = ["two", "three", "four", "five", "six"];
const PLURALS: Readonly<Record<string, string>> = { fox: "foxes", goose: "geese", mouse: "mice" };

/** A text, and the entropy of what was chosen in it. */
export interface Text {
  readonly text: string;
  /** Nats per character: no model that sees only the text does better on average. */
  readonly entropy: number;
}

/** Sentences of about `length` characters in all: "four old geese hear the quiet raven by the river. " */
export function write(length: number, seed: number): Text {
  const random: Random = randomStream(seed, 0);
  let text = "";
  let drawn = 0;
  let nats = 0;
  const pick = <T>(list: readonly T[]): T => {
    nats += Math.log(list.length);
    return list[Math.floor(((random.uniform(drawn++) + 1) / 2) * list.length)]!;
  };
  const group = (): { words: string; plural: boolean } => {
    const kind = pick(["the", "a", "many"]);
    const plural = kind === "many";
    const determiner = plural ? pick(NUMBERS) : kind;
    const adjective = pick([true, false]) ? `${pick(ADJECTIVES)} ` : "";
    const animal = pick(ANIMALS);
    const noun = plural ? (PLURALS[animal] ?? `${animal}s`) : animal;
    const article = determiner === "a" && /^[aeiou]/.test(adjective + noun) ? "an" : determiner;
    return { words: `${article} ${adjective}${noun}`, plural };
  };
  while (text.length < length) {
    const subject = group();
    const verb = pick(VERBS);
    const place = pick([true, false]) ? ` ${pick(PLACES)}` : "";
    text += `${subject.words} ${subject.plural ? verb : `${verb}s`} ${group().words}${place}. `;
  }
  return { text, entropy: nats / text.length };
}
