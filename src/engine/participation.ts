/**
 * Which tensors take part in a step, and how many steps each has missed. A tensor that is frozen or has no gradient is left
 * alone and its step count stands still; the device computes a count as step - lag - skipped.
 */

interface Entry {
  /** Steps missed before `idleSince`. */
  lag: number;
  /** Steps that had been encoded when the tensor began to sit out; undefined while it takes part. */
  idleSince: number | undefined;
  frozen: boolean;
}

/** Attendance of all tensors. */
export class Participation {
  readonly #entries: Entry[] = [];
  readonly #withoutGrad = new Set<number>();
  #changed = true;
  #toReview = true;
  /** Smallest and largest lag: bounds of all step counts. */
  bounds: { readonly least: number; readonly most: number } = { least: 0, most: 0 };

  /** Takes on tensors up to `count`, new at step `steps`. */
  adopt(count: number, steps: number): void {
    while (this.#entries.length < count) this.#entries.push({ lag: steps, idleSince: undefined, frozen: false });
    this.#changed = true;
  }

  /** Sets the number of steps tensor `k` has missed, after `steps` steps. */
  reset(k: number, lag: number, steps: number): void {
    const entry = this.#entry(k);
    entry.lag = lag;
    if (entry.idleSince !== undefined) entry.idleSince = steps;
    this.#changed = true;
  }

  freeze(k: number, frozen: boolean): void {
    this.#entry(k).frozen = frozen;
    this.review();
  }

  isFrozen(k: number): boolean {
    return this.#entry(k).frozen;
  }

  /** Tensor `k` has no gradient in the next step. */
  withoutGrad(k: number): void {
    this.#withoutGrad.add(k);
    this.review();
  }

  /** What decides about taking part has changed: the next `settle` looks at every tensor. */
  review(): void {
    this.#toReview = true;
  }

  /** Counts are to be right of tensors that sit out as well: the next `settle` tells the lags of all. */
  tell(): void {
    this.#changed = true;
  }

  /** Steps missed by tensor `k`, after `steps` steps. */
  lag(k: number, steps: number): number {
    const { lag, idleSince } = this.#entry(k);
    return idleSince === undefined ? lag : lag + steps - idleSince;
  }

  /**
   * Settles who takes part in the step after `steps`.
   *
   * @returns the rows the device must be told, or undefined where nothing has changed.
   */
  settle(
    steps: number,
    groupFrozen: (k: number) => boolean,
  ): readonly { lag: number; takesPart: boolean }[] | undefined {
    if (!this.#toReview && !this.#changed) return undefined;
    // Who has no gradient in this step may have one in the next.
    this.#toReview = this.#withoutGrad.size > 0;
    this.#entries.forEach((entry, k) => {
      const idle = entry.frozen || this.#withoutGrad.has(k) || groupFrozen(k);
      if (idle === (entry.idleSince !== undefined)) return;
      this.#changed = true;
      entry.lag = this.lag(k, steps);
      entry.idleSince = idle ? steps : undefined;
    });
    if (!this.#changed) return undefined;
    this.#changed = false;
    const lags = this.#entries.map((_, k) => this.lag(k, steps));
    this.bounds = { least: Math.min(...lags), most: Math.max(...lags) };
    return this.#entries.map((entry, k) => ({ lag: lags[k] as number, takesPart: entry.idleSince === undefined }));
  }

  /** The step that was settled has been encoded. */
  stepped(): void {
    this.#withoutGrad.clear();
  }

  #entry(k: number): Entry {
    return this.#entries[k] as Entry;
  }
}
