/**
 * Reads JSON of a known form, value by value, from a text that anyone may have made. There is no tree and no recursion: the
 * caller says what must come next, so whatever is nested deeper than the form has it is refused where it begins. Strings are
 * slices of the text, and next to nothing else is allocated.
 */
import { CheckpointError } from "../errors.ts";

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
/** Longer than any float64 is written. */
const LONGEST_NUMBER = 32;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

export class JsonReader {
  readonly #where: string;
  readonly #text: string;
  readonly #spend: (bytes: number) => void;
  #at = 0;
  #first = false;

  /**
   * @param where - how messages call the text
   * @param spend - is told how many bytes a string takes before it is made, where that is no slice; throws to refuse
   */
  constructor(where: string, text: string, spend: (bytes: number) => void) {
    this.#where = where;
    this.#text = text;
    this.#spend = spend;
  }

  /** Throws, with the place. */
  fail(what: string): never {
    throw new CheckpointError(`checkpoint: ${this.#where}, character ${this.#at}: ${what}`);
  }

  /** The next character, past white space, which is not taken yet; empty at the end. */
  peek(): string {
    this.#next();
    return this.#text.charAt(this.#at);
  }

  /** Begins `{` or `[`. */
  open(bracket: "{" | "["): void {
    this.#take(bracket.charCodeAt(0));
    this.#first = true;
  }

  /** Whether a list has another item, whose value must be read then; else the list has been left. */
  more(bracket: "}" | "]"): boolean {
    const first = this.#first;
    this.#first = false;
    if (this.#next() === bracket.charCodeAt(0)) {
      this.#at++;
      return false;
    }
    if (!first) this.#take(COMMA);
    return true;
  }

  /** The key of an object's item, whose value must be read next. Keys that stand twice are the caller's to refuse. */
  key(): string {
    const key = this.string();
    this.#take(COLON);
    return key;
  }

  /** As {@link key}, of a few known ones. */
  keyOf<K extends string>(known: readonly K[]): K {
    const key = this.oneOf("a key", known);
    this.#take(COLON);
    return key;
  }

  /** A string that is one of these; no other is made. */
  oneOf<W extends string>(what: string, known: readonly W[]): W {
    this.#next();
    // By index: an iterator makes an object for each word.
    for (let i = 0; i < known.length; i++) {
      const word = known[i] as W;
      if (this.#text.startsWith(word, this.#at + 1) && this.#text.charCodeAt(this.#at + 1 + word.length) === QUOTE) {
        this.#take(QUOTE);
        this.#at += word.length + 1;
        return word;
      }
    }
    return this.fail(`${what} must be one of ${known.join(", ")}`);
  }

  string(): string {
    this.#take(QUOTE);
    const from = this.#at;
    let escaped = false;
    for (; ; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(code)) this.fail("a string does not end");
      if (code < 0x20) this.fail("a string has a control character");
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        escaped = true;
        this.#at++;
      }
    }
    const text = this.#text.slice(from, this.#at++);
    return escaped ? this.#resolve(text) : text;
  }

  /** A whole number in [0, 2^53). */
  whole(what: string): number {
    const first = this.#next();
    const from = this.#at;
    let value = 0;
    for (; ; this.#at++) {
      const digit = this.#text.charCodeAt(this.#at) - 0x30;
      if (!(digit >= 0 && digit <= 9)) break;
      value = 10 * value + digit;
    }
    const digits = this.#at - from;
    // Where it goes on as a fraction or an exponent, whoever looks for the comma refuses it.
    if (digits === 0 || (digits > 1 && first === 0x30) || value > Number.MAX_SAFE_INTEGER)
      this.fail(`${what} must be a whole number below 2^53`);
    return value;
  }

  /** A finite number. */
  number(what: string): number {
    const text = this.#word();
    const value = Number(text);
    if (!NUMBER.test(text) || !Number.isFinite(value)) this.fail(`${what} must be a finite number`);
    return value;
  }

  /** `true`, `false` or `null`. */
  literal(what: string): boolean | null {
    const text = this.#word();
    if (text !== "true" && text !== "false" && text !== "null") this.fail(`${what} has an unknown value`);
    return text === "null" ? null : text === "true";
  }

  /** Nothing but white space may follow. */
  end(): void {
    if (this.peek() !== "") this.fail("something follows the end");
  }

  /** The code of the next character that is no white space; NaN at the end. */
  #next(): number {
    for (; ; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code;
    }
  }

  #take(code: number): void {
    if (this.#next() !== code) this.fail(`${String.fromCharCode(code)} expected`);
    this.#at++;
  }

  #resolve(escaped: string): string {
    // Once more with quotes, and once more resolved, of two bytes a character.
    this.#spend(4 * escaped.length);
    let text: string;
    try {
      text = JSON.parse(`"${escaped}"`) as string;
    } catch {
      return this.fail("a string has a bad escape");
    }
    if (/\p{Surrogate}/u.test(text)) this.fail("a string has half a surrogate pair");
    return text;
  }

  /** A number or literal, as it is written; empty if it is too long for one. */
  #word(): string {
    this.#next();
    const from = this.#at;
    while (/[-+.\w]/.test(this.#text.charAt(this.#at))) this.#at++;
    return this.#at - from > LONGEST_NUMBER ? "" : this.#text.slice(from, this.#at);
  }
}
