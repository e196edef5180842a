/** Delivers figures to listeners and iterators. */
import type { Figures } from "./figures.ts";

type Listener = (figures: Figures) => void;

// An iterator that nobody reads keeps so many figures, then drops the oldest.
const MOST_WAITING = 1024;

/** A stream with any number of readers. */
export class FigureStream {
  readonly #listeners = new Set<Listener>();
  readonly #ends = new Set<() => void>();
  #ended = false;

  on(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A throwing listener does not keep the others from hearing; its error is reported as an uncaught one. */
  emit(figures: Figures): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(figures);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  iterate(): AsyncIterableIterator<Figures> {
    const waiting: Figures[] = [];
    let ended = this.#ended;
    let wake: (() => void) | undefined;
    const off = this.on((figures) => {
      waiting.push(figures);
      if (waiting.length > MOST_WAITING) waiting.shift();
      wake?.();
    });
    const end = (): void => {
      ended = true;
      off();
      this.#ends.delete(end);
      wake?.();
    };
    this.#ends.add(end);
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      async next() {
        while (waiting.length === 0 && !ended) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        const value = waiting.shift();
        return value === undefined ? { done: true, value: undefined } : { done: false, value };
      },
      async return() {
        waiting.length = 0;
        end();
        return { done: true, value: undefined };
      },
    };
  }

  /** Ends all iterators, also those still to come. */
  end(): void {
    this.#ended = true;
    for (const end of [...this.#ends]) end();
    this.#listeners.clear();
  }
}
